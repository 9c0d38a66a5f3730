package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// job is work cut into tasks that may run in any order and at the same time.
// Implementations are long-lived, so that running one allocates nothing.
type job interface {
	run(w *worker, task int)
}

// pool runs jobs. The goroutine that calls run works too; the others, the
// helpers, are started by the first job that has work for them. Between jobs a
// helper looks for the next one for a moment, giving way to other goroutines,
// and then sleeps: a job that follows closely finds it awake, and an idle
// backend costs nothing.
type pool struct {
	workers []worker // workers[0] is the caller of run
	stopped sync.WaitGroup

	job  job
	n    int          // tasks
	next atomic.Int64 // task
	// order is the newest order to the helpers: the jobs so far times maxHelpers,
	// plus the number of helpers that take part in the last one.
	order  atomic.Uint64
	busy   atomic.Int64 // helpers that are still at work
	caller sleeper      // waits for busy to become 0
}

// worker is what one goroutine of the pool owns.
type worker struct {
	index    int
	tile     tile
	block    partsBlock
	units    []splitUnit
	head     headScratch
	forward  attentionTile
	backward partsBackwardHead
	scratch  arena
	sleeper
}

const (
	maxHelpers = 1 << 12
	// stopOrder is larger than any order to work.
	stopOrder = 1<<64 - 1
	// glances is how often a waiting goroutine looks before it sleeps: some tens of
	// microseconds.
	glances = 200
)

func newPool(threads int) *pool {
	p := &pool{workers: make([]worker, min(threads, maxHelpers))}
	for i := range p.workers {
		p.workers[i].index = i
	}
	p.caller.init()
	return p
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
	p.busy.Store(int64(helpers))
	p.order.Store((p.order.Load()/maxHelpers+1)*maxHelpers + uint64(helpers))
	for i := 1; i <= helpers; i++ {
		p.workers[i].wake()
	}
	p.work(&p.workers[0])
	p.caller.wait(func() bool { return p.busy.Load() == 0 })
	p.job = nil
}

// runOnce runs a job and forgets its operands, for memory that is freed must not be held
// until the next job of its kind.
func runOnce[J any, P interface {
	*J
	job
}](p *pool, n int, j P) {
	p.run(n, j)
	var none J
	*j = none
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

func (p *pool) start() {
	if p.order.Load() != 0 {
		return
	}
	for i := 1; i < len(p.workers); i++ {
		p.workers[i].init()
		p.stopped.Go(func() { p.help(i) })
	}
}

// help carries out orders until it is told to stop.
func (p *pool) help(i int) {
	w, seen := &p.workers[i], uint64(0)
	for {
		w.wait(func() bool { return p.order.Load() != seen })
		seen = p.order.Load()
		if seen == stopOrder {
			return
		}
		if i > int(seen%maxHelpers) {
			continue
		}
		p.work(w)
		if p.busy.Add(-1) == 0 {
			p.caller.wake()
		}
	}
}

// stop ends the helpers and waits for them.
func (p *pool) stop() {
	if p.order.Swap(stopOrder) != 0 {
		for i := 1; i < len(p.workers); i++ {
			p.workers[i].wake()
		}
	}
	p.stopped.Wait()
}

// sleeper is a goroutine that waits for a condition which another one brings
// about and then calls wake.
type sleeper struct {
	asleep atomic.Bool
	alarm  chan struct{}
}

func (s *sleeper) init() { s.alarm = make(chan struct{}, 1) }

func (s *sleeper) wait(ready func() bool) {
	for range glances {
		if ready() {
			return
		}
		runtime.Gosched()
	}
	for !ready() {
		s.asleep.Store(true)
		if ready() && s.asleep.CompareAndSwap(true, false) {
			return
		}
		<-s.alarm
	}
}

// wake is called after the condition has become true.
func (s *sleeper) wake() {
	if s.asleep.CompareAndSwap(true, false) {
		s.alarm <- struct{}{}
	}
}
