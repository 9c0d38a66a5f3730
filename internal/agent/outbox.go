package agent

import (
	"fmt"
	"log/slog"
	"sync"

	pb "parallax/proto/parallax/v1"
)

// maxKept bounds the reports that a node keeps in memory while nobody puts them
// on record: 65,536 of about 150 bytes, which are as many steps where nothing is
// evaluated. When there are more, the oldest are dropped, and that is told.
const maxKept = 1 << 16

// outbox holds what a node reports, in order, until the coordinator says that it
// is on record: a coordinator that comes back from a crash is told it again.
// Training only ever appends to it, and never waits for the coordinator.
type outbox struct {
	log  *slog.Logger
	most int
	more chan struct{} // capacity 1: there is something to send

	mu      sync.Mutex // guards what follows
	kept    []*pb.NodeMessage
	sent    int   // how many of kept have gone into the present stream
	dropped int64 // the last step whose report had to be dropped
	told    bool  // that reports are dropped
}

func newOutbox(log *slog.Logger, most int) *outbox {
	return &outbox{log: log, most: most, more: make(chan struct{}, 1)}
}

// add appends a report.
func (o *outbox) add(m *pb.NodeMessage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.kept) == o.most {
		o.dropOldest()
	}
	o.kept = append(o.kept, m)
	o.wake()
}

func (o *outbox) dropOldest() {
	o.dropped = max(o.dropped, o.kept[0].GetStep().GetStep())
	o.discard(1)
	if !o.told {
		o.told = true
		o.log.Warn(fmt.Sprintf("%d reports wait for the coordinator, and no more are kept: the oldest are dropped, and their steps will lack in the record", o.most))
	}
}

// discard forgets the first n reports.
func (o *outbox) discard(n int) {
	o.kept = append(o.kept[:0], o.kept[n:]...)
	o.sent = max(o.sent-n, 0)
}

func (o *outbox) wake() {
	select {
	case o.more <- struct{}{}:
	default:
	}
}

// next is the first report that the present stream has not been given, and nil
// when there is none.
func (o *outbox) next() *pb.NodeMessage {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == len(o.kept) {
		return nil
	}
	o.sent++
	return o.kept[o.sent-1]
}

// recorded forgets everything up to the report of a step.
func (o *outbox) recorded(step int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := o.through(step); n > 0 {
		o.discard(n)
		o.told = false
	}
}

// resend begins a new stream, to a coordinator that knows the reports up to that
// of a step.
func (o *outbox) resend(received int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = o.through(received)
	o.wake()
}

// through counts the reports up to and including that of a step.
func (o *outbox) through(step int64) int {
	for i := len(o.kept) - 1; i >= 0; i-- {
		if s := o.kept[i].GetStep(); s != nil && s.Step <= step {
			return i + 1
		}
	}
	return 0
}

// clear forgets everything: the node begins anew.
func (o *outbox) clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept, o.sent, o.dropped = nil, 0, 0
}

// lost is the last step whose report is not kept though it may not be on record.
func (o *outbox) lost() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}
