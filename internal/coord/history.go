package coord

import (
	"context"
	"iter"
	"sync"

	"google.golang.org/protobuf/proto"

	pb "parallax/proto/parallax/v1"
)

// history holds all events of a run, encoded (about 150 bytes each), for as long
// as the process lives. Each reader follows at its own pace, from where it likes,
// and holds nobody up.
type history struct {
	mu     sync.Mutex
	events [][]byte
	more   chan struct{} // closed by the next append
	ended  bool
}

func newHistory() *history { return &history{more: make(chan struct{})} }

// append stamps e with its sequence number, counted from 1, and keeps it.
func (h *history) append(e *pb.RunEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.Sequence = int64(len(h.events)) + 1
	encoded, err := proto.Marshal(e)
	if err != nil {
		panic(err) // our own message, of valid strings
	}
	h.events = append(h.events, encoded)
	h.wake()
}

// end lets readers go that have read everything.
func (h *history) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	h.wake()
}

func (h *history) wake() {
	close(h.more)
	h.more = make(chan struct{})
}

// next returns the event behind the sequence number after, or what to wait for
// until there is one; neither when there will be none.
func (h *history) next(after int64) (encoded []byte, wait <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case after < int64(len(h.events)):
		return h.events[after], nil
	case h.ended:
		return nil, nil
	default:
		return nil, h.more
	}
}

// follow yields the events behind the sequence number after, until the history
// or ctx ends.
func (h *history) follow(ctx context.Context, after int64) iter.Seq[*pb.RunEvent] {
	return func(yield func(*pb.RunEvent) bool) {
		for ctx.Err() == nil {
			encoded, wait := h.next(after)
			if encoded == nil && wait == nil {
				return
			}
			if wait != nil {
				select {
				case <-wait:
				case <-ctx.Done():
				}
				continue
			}
			e := new(pb.RunEvent)
			if err := proto.Unmarshal(encoded, e); err != nil {
				panic(err) // we wrote it
			}
			after = e.Sequence
			if !yield(e) {
				return
			}
		}
	}
}
