package ref

import (
	"math"
	"slices"
	"sync"
)

// queue holds what was enqueued and has not run. Operations run in order, and so
// do copies, but a copy lets every operation that it may pass go first.
type queue struct {
	mu         sync.Mutex
	position   int // of the next task
	operations []task
	copies     []task
	err        error // the first, sticky
}

type task struct {
	position int
	run      func() error
}

// event is done when the operations and the copies before its two positions are.
type event struct {
	queue              *queue
	operations, copies int
}

const everything = math.MaxInt

func (q *queue) enqueue(run func() error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.operations = append(q.operations, task{q.position, run})
	q.position++
}

// enqueueCopy returns an event before which all operations run that are enqueued
// by the time somebody waits.
func (q *queue) enqueueCopy(run func() error) event {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.copies = append(q.copies, task{q.position, run})
	q.position++
	return event{q, everything, q.position}
}

func (q *queue) mark() event {
	q.mu.Lock()
	defer q.mu.Unlock()
	return event{q, q.position, q.position}
}

// Wait runs, on the caller's goroutine, what the event stands for.
func (e event) Wait() error {
	q := e.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	q.operations = q.run(q.operations, e.operations)
	q.copies = q.run(q.copies, e.copies)
	return q.err
}

// run executes the tasks before a position, until the first error, and returns
// those behind it.
func (q *queue) run(tasks []task, position int) []task {
	n := 0
	for n < len(tasks) && tasks[n].position < position {
		if q.err == nil {
			q.err = tasks[n].run()
		}
		n++
	}
	return slices.Delete(tasks, 0, n)
}
