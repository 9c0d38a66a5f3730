//go:build cuda

package cuda

import (
	"fmt"
	"runtime"

	"gorgonia.org/cu"
)

// lane is one stream and the goroutine that waits for its marks, in order.
type lane struct {
	q      *queue
	stream cu.Stream
	marks  chan *mark
	idle   chan *cu.Event // events to use again
	last   *mark
	done   chan struct{}
}

// mark is a point in a stream. done is closed once the stream has reached it and
// finish has run.
type mark struct {
	event  cu.Event
	done   chan struct{}
	finish func()
}

// marksAhead bounds the marks of a lane that nobody has reached yet.
const marksAhead = 4096

func (l *lane) open(q *queue) (err error) {
	l.q = q
	if l.stream, err = cu.MakeStream(cu.NonBlocking); err != nil {
		return fmt.Errorf("make a stream: %w", err)
	}
	l.marks = make(chan *mark, marksAhead)
	l.idle = make(chan *cu.Event, marksAhead)
	l.done = make(chan struct{})
	go l.watch()
	return nil
}

// watch reports each mark as the GPU reaches it.
func (l *lane) watch() {
	runtime.LockOSThread()
	defer close(l.done)
	err := cu.SetCurrentContext(l.q.ctx)
	if err != nil {
		l.q.fail(fmt.Errorf("watch a stream: %w", err))
	}
	for m := range l.marks {
		if err := m.event.Synchronize(); err != nil {
			l.q.fail(fmt.Errorf("the GPU stopped: %w", err))
		}
		if m.finish != nil {
			m.finish()
		}
		close(m.done)
		select {
		case l.idle <- &m.event:
		default:
			cu.DestroyEvent(&m.event)
		}
	}
}

// close ends the watcher after the marks that were made, then the stream.
func (l *lane) close() {
	close(l.marks)
	<-l.done
	for len(l.idle) > 0 {
		cu.DestroyEvent(<-l.idle)
	}
	l.stream.Destroy()
}

// mark records a point in the stream; finish, if any, runs when it is reached. It
// runs on the queue's goroutine.
func (l *lane) mark(finish func()) (*mark, error) {
	m := &mark{done: make(chan struct{}), finish: finish}
	select {
	case e := <-l.idle:
		m.event = *e
	default:
		var err error
		if m.event, err = cu.MakeEvent(cu.BlockingSyncEvent | cu.DisableTiming); err != nil {
			return nil, fmt.Errorf("make an event: %w", err)
		}
	}
	if err := m.event.Record(l.stream); err != nil {
		return nil, fmt.Errorf("record an event: %w", err)
	}
	l.last = m
	l.marks <- m
	return m, nil
}

// after makes the stream wait for what another one has been given so far.
func (l *lane) after(other *lane) error {
	m, err := other.mark(nil)
	if err != nil {
		return err
	}
	return l.stream.Wait(m.event, 0)
}

// event is a set of marks to be reached: kernels.Event.
type event struct {
	q     *queue
	ready chan struct{} // closed when marks is set
	marks []*mark
}

// Wait blocks until the GPU has reached the event.
func (e *event) Wait() error {
	<-e.ready
	for _, m := range e.marks {
		<-m.done
	}
	return e.q.failure()
}

// mark returns an event that is done when all that was enqueued is.
func (q *queue) mark() *event {
	e := &event{q: q, ready: make(chan struct{})}
	q.tasks <- func() {
		defer close(e.ready)
		m, err := q.compute.mark(nil)
		if err != nil {
			q.fail(err)
			return
		}
		e.marks = []*mark{m}
		for _, l := range []*lane{&q.in, &q.out, &q.fabric} {
			if l.last != nil {
				e.marks = append(e.marks, l.last)
			}
		}
	}
	return e
}
