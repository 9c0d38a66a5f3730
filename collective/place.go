package collective

import (
	"sync"
	"sync/atomic"
)

// Placer is an Edge that can put a payload right where it belongs.
type Placer interface {
	Edge
	// RecvInto is Recv that asks place for each data frame where its Length bytes
	// go, before it reads them. Nil means: wherever. The payload of a frame that
	// was placed consists of that memory alone.
	RecvInto(place func(Header) []byte) (Frame, error)
}

// posts are the frames that a lap waits for and the caller's memory that each
// belongs in. The reader fills a post only if the frame at hand is the very one
// that is due, by number and by header, and holds the lock as long as it does.
type posts struct {
	mu    sync.Mutex
	first uint32 // number of the data frame that due[0] is
	due   []post

	filling bool // the reader's own: it holds mu

	// sent counts what the collective has sent. Where it reduces in place, the
	// memory of a post was read to be sent before: a sum comes only after that has
	// gone round the ring. Go's memory model does not know the ring, so this is
	// added after reading and loaded before writing.
	sent atomic.Uint64
}

type post struct {
	want Header
	dst  []byte // nil: wherever
}

// set announces what a lap waits for: what list appends.
func (p *posts) set(first uint32, list func([]post) []post) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.first, p.due = first, list(p.due[:0])
}

// clear withdraws all posts, and waits until the reader has left the last.
func (p *posts) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.due)
	p.due = p.due[:0]
}

// take returns the memory for data frame number n, which the reader fills until
// it calls left.
func (p *posts) take(n uint32, h Header) []byte {
	p.mu.Lock()
	if i := int(n - p.first); i < len(p.due) && p.due[i].dst != nil && p.due[i].want == h {
		p.sent.Load()
		p.filling = true
		return p.due[i].dst
	}
	p.mu.Unlock()
	return nil
}

func (p *posts) left() {
	if p.filling {
		p.filling = false
		p.mu.Unlock()
	}
}
