//go:build cuda

package cuda

import (
	"fmt"
	"runtime"
	"sync"

	"gorgonia.org/cu"
)

// queue carries out what is enqueued, in order, on one goroutine that is locked to
// a thread with the GPU's context. Its lanes are the GPU's streams.
//
// The first error sticks: what is enqueued after it is skipped, and every wait
// returns it.
type queue struct {
	ctx     cu.CUContext
	tasks   chan func()
	stopped chan struct{}

	compute, in, out lane
	fabric           lane // between GPUs; open once a group was joined

	// Tasks of a sequence that is being enqueued; only the goroutine that calls
	// operations looks at them.
	holding bool
	held    []task

	mu  sync.Mutex
	err error

	gate   sync.RWMutex // held for writing while tasks is closed
	closed bool
}

// queueDepth bounds how far the host may run ahead of the launching thread.
const queueDepth = 4096

// newQueue starts the goroutine; the streams belong to the context.
func newQueue(device cu.Device) (*queue, error) {
	q := &queue{tasks: make(chan func(), queueDepth), stopped: make(chan struct{})}
	opened := make(chan error)
	go q.work(device, opened)
	if err := <-opened; err != nil {
		return nil, err
	}
	return q, nil
}

func (q *queue) work(device cu.Device, opened chan<- error) {
	runtime.LockOSThread()
	defer close(q.stopped)
	if err := q.open(device); err != nil {
		opened <- err
		return
	}
	opened <- nil
	for task := range q.tasks {
		task()
	}
	q.close(device)
}

func (q *queue) open(device cu.Device) error {
	ctx, err := device.RetainPrimaryCtx()
	if err != nil {
		return fmt.Errorf("open the primary context of %v: %w", device, err)
	}
	q.ctx = ctx
	if err := cu.SetCurrentContext(ctx); err != nil {
		return fmt.Errorf("make the context of %v current: %w", device, err)
	}
	for _, l := range []*lane{&q.compute, &q.in, &q.out} {
		if err := l.open(q); err != nil {
			return err
		}
	}
	return nil
}

func (q *queue) close(device cu.Device) {
	for _, l := range []*lane{&q.compute, &q.in, &q.out, &q.fabric} {
		if l.q != nil {
			l.close()
		}
	}
	device.ReleasePrimaryCtx()
}

// openFabric opens the lane between GPUs.
func (q *queue) openFabric() error {
	if q.fabric.q != nil {
		return nil
	}
	return q.fabric.open(q)
}

// stop lets the goroutine finish and waits for it.
func (q *queue) stop() {
	q.gate.Lock()
	q.closed = true
	close(q.tasks)
	q.gate.Unlock()
	<-q.stopped
}

// later enqueues a task from a goroutine that does not know whether the queue has
// been stopped; then it is dropped.
func (q *queue) later(task func()) {
	q.gate.RLock()
	defer q.gate.RUnlock()
	if !q.closed {
		q.tasks <- task
	}
}

// task is something to do. what names it in the error, should it fail.
type task struct {
	what string
	run  func() error
}

// do enqueues a task.
func (q *queue) do(what string, run func() error) {
	t := task{what, run}
	if q.holding {
		q.held = append(q.held, t)
		return
	}
	q.tasks <- func() { q.perform(t) }
}

// perform runs a task unless one before it has failed.
func (q *queue) perform(t task) {
	if q.failure() != nil {
		return
	}
	if err := t.run(); err != nil {
		q.fail(fmt.Errorf("%s: %w", t.what, err))
	}
}

// hold keeps tasks back until release, which returns them.
func (q *queue) hold() { q.holding = true }

func (q *queue) release() []task {
	held := q.held
	q.holding, q.held = false, nil
	return held
}

// flush enqueues what is held, and holds nothing more: something must come after it.
func (q *queue) flush() {
	for _, t := range q.release() {
		q.do(t.what, t.run)
	}
}

// call runs a task in its turn and waits for it; also after a failure.
func (q *queue) call(task func() error) error {
	done := make(chan error, 1)
	q.tasks <- func() { done <- task() }
	return <-done
}

func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = fmt.Errorf("cuda: %w", err)
	}
}

func (q *queue) failure() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}
