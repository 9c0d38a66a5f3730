package cpu

import (
	"sync"
	"sync/atomic"
)

// job is work cut into tasks that may run in any order and at the same time.
// Implementations are long-lived, so that running one allocates nothing.
type job interface {
	run(w *worker, task int)
}

// worker is what one goroutine of the pool owns.
type worker struct {
	tile    tile
	scratch arena
}

// pool runs jobs. The goroutine that calls run works too; the others are started
// by the first job that has work for them and sleep between jobs.
type pool struct {
	workers []worker
	wake    []chan struct{} // of workers[1:]
	stopped sync.WaitGroup

	job  job
	n    int
	next atomic.Int64
	busy sync.WaitGroup
}

func newPool(threads int) *pool {
	return &pool{workers: make([]worker, threads)}
}

// run executes tasks 0..n-1 of j and returns when all are done.
func (p *pool) run(n int, j job) {
	helpers := min(len(p.workers), n) - 1
	if helpers <= 0 {
		for i := range n {
			j.run(&p.workers[0], i)
		}
		return
	}
	p.start()
	p.job, p.n = j, n
	p.next.Store(0)
	p.busy.Add(helpers)
	for _, wake := range p.wake[:helpers] {
		wake <- struct{}{}
	}
	p.work(&p.workers[0])
	p.busy.Wait()
	p.job = nil
}

func (p *pool) start() {
	if p.wake != nil {
		return
	}
	p.wake = make([]chan struct{}, len(p.workers)-1)
	for i := range p.wake {
		wake := make(chan struct{}, 1)
		p.wake[i] = wake
		p.stopped.Go(func() {
			for range wake {
				p.work(&p.workers[i+1])
				p.busy.Done()
			}
		})
	}
}

// work takes tasks until none are left.
func (p *pool) work(w *worker) {
	for {
		i := int(p.next.Add(1)) - 1
		if i >= p.n {
			return
		}
		p.job.run(w, i)
	}
}

// stop ends the goroutines and waits for them.
func (p *pool) stop() {
	for _, wake := range p.wake {
		close(wake)
	}
	p.stopped.Wait()
	p.wake = nil
}
