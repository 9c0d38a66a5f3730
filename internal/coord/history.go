package coord

import (
	"context"
	"iter"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	pb "parallax/proto/parallax/v1"
	"parallax/record"
)

// history has all events of a run, encoded (about 150 bytes each): the newest in
// memory, which does not grow with the run, and the older ones in an archive. Each
// reader follows at its own pace, from where it likes, and holds nobody up.
type history struct {
	mu      sync.Mutex
	base    int64         // the number before that of the first event in memory
	events  [][]byte      // at most twice recent
	archive archive       // nil: older events are gone
	more    chan struct{} // closed by the next append
	ended   bool
}

// archive keeps events that memory does not hold.
type archive interface {
	put(sequence int64, encoded []byte) error
	// after returns some events behind a sequence number, in order.
	after(sequence int64) ([][]byte, error)
}

// recent is how many events are in memory at least, once there were so many.
const recent = 2048

func newHistory() *history { return &history{more: make(chan struct{})} }

// stamp gives e the sequence number, counted from base, of the event to append next.
func (h *history) stamp(e *pb.RunEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.Sequence = h.base + int64(len(h.events)) + 1
}

// append stamps e and keeps it. An error is the archive's: then it is used no more.
func (h *history) append(e *pb.RunEvent) (err error) {
	h.stamp(e)
	h.mu.Lock()
	defer h.mu.Unlock()
	encoded, err := proto.Marshal(e)
	if err != nil {
		panic(err) // our own message, of valid strings
	}
	h.events = append(h.events, encoded)
	if h.archive != nil {
		if err = h.archive.put(e.Sequence, encoded); err != nil {
			h.archive = nil
		}
	}
	if n := len(h.events); n == 2*recent {
		h.events = slices.Clone(h.events[n-recent:])
		h.base += int64(n - recent)
	}
	h.wake()
	return err
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

// next returns some events behind the sequence number after, or what to wait for
// until there are any; neither when there will be none.
func (h *history) next(after int64) (encoded [][]byte, wait <-chan struct{}) {
	h.mu.Lock()
	base, events, archive, ended, more := h.base, h.events, h.archive, h.ended, h.more
	h.mu.Unlock()
	if after < base && archive != nil {
		if older, err := archive.after(after); err == nil && len(older) > 0 {
			return older, nil
		}
	}
	switch at := max(after-base, 0); {
	case at < int64(len(events)):
		return events[at:], nil
	case ended:
		return nil, nil
	default:
		return nil, more
	}
}

// follow yields the events behind the sequence number after, until the history
// or ctx ends.
func (h *history) follow(ctx context.Context, after int64) iter.Seq[*pb.RunEvent] {
	return func(yield func(*pb.RunEvent) bool) {
		for ctx.Err() == nil {
			some, wait := h.next(after)
			if some == nil && wait == nil {
				return
			}
			if wait != nil {
				select {
				case <-wait:
				case <-ctx.Done():
				}
				continue
			}
			for _, encoded := range some {
				e := decode(encoded)
				after = e.Sequence
				if ctx.Err() != nil || !yield(e) {
					return
				}
			}
		}
	}
}

// hasView looks in the archive for a view of this run. What is there has also been put
// on record: that comes first.
func (h *history) hasView(generation uint64) (bool, error) {
	for after := int64(0); ; {
		some, err := h.archive.after(after)
		if err != nil || len(some) == 0 {
			return false, err
		}
		for _, encoded := range some {
			e := decode(encoded)
			if v := e.GetView(); v != nil && v.Generation == generation {
				return true, nil
			}
			after = e.Sequence
		}
	}
}

func decode(encoded []byte) *pb.RunEvent {
	e := new(pb.RunEvent)
	if err := proto.Unmarshal(encoded, e); err != nil {
		panic(err) // we wrote it
	}
	return e
}

// ledgerArchive is a part of the ledger that a coordinator has for itself.
type ledgerArchive struct {
	ledger *record.Ledger
	key    string // the run's folder: it has one coordinator at a time
}

// archived is how many events are read from the archive at a time.
const archived = 512

func (a ledgerArchive) put(sequence int64, encoded []byte) error {
	return a.ledger.AppendHistory(a.key, sequence, encoded)
}

func (a ledgerArchive) after(sequence int64) ([][]byte, error) {
	return a.ledger.History(a.key, sequence, archived)
}
