package cpu

import (
	"runtime/debug"
	"time"

	"parallax/kernels"
)

// Peak measures the micro-kernel, or the matrix engine in float32 products, on operands
// in L1, and a triad over arrays that no cache holds, on all threads. Each is the best of
// some short runs.
func (b *Backend) Peak() (kernels.Peak, error) {
	f := newFlopJob(b.kernels, len(b.pool.workers))
	flops := b.bestRate(f, f.flops())
	t := newTriadJob(b.kernels, len(b.pool.workers))
	bandwidth := b.bestRate(t, t.bytes())
	debug.FreeOSMemory() // the triad's arrays
	return kernels.Peak{FLOPS: flops, Bandwidth: bandwidth}, nil
}

// peakTasks is how many tasks each thread gets, so that none waits long for the
// others at the end.
const peakTasks = 16

// bestRate runs a job some times, and returns the most work done in a second.
func (b *Backend) bestRate(j job, work float64) float64 {
	best := 0.0
	for range 8 {
		began := time.Now()
		b.pool.run(peakTasks*len(b.pool.workers), j)
		best = max(best, work/time.Since(began).Seconds())
	}
	return best
}

// flopJob runs the innermost product over and over. Each task has a block of its
// own, which stays in L1.
type flopJob struct {
	set    *kernelSet
	tiles  []tile
	blocks []partsBlock
}

const (
	peakDepth = 96
	peakCalls = 1000
)

func newFlopJob(set *kernelSet, threads int) *flopJob {
	j := &flopJob{set: set}
	for range peakTasks * threads {
		if set.engine != nil {
			const n = peakDepth / partsEdge * partsStep
			j.blocks = append(j.blocks, partsBlock{a: words(alignedFloats(n / 2)), b: words(alignedFloats(n / 2)),
				store: alignedFloats(partsEdge * partsEdge), storeRow: partsEdge, steps: peakDepth / partsEdge, strips: 1})
			continue
		}
		j.tiles = append(j.tiles, tile{
			a: alignedFloats(set.mr * peakDepth), b: alignedFloats(peakDepth * set.nr), c: alignedFloats(set.mr * set.nr),
			aRow: peakDepth, aCol: 1, bRow: set.nr, cRow: set.nr, m: set.mr, n: set.nr, k: peakDepth, alpha: 1,
		})
	}
	return j
}

func (j *flopJob) run(_ *worker, task int) {
	for range peakCalls {
		if j.set.engine != nil {
			j.set.engine.multiply(&j.blocks[task])
		} else {
			j.set.tile(&j.tiles[task])
		}
	}
}

func (j *flopJob) flops() float64 {
	block := float64(j.set.mr * j.set.nr * len(j.tiles))
	if j.set.engine != nil {
		block = float64(partsEdge * partsEdge * len(j.blocks))
	}
	return 2 * peakCalls * peakDepth * block
}

// triadJob is a = b + s*c. Each task has a piece of the arrays.
type triadJob struct {
	set     *kernelSet
	a, b, c []float32
	piece   int
}

const triadElements = 32 << 20 // 384 MiB in three arrays, beyond a core's share of any cache

// newTriadJob writes what will be read: memory that nobody has written is one page of
// zeros, in L1, wherever it is read.
func newTriadJob(set *kernelSet, threads int) *triadJob {
	j := &triadJob{set: set, a: alignedFloats(triadElements), b: alignedFloats(triadElements), c: alignedFloats(triadElements)}
	for i := range j.b {
		j.b[i], j.c[i] = 1, 2
	}
	j.piece = triadElements / (peakTasks * threads)
	return j
}

func (j *triadJob) run(_ *worker, task int) {
	lo, hi := task*j.piece, (task+1)*j.piece
	j.set.combine(j.a[lo:hi], j.b[lo:hi], j.c[lo:hi], 1, 3)
}

// bytes counts two loads and a store of each element.
func (j *triadJob) bytes() float64 { return 12 * float64(len(j.a)/j.piece*j.piece) }
