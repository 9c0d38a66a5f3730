package transfer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"parallax/internal/direct"
	pb "parallax/proto/parallax/v1"
)

// Record is the bytes of a state after a step, or of what the step depended on. They
// are not changed any more.
type Record struct {
	Step  int64
	Parts [][]byte
}

// Bytes is the length of all parts.
func (r Record) Bytes() int64 {
	n := int64(0)
	for _, part := range r.Parts {
		n += int64(len(part))
	}
	return n
}

// slice is the bytes [lo, hi) of a record, in place.
func (r Record) slice(lo, hi int64) (parts [][]byte) {
	for _, part := range r.Parts {
		n := int64(len(part))
		if from, to := max(lo, 0), min(hi, n); from < to {
			parts = append(parts, part[from:to])
		}
		lo, hi = lo-n, hi-n
	}
	return parts
}

// Source is what a node serves of its state to those who are to join. The training
// goroutine asks Wanted and Recording, and hands over what they ask for.
type Source struct {
	pb.UnimplementedStateServer
	authorize func(ctx context.Context, node string) error
	host      *direct.Host
	logBytes  int64 // bounds the log; 0: see logLimit

	mu      sync.Mutex
	run     string
	beat    time.Duration
	changed chan struct{} // closed, and made anew, when anything below changes
	allowed []string
	asked   bool    // somebody is to have a snapshot that we do not hold
	life    int     // counts the times that the log was begun anew
	held    *Record // the snapshot; nil: none
	log     []Record
	logged  int64 // bytes of log
	newest  int64 // step of the last change, or of the snapshot that the log began with
	left    *departure
}

// departure is the end of a ring that its ranks agreed on.
type departure struct {
	generation uint64
	step       int64
}

// minLogBytes is how much a log may hold, however small the state is.
const minLogBytes = 256 << 20

// NewSource returns a source that serves nobody. Authorize says why a call, whose
// context it is, does not come from the node of that name. Host, unless it is nil,
// accepts direct connections for those who ask for them.
func NewSource(authorize func(ctx context.Context, node string) error, host *direct.Host) *Source {
	return &Source{authorize: authorize, host: host, changed: make(chan struct{})}
}

// Open says which run the state is of, before anybody is permitted to fetch it. A
// stream with nothing to say shows at every beat that the source lives.
func (s *Source) Open(run string, beat time.Duration) {
	s.update(func() { s.run, s.beat = run, beat })
}

// Register adds the service to g, which has been made with grpcring.ServerOptions.
func (s *Source) Register(g grpc.ServiceRegistrar) { pb.RegisterStateServer(g, s) }

// update changes the source's state under its lock, and wakes who waits for that.
func (s *Source) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Permit names all who may fetch. Memory that is for nobody any more is given up.
// The first one's snapshot is asked for at once.
func (s *Source) Permit(nodes []string) {
	s.update(func() {
		s.allowed = slices.Clone(nodes)
		s.asked = len(nodes) > 0 && (s.asked || s.held == nil)
		if len(nodes) == 0 {
			s.forget()
		}
	})
}

// Wanted reports whether a snapshot is asked for.
func (s *Source) Wanted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Offer hands over the snapshot that was Wanted, of the state as it is now.
func (s *Source) Offer(r Record) {
	s.update(func() {
		if !s.asked {
			return
		}
		s.asked = false
		if s.held == nil || s.newest != r.Step {
			s.forget()
			s.newest = r.Step
		}
		s.held = &r
	})
}

// Recording reports whether the changes of the steps are to be handed over.
func (s *Source) Recording() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held != nil
}

// Append hands over the change of the step after the one before. The log keeps twice
// as many bytes as the snapshot has, or minLogBytes, and forgets the oldest.
func (s *Source) Append(r Record) {
	s.update(func() {
		s.left = nil
		if s.held == nil || r.Step != s.newest+1 {
			s.forget()
			return
		}
		s.newest = r.Step
		s.log = append(s.log, r)
		s.logged += r.Bytes()
		for s.logged > s.logLimit() && len(s.log) > 1 {
			s.logged -= s.log[0].Bytes()
			s.log = slices.Delete(s.log, 0, 1)
		}
	})
}

func (s *Source) logLimit() int64 {
	if s.logBytes > 0 {
		return s.logBytes
	}
	return max(minLogBytes, 2*s.held.Bytes())
}

// Leave says that the ranks have left the ring of a generation together after the
// newest step.
func (s *Source) Leave(generation uint64, step int64) {
	s.update(func() { s.left = &departure{generation, step} })
}

// Break says that the state has become another, not by a step: what was served so
// far leads nowhere.
func (s *Source) Break() {
	s.update(func() {
		s.asked = len(s.allowed) > 0
		s.forget()
	})
}

// forget begins anew, with nothing.
func (s *Source) forget() {
	s.life++
	s.held, s.log, s.logged, s.left = nil, nil, 0, nil
}

// first is the step whose state the log's first change goes on from.
func (s *Source) first() int64 { return s.newest - int64(len(s.log)) }

// current reports whether a joiner should begin with the snapshot that is held: the
// log goes on from it, and fetching its changes costs no more than a new snapshot.
func (s *Source) current() bool {
	if s.held == nil || s.held.Step < s.first() {
		return false
	}
	behind := int64(0)
	for _, r := range s.log[s.held.Step-s.first():] {
		behind += r.Bytes()
	}
	return behind <= s.held.Bytes()
}

// stream is what one call has seen of a source.
type stream struct {
	life int
	told *departure
}

// snapshot returns the one that a joiner is to fetch: the one it names, or any. Where
// there is none yet it asks for one, and returns a nil Record and what to wait for.
func (s *Source) snapshot(step *int64, on *stream) (*Record, int64, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case step != nil && (s.held == nil || s.held.Step != *step):
		return nil, 0, nil, gone(fmt.Sprintf("the snapshot of step %d is no longer held", *step))
	case step == nil && !s.current():
		s.asked = true
		return nil, s.newest, s.changed, nil
	}
	on.life = s.life
	return s.held, s.newest, nil, nil
}

// change returns the change that goes on from a step. Where there is none yet it
// returns a nil Record and what to wait for; with them, once, that the ranks have left
// their ring.
func (s *Source) change(after int64, on *stream) (*Record, int64, *departure, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on.life == 0 {
		on.life = s.life
	}
	switch {
	case s.held == nil || on.life != s.life:
		return nil, 0, nil, nil, gone("what it served has ended: its state has become another")
	case after < s.first():
		return nil, 0, nil, nil, gone(fmt.Sprintf("the log begins after step %d, and %d is asked for", s.first(), after))
	case after > s.newest:
		return nil, 0, nil, nil, gone(fmt.Sprintf("step %d is asked for, and %d were made", after, s.newest))
	case after < s.newest:
		next := s.log[after-s.first()]
		return &next, s.newest, nil, nil, nil
	case s.left != nil && s.left != on.told && s.left.step == after:
		on.told = s.left
		return nil, s.newest, s.left, s.changed, nil
	}
	return nil, s.newest, nil, s.changed, nil
}
