package gossip

import (
	"sync"

	"github.com/hashicorp/memberlist"
)

// Kind is what happened to a member.
type Kind int

// The kinds of events.
const (
	Joined Kind = iota // it is there
	Left               // it said goodbye
	Failed             // it stopped answering
)

func (k Kind) String() string {
	return [...]string{"joined", "left", "failed"}[k]
}

// Event is a change of membership.
type Event struct {
	Kind Kind
	Meta Meta // of the member, as it was last known
}

// queue takes events from memberlist, which holds its lock meanwhile and must
// never wait, and hands them to whoever reads out.
type queue struct {
	self   string
	living *roster

	mu      sync.Mutex
	waiting []Event
	wake    chan struct{} // holds a token while events wait
	out     chan Event
	stop    chan struct{}
	stopped chan struct{}
}

func newQueue(self string, living *roster) *queue {
	q := &queue{
		self:    self,
		living:  living,
		wake:    make(chan struct{}, 1),
		out:     make(chan Event),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	go q.pump()
	return q
}

func (q *queue) put(e Event) {
	q.mu.Lock()
	q.waiting = append(q.waiting, e)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) take() []Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	events := q.waiting
	q.waiting = nil
	return events
}

// pump moves events until close is called, then closes out.
func (q *queue) pump() {
	defer close(q.stopped)
	defer close(q.out)
	for {
		select {
		case <-q.wake:
		case <-q.stop:
			return
		}
		for _, e := range q.take() {
			select {
			case q.out <- e:
			case <-q.stop:
				return
			}
		}
	}
}

func (q *queue) close() {
	close(q.stop)
	<-q.stopped
}

// NotifyJoin implements [memberlist.EventDelegate].
func (q *queue) NotifyJoin(n *memberlist.Node) {
	q.living.add(n.Name)
	q.notify(Joined, n)
}

// NotifyLeave implements [memberlist.EventDelegate].
func (q *queue) NotifyLeave(n *memberlist.Node) {
	q.living.remove(n.Name)
	q.notify(Failed, n)
}

// NotifyUpdate implements [memberlist.EventDelegate]; a member's news about
// itself is read from Members.
func (q *queue) NotifyUpdate(*memberlist.Node) {}

func (q *queue) notify(kind Kind, n *memberlist.Node) {
	if n.Name == q.self {
		return
	}
	meta, err := decode(n.Meta)
	if err != nil {
		return // never let in, see identity.NotifyAlive
	}
	if kind == Failed && meta.Leaving {
		kind = Left
	}
	q.put(Event{Kind: kind, Meta: meta})
}
