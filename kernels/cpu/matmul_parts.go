package cpu

import (
	"runtime"
	"sync/atomic"

	"parallax/kernels"
)

// The blocking of a product on the matrix engine. A task computes some rows of C, all
// columns or some, partsDepth terms at a time: its part of A stays in L2, through
// which the panels of B pass.
const (
	partsMinRows = 64
	partsMaxRows = 256
	partsDepth   = 512
	// partsChunk terms are packed at once, a multiple of partsDepth.
	partsChunk = 4 * partsDepth
	// partsWords bounds the packed B, in bfloat16s.
	partsWords = 32 << 20
	// partsTasks are wanted per thread, where there are several.
	partsTasks = 2
	// partsMinPanels is the narrowest task, but for narrow matrices.
	partsMinPanels = 4
)

// partsJob computes C = alpha op(A) op(B) + beta Add on the matrix engine, for a group
// of columns and a chunk of k at a time. The first tasks pack B, and A where several
// tasks need the same rows of it; the others multiply, and wait until all is
// packed. The sum of an element starts with beta Add and runs over k in one order.
type partsJob struct {
	set            *kernelSet
	a, b, c        matrix
	transA, transB bool
	symmetric      bool
	mirroring      bool
	alpha          float32
	m, n, k        int

	beta      float32 // of the chunk, and what it multiplies
	add       matrix
	j0, j1    int // columns of the group
	k0, k1    int // terms of the chunk
	rows      int // of a task's block
	rowBlocks int
	cols      int // of a task's block
	sharedA   bool

	packB, packA int // tasks
	packsDone    atomic.Int64
	packedA      []uint16 // [strip][step]
	packedB      []uint16 // [panel][step]
}

// partsPay says whether a product is large enough for the engine, whose blocks are
// padded to 32. It depends on the shape alone.
func partsPay(m, n, k int) bool { return m >= 24 && n >= 24 && k >= 24 }

// partsMatMul is MatMul on the engine.
func (b *Backend) partsMatMul(op kernels.MatMul) {
	g := &b.parts
	g.set, g.a, g.b, g.c = b.kernels, view(op.A), view(op.B), view(op.C)
	g.transA, g.transB, g.symmetric = op.TransA, op.TransB, op.Symmetric
	g.alpha = float32(op.Alpha)
	g.m, g.n, g.k = op.Dims()
	groupCols := max(partsWords/(min(stepsOf(g.k)*partsEdge, partsChunk)*3)/partsEdge, 1) * partsEdge
	for g.j0 = 0; g.j0 < g.n; g.j0 = g.j1 {
		g.j1 = min(g.j0+groupCols, g.n)
		g.beta = float32(op.Beta)
		if g.beta != 0 {
			g.add = view(op.Add)
		}
		g.shapeTasks(len(b.pool.workers))
		for g.k0 = 0; g.k0 < g.k; g.k0 = g.k1 {
			g.k1 = min(g.k0+partsChunk, g.k)
			g.layOut(b)
			b.pool.run(g.packB+g.packA+g.rowBlocks*ceilDiv(g.j1-g.j0, g.cols), g)
			g.beta, g.add = 1, g.c
		}
	}
	if g.symmetric {
		g.mirroring = true
		b.pool.run(ceilDiv(g.m, maxRows), g)
		g.mirroring = false
	}
}

// shapeTasks cuts C between rows. Where that gives too few tasks for the threads, it
// cuts between columns too, and A is packed once for all; or, where columns are
// few, into fewer rows. Nothing but speed depends on it.
func (g *partsJob) shapeTasks(threads int) {
	want := 1
	if threads > 1 {
		want = partsTasks * threads
	}
	panels := ceilDiv(g.j1-g.j0, partsEdge)
	g.rowBlocks = ceilDiv(g.m, partsMaxRows)
	split := ceilDiv(want, g.rowBlocks)
	if panels/split < partsMinPanels {
		split = max(panels/partsMinPanels, 1)
		g.rowBlocks = min(ceilDiv(want, split), ceilDiv(g.m, partsMinRows))
	}
	g.rows = ceilDiv(ceilDiv(g.m, g.rowBlocks), partsEdge) * partsEdge
	g.rowBlocks = ceilDiv(g.m, g.rows)
	g.cols = ceilDiv(panels, split) * partsEdge
	g.sharedA = split > 1
}

// layOut counts the packing tasks of the chunk and cuts the shared scratch.
func (g *partsJob) layOut(b *Backend) {
	steps := stepsOf(g.k1 - g.k0)
	panels := ceilDiv(g.j1-g.j0, partsEdge)
	g.packsDone.Store(0)
	g.packA, g.packB = 0, steps
	if g.transB {
		g.packB = panels
	}
	sizeA, sizeB := 0, panels*steps*partsStep
	if g.sharedA {
		g.packA = steps
		if !g.transA {
			g.packA = ceilDiv(g.m, partsEdge)
		}
		sizeA = ceilDiv(g.m, partsEdge) * steps * partsStep
	}
	shared := words(b.shared.take(lines(sizeA/2) + lines(sizeB/2)))
	g.packedA, g.packedB = shared[:sizeA], shared[2*lines(sizeA/2):]
}

func (g *partsJob) run(w *worker, task int) {
	switch {
	case g.mirroring:
		mirror(g.set, g.c, task*maxRows, min((task+1)*maxRows, g.m))
	case task < g.packB:
		g.packTaskB(w, task)
		g.packsDone.Add(1)
	case task < g.packB+g.packA:
		g.packTaskA(w, task-g.packB)
		g.packsDone.Add(1)
	default:
		for g.packsDone.Load() < int64(g.packB+g.packA) {
			runtime.Gosched() // the last ones are being packed
		}
		g.multiplyBlock(w, task-g.packB-g.packA)
	}
}

// packTaskB packs a step for every panel, or a panel of a transposed B: both read
// along rows.
func (g *partsJob) packTaskB(w *worker, task int) {
	b, e, steps := g.b, g.set.engine, stepsOf(g.k1-g.k0)
	stage := w.scratch.take(stageFloats(partsEdge))
	if g.transB {
		j := g.j0 + task*partsEdge
		e.packPanelTransposed(g.set, g.packedB[task*steps*partsStep:], b.data[j*b.stride+g.k0:], b.stride, g.k1-g.k0, min(partsEdge, g.j1-j), stage)
		return
	}
	p := g.k0 + task*partsEdge
	e.packPanels(g.packedB[task*partsStep:], steps*partsStep, b.data[p*b.stride+g.j0:], b.stride, min(partsEdge, g.k1-p), g.j1-g.j0, stage)
}

// packTaskA packs a strip, or a step for every strip of a transposed A.
func (g *partsJob) packTaskA(w *worker, task int) {
	a, e, steps := g.a, g.set.engine, stepsOf(g.k1-g.k0)
	stage := w.scratch.take(stageFloats(g.k1 - g.k0))
	if g.transA {
		p := g.k0 + task*partsEdge
		e.packStrips(g.set, g.packedA[task*partsStep:], steps*partsStep, a.data[p*a.stride:], a.stride, true, g.m, min(partsEdge, g.k1-p), g.alpha, stage)
		return
	}
	i := task * partsEdge
	e.packStrips(g.set, g.packedA[task*steps*partsStep:], 0, a.data[i*a.stride+g.k0:], a.stride, false, min(partsEdge, g.m-i), g.k1-g.k0, g.alpha, stage)
}

// multiplyBlock computes one task's block of C.
func (g *partsJob) multiplyBlock(w *worker, task int) {
	i0 := task % g.rowBlocks * g.rows
	i1 := min(i0+g.rows, g.m)
	j0 := g.j0 + task/g.rowBlocks*g.cols
	j1 := min(j0+g.cols, g.j1)
	if g.symmetric && j0 >= i1 {
		return // above the diagonal
	}
	x := blockOf{e: g.set.engine, t: &w.block, c: g.c, symmetric: g.symmetric, i0: i0, i1: i1, beta: g.beta, add: g.add}
	if x.beta != 0 && x.beta != 1 {
		g.scaleAdd(i0, i1, j0, j1)
		x.beta, x.add = 1, g.c
	}
	depth := min(stepsOf(g.k1-g.k0)*partsEdge, partsDepth)
	own := w.scratch.take(g.rows*3*depth/2 + stageFloats(depth) + partsEdge*partsEdge)
	packed := cutWords(&own, g.rows*3*depth)
	stage := cut(&own, stageFloats(depth))
	x.corner = own
	steps := stepsOf(g.k1 - g.k0)
	for p := g.k0; p < g.k1; p += partsDepth {
		k := min(partsDepth, g.k1-p)
		x.t.steps = stepsOf(k)
		x.a, x.t.aStrip = g.loadA(packed, stage, i0, i1, p, k)
		for j := j0; j < j1; j += partsEdge {
			x.t.b = g.packedB[((j-g.j0)/partsEdge*steps+(p-g.k0)/partsEdge)*partsStep:]
			x.t.next = x.t.b[min(steps*partsStep, len(x.t.b)-1):]
			x.panel(j, min(partsEdge, j1-j))
		}
		x.beta, x.add = 1, g.c
	}
}

// scaleAdd is C = beta Add in a block.
func (g *partsJob) scaleAdd(i0, i1, j0, j1 int) {
	for i := i0; i < i1; i++ {
		add := g.add.row(i)[j0:j1]
		g.set.combine(g.c.row(i)[j0:j1], add, add, g.beta, 0)
	}
}

// loadA returns the strips of the rows [i0, i1) with k terms from p on, and their
// distance.
func (g *partsJob) loadA(packed []uint16, stage []float32, i0, i1, p, k int) ([]uint16, int) {
	if g.sharedA {
		steps := stepsOf(g.k1 - g.k0)
		return g.packedA[(i0/partsEdge*steps+(p-g.k0)/partsEdge)*partsStep:], steps * partsStep
	}
	a, aStrip := g.a, stepsOf(k)*partsStep
	from := a.data[p:]
	if g.transA {
		from = a.data[p*a.stride+i0:]
	} else {
		from = from[i0*a.stride:]
	}
	g.set.engine.packStrips(g.set, packed, aStrip, from, a.stride, g.transA, i1-i0, k, g.alpha, stage)
	return packed, aStrip
}

// blockOf is the rows [i0, i1) of c while some terms are added to beta add.
type blockOf struct {
	e         *engine
	t         *partsBlock // with the panel and the number of steps
	a         []uint16    // strips
	c, add    matrix
	beta      float32 // 0 or 1
	i0, i1    int
	symmetric bool      // blocks above the diagonal are not wanted
	corner    []float32 // 32 x 32
}

// panel adds to the columns [j, j+n). Whole blocks are computed in place, others by way
// of corner.
func (x *blockOf) panel(j, n int) {
	i := x.i0
	if x.symmetric {
		i = max(i, j/partsEdge*partsEdge) // blocks before it are above the diagonal
	}
	strips := 0
	if n == partsEdge {
		strips = max(0, x.i1-i) / partsEdge
	}
	if t := x.t; strips > 0 {
		t.a, t.strips = x.a[(i-x.i0)/partsEdge*t.aStrip:], strips
		t.store, t.storeRow = x.c.data[i*x.c.stride+j:], x.c.stride
		t.load = nil
		if x.beta != 0 {
			t.load, t.loadRow = x.add.data[i*x.add.stride+j:], x.add.stride
		}
		x.e.multiply(t)
	}
	for i += strips * partsEdge; i < x.i1; i += partsEdge {
		x.edge(i, j, min(partsEdge, x.i1-i), n)
	}
}

// edge computes a block of m x n elements in corner, and copies it.
func (x *blockOf) edge(i, j, m, n int) {
	t := x.t
	t.a, t.strips = x.a[(i-x.i0)/partsEdge*t.aStrip:], 1
	t.store, t.storeRow, t.load, t.loadRow = x.corner, partsEdge, nil, partsEdge
	if x.beta != 0 {
		t.load = x.corner
		packRows(x.corner, partsEdge, x.add.data[i*x.add.stride+j:], x.add.stride, m, n)
	}
	x.e.multiply(t)
	for r := range m {
		copy(x.c.data[(i+r)*x.c.stride+j:][:n], x.corner[r*partsEdge:])
	}
}
