package cpu

import "parallax/kernels"

// lanes are backends of one thread each, one for every thread of the backend they belong
// to. They share its buffers, and have scratch of their own.
type lanes struct {
	of       []*Backend
	sequence func(be kernels.Backend, lane, i int)
}

// Lanes is the number of threads.
func (b *Backend) Lanes() int { return len(b.pool.workers) }

// Deal runs sequences on the threads, each on one alone: operations too small to be worth
// sharing out need no waiting for each other.
func (b *Backend) Deal(n int, sequence func(be kernels.Backend, lane, i int)) {
	for len(b.lanes.of) < b.Lanes() {
		b.lanes.of = append(b.lanes.of, &Backend{pool: newPool(1), kernels: b.kernels, forced: b.forced, processor: b.processor})
	}
	b.lanes.sequence = sequence
	b.pool.run(n, &b.lanes)
	b.lanes.sequence = nil
}

func (l *lanes) run(w *worker, task int) { l.sequence(l.of[w.index], w.index, task) }
