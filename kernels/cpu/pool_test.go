package cpu

import (
	"sync/atomic"
	"testing"
)

type countJob struct {
	ran   []atomic.Int32
	total atomic.Int64
}

func (c *countJob) run(_ *worker, task int) {
	c.ran[task].Add(1)
	c.total.Add(1)
}

// Jobs of every size, close together and apart, each task exactly once.
func TestPoolRunsEveryTaskOnce(t *testing.T) {
	for threads := 1; threads <= 5; threads++ {
		p := newPool(threads)
		for round := range 300 {
			n := round % 13
			c := &countJob{ran: make([]atomic.Int32, n)}
			p.run(n, c)
			for i := range c.ran {
				if got := c.ran[i].Load(); got != 1 {
					t.Fatalf("%d threads, round %d: task %d ran %d times", threads, round, i, got)
				}
			}
		}
		p.stop()
	}
}

func TestPoolStopsWithoutEverRunning(t *testing.T) {
	newPool(4).stop()
}

func BenchmarkPool(b *testing.B) {
	p := newPool(2)
	defer p.stop()
	c := &countJob{ran: make([]atomic.Int32, 2)}
	b.ReportAllocs()
	for b.Loop() {
		p.run(2, c)
	}
}
