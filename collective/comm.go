package collective

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// DefaultTimeout is how long a neighbour may be silent, when Config says nothing.
	DefaultTimeout = 2 * time.Second
	// DefaultChunkBytes is the payload of a full data frame, when Config says nothing.
	DefaultChunkBytes = 512 << 10
	// maxWorld is how many ranks a frame header can number.
	maxWorld = 1 << 16
)

// Member is one rank of the view.
type Member struct {
	Name    string // of the node, e.g. "gpu07"
	Host    string
	Address string // host:port of its ring service
}

// Config seats a rank in the ring of one generation. All but Rank must be the
// same on all ranks.
type Config struct {
	Generation uint64
	Rank       int
	Members    []Member      // rank i is Members[i]
	Timeout    time.Duration // a neighbour silent for so long is lost; 0: DefaultTimeout
	ChunkBytes int           // a multiple of 4 up to MaxChunkBytes; 0: DefaultChunkBytes
}

func (cfg *Config) complete() error {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.ChunkBytes == 0 {
		cfg.ChunkBytes = DefaultChunkBytes
	}
	n := len(cfg.Members)
	switch {
	case n == 0 || n > maxWorld:
		return fmt.Errorf("collective: a ring has 1 to %d members, not %d", maxWorld, n)
	case cfg.Rank < 0 || cfg.Rank >= n:
		return fmt.Errorf("collective: rank %d is not in a ring of %d members", cfg.Rank, n)
	case cfg.Timeout < 0:
		return fmt.Errorf("collective: timeout %v is negative", cfg.Timeout)
	case cfg.ChunkBytes < 0 || cfg.ChunkBytes%4 != 0 || cfg.ChunkBytes > MaxChunkBytes:
		return fmt.Errorf("collective: chunks of %d bytes: want a multiple of 4 up to %d", cfg.ChunkBytes, MaxChunkBytes)
	case binary.NativeEndian.Uint16([]byte{1, 0}) != 1:
		return errors.New("collective: this host is big-endian, and tensors travel as they lie in little-endian memory")
	}
	return nil
}

// Comm is one rank's seat in the ring. Collectives run one at a time; the other
// methods may be called at any time.
type Comm struct {
	cfg       Config
	transport Transport
	prev      *edge
	next      *edge
	pool      chunkPool
	loans     loans
	posts     posts
	consumed  uint32 // data frames that collectives have taken; theirs alone
	counts    counters

	mu     sync.Mutex
	at     Point // of the collective under way, or of the last one
	phase  Phase
	active bool
	err    *Error

	failed    chan struct{} // closed once err is set
	leaving   chan struct{} // closed by Close
	over      chan struct{} // closed once the transport has ended
	leaveOnce sync.Once
	tasks     sync.WaitGroup
	closeErr  error // the transport's, once tasks are done
}

// New takes a seat. The Comm owns t from here on; a world of one needs none.
func New(cfg Config, t Transport) (*Comm, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	c := &Comm{
		cfg:       cfg,
		transport: t,
		pool:      chunkPool{words: cfg.ChunkBytes / 4},
		failed:    make(chan struct{}),
		leaving:   make(chan struct{}),
		over:      make(chan struct{}),
	}
	n := len(cfg.Members)
	if n == 1 {
		return c, nil
	}
	if t == nil {
		return nil, fmt.Errorf("collective: a ring of %d members needs a transport", n)
	}
	c.prev = newEdge(c, t.Prev(), mod(cfg.Rank-1, n))
	c.next = newEdge(c, t.Next(), mod(cfg.Rank+1, n))
	for _, task := range []func(){c.prev.read, c.prev.pump, c.next.read, c.next.pump, c.supervise} {
		c.tasks.Go(task)
	}
	return c, nil
}

// Rank is this member's position in the ring.
func (c *Comm) Rank() int { return c.cfg.Rank }

// Size is the number of ranks.
func (c *Comm) Size() int { return len(c.cfg.Members) }

// Failed is closed when the ring has broken, also between collectives; Err then
// says how.
func (c *Comm) Failed() <-chan struct{} { return c.failed }

// Err is nil or the *Error that broke the ring.
func (c *Comm) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return nil
	}
	return c.err
}

// Close gives the seat up: it says goodbye, waits until the neighbours have
// taken what was sent, for Config.Timeout at most, and ends the transport.
// A collective under way, here or on any other rank, fails.
func (c *Comm) Close() error {
	c.mu.Lock()
	active := c.active
	c.mu.Unlock()
	if active {
		c.fail(-1, ErrClosed)
	}
	c.leaveOnce.Do(func() {
		close(c.leaving)
		if c.prev == nil && c.transport != nil {
			c.closeErr = c.transport.Close()
		}
	})
	c.tasks.Wait()
	return c.closeErr
}

// begin claims the ring for one collective.
func (c *Comm) begin(ctx context.Context, at Point, phase Phase) error {
	if err := at.check(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if c.active {
		return fmt.Errorf("collective: %v of %v was called while %v of %v is under way", phase, at, c.phase, c.at)
	}
	c.at, c.phase = at, phase
	select {
	case <-c.leaving:
		return c.errorLocked(-1, ErrClosed)
	default:
	}
	if ctx.Err() != nil {
		c.failLocked(c.errorLocked(-1, context.Cause(ctx)))
		return c.err
	}
	c.active = true
	return nil
}

func (c *Comm) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active = false
}

// enter notes which phase the collective has reached.
func (c *Comm) enter(p Phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = p
}

// fail ends the Comm, unless it has ended before, and returns its Error. peer is
// the suspect's rank, -1 for none.
func (c *Comm) fail(peer int, cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(c.errorLocked(peer, cause))
	return c.err
}

// adopt ends the Comm for the reason that another rank gave.
func (c *Comm) adopt(e *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(e)
}

func (c *Comm) failLocked(e *Error) {
	if c.err == nil {
		c.err = e
		close(c.failed)
	}
}

func (c *Comm) errorLocked(peer int, cause error) *Error {
	e := newError(c.cfg.Members, c.cfg.Rank, peer, cause)
	e.At, e.Phase, e.During = c.at, c.phase, c.active
	return e
}

// supervise watches the neighbours until the Comm fails or is closed, lets the
// edges say their last words and ends the transport.
func (c *Comm) supervise() {
	w := newWatch(c.cfg.Timeout, time.Now())
	c.watchNeighbours(w)
	for i, e := range []*edge{c.prev, c.next} {
		e.silent = e.silent || w.quiet(time.Now(), i, e.sign())
	}
	c.lastWords()
	c.closeErr = c.transport.Close()
	close(c.over)
}

func (c *Comm) watchNeighbours(w *watch) {
	tick := time.NewTicker(c.cfg.Timeout / 8)
	defer tick.Stop()
	edges := [2]*edge{c.prev, c.next}
	for {
		select {
		case <-c.failed:
			return
		case <-c.leaving:
			return
		case now := <-tick.C:
			silent, since := w.tick(now, [2]sign{c.prev.sign(), c.next.sign()})
			if silent >= 0 {
				edges[silent].silent = true
				c.fail(edges[silent].peer, fmt.Errorf("nothing heard for %v", since.Round(time.Millisecond)))
			}
		}
	}
}

// lastWords waits until both edges have sent their last frame and have seen
// that of the neighbour. Who is silent is not waited for, and nobody for long.
func (c *Comm) lastWords() {
	grace := c.cfg.Timeout
	if c.broken() != nil {
		grace /= 4
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for _, e := range []*edge{c.prev, c.next} {
		if e.silent {
			continue
		}
		for _, done := range []chan struct{}{e.told, e.ended} {
			select {
			case <-done:
			case <-timer.C:
				return
			}
		}
	}
}

func (c *Comm) broken() *Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func mod(a, n int) int { return ((a % n) + n) % n }
