package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"parallax/internal/direct"
	"parallax/internal/pause"
)

// Target is the state that is fetched into. Its methods are called one at a time.
type Target interface {
	// StateBytes and ChangeBytes are how long a state and a change are.
	StateBytes() int64
	ChangeBytes() int64
	// Fill writes part of a state, whose parts come in order, from the first on.
	// Data is only lent.
	Fill(offset int64, data []byte) error
	// Filled says that the state is whole, after a step.
	Filled(step int64) error
	// Replay makes a step once more. It may keep the change.
	Replay(step int64, change []byte) error
}

// Fetch is a joiner's end.
type Fetch struct {
	Conn    grpc.ClientConnInterface // to the source, with the limits of grpcring.DialOptions
	Address string                   // of the source, for Direct
	Direct  *direct.Dialer           // has pieces come over direct connections; nil: they come over Conn
	RunID   string
	Node    string // who we are
	Target  Target
	Alloc   func(bytes int) []byte // host memory, from which Target copies fastest
	Silence time.Duration          // a source that says nothing for so long is given up

	// Near is told, once, that what is left can be replayed while the ranks wait. Left
	// is told that the state is that with which they have left their ring.
	Near func(Account)
	Left func(generation uint64, step int64) error
	// Doing is told, now and then, how far it has come; nil: nobody is.
	Doing func(bytes, total int64)

	newest atomic.Int64 // step that the source has applied, as last heard
	told   bool         // Near

	refused atomic.Bool // a direct connection did not come about
}

// Account is what a fetch has cost.
type Account struct {
	Step     int64 // steps applied
	Bytes    int64 // of the snapshot
	Duration time.Duration
	Replayed int64 // steps after the snapshot
}

const (
	// maxStarts is how often a fetch begins with a new snapshot before it gives up.
	maxStarts = 4
	// maxFailures is how often in a row a stream may break before anything came.
	maxFailures = 12
	// respite is how long a stream that broke is left alone, times how often it did.
	respite = 25 * time.Millisecond
	// nearly is the part of Silence that the ranks may wait for a joiner's last steps.
	nearly = 0.05
)

// errGone says that a fetch has to begin anew.
type errGone struct{ why string }

func (e errGone) Error() string { return e.why }

// Run fetches and follows until ctx ends, or says why it cannot.
func (f *Fetch) Run(ctx context.Context) error {
	var why errGone
	for range maxStarts {
		err := f.attempt(ctx)
		if !errors.As(err, &why) || ctx.Err() != nil {
			return err
		}
	}
	return fmt.Errorf("%d snapshots led nowhere, the last as %w", maxStarts, why)
}

// attempt takes one snapshot and what follows it.
func (f *Fetch) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	shot := &snapshot{Fetch: f}
	queue := f.newQueue()
	done := make(chan error, 1)
	following := false
	shot.begun = func(step int64) {
		following = true
		go func() {
			err := f.follow(ctx, step, queue)
			cancel(err)
			done <- err
		}()
	}
	err := shot.take(ctx)
	if err == nil {
		err = f.replay(ctx, queue, Account{Step: shot.step, Bytes: shot.total, Duration: time.Since(began)})
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(err)
	if following {
		<-done
	}
	return err
}

// replay applies the changes of the queue to the state that has been fetched.
func (f *Fetch) replay(ctx context.Context, queue <-chan change, a Account) error {
	f.near(a, 0)
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case c := <-queue:
			if c.left != nil {
				if err := f.Left(c.left.generation, c.left.step); err != nil {
					return err
				}
				continue
			}
			if err := f.Target.Replay(c.step, c.bytes); err != nil {
				return err
			}
			a.Step, a.Replayed = c.step, a.Replayed+1
			f.near(a, time.Since(last))
			last = time.Now()
		}
	}
}

// near tells, once, that the source is no more than a step ahead, or that its lead
// takes no time worth mentioning at the pace of the last step.
func (f *Fetch) near(a Account, pace time.Duration) {
	lead := f.newest.Load() - a.Step
	if f.told || lead > 1 && float64(lead)*pace.Seconds() > nearly*f.Silence.Seconds() {
		return
	}
	f.told = true
	f.Near(a)
}

// hear notes the newest step that a piece tells of.
func (f *Fetch) hear(h Header) {
	for {
		known := f.newest.Load()
		if h.Newest <= known || f.newest.CompareAndSwap(known, h.Newest) {
			return
		}
	}
}

// again opens a stream until it ends well, telling open whether that is worth it:
// it gives up when ctx ends, when the answer would be the same, or when nothing came
// of it maxFailures times in a row.
func (f *Fetch) again(ctx context.Context, open func(context.Context) (came bool, err error)) error {
	for failures := 0; ; {
		came, err := open(ctx)
		if came {
			failures = 0
		}
		failures++
		switch code := status.Code(err); {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case code == codes.OutOfRange:
			return errGone{status.Convert(err).Message()}
		case lasting(err) || failures >= maxFailures:
			return plain(err)
		}
		if !pause.For(ctx, time.Duration(failures)*respite) {
			return context.Cause(ctx)
		}
	}
}

// lasting reports whether asking again would get the same answer.
func lasting(err error) bool {
	switch status.Code(err) {
	case codes.FailedPrecondition, codes.PermissionDenied, codes.InvalidArgument, codes.Unauthenticated, codes.Unimplemented:
		return true
	}
	return errors.As(err, new(unfit))
}

// unfit is an error of this end.
type unfit struct{ error }

func (u unfit) Unwrap() error { return u.error }

// plain says in words what gRPC says in a status.
func plain(err error) error {
	if s, ok := status.FromError(err); ok {
		return errors.New(s.Message())
	}
	return err
}
