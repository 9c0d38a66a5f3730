package cpu

import (
	"runtime"
	"sync/atomic"

	"parallax/kernels"
)

// The blocking of a product, in elements. A task computes a block of at most
// maxRows rows of C and some columns, kBlock terms of the sums at a time: its
// part of A (rows x kBlock) stays in L2, a panel of B (kBlock x nr) is used by
// all strips of mr rows before the next.
const (
	kBlock  = 384
	maxRows = 96
	minRows = 48
	// kChunk terms are packed at once, a multiple of kBlock.
	kChunk = 2 * kBlock
	// packFloats bounds the packed B: wider products are computed in several
	// groups of columns.
	packFloats = 8 << 20
	// packedRows rows are packed in one task; it divides kBlock.
	packedRows = 64
	// tasksPerThread are wanted, so that threads end at about the same time.
	tasksPerThread = 8
	// minPanels is the narrowest task, in panels of B.
	minPanels = 2
	// pageFloats is the distance at which addresses fall into one set of an L1
	// cache.
	pageFloats = 1024
	// prefetchLine is the number of floats that the micro-kernel prefetches per step
	// of k: a strip brings its share of the next panel to L2.
	prefetchLine = cacheLine / 4 / 4
	// reuseToPackA is the number of panels that must read a block of A, whose rows
	// are a multiple of pageFloats apart, before a copy of it pays.
	reuseToPackA = 4
)

// aStride is the distance of rows in a packed block of A that is not transposed:
// no multiple of 4 KiB, so that rows do not share cache sets.
const aStride = kBlock + cacheLine/4

// gemmJob computes C = alpha op(A) op(B) + beta Add, for a group of columns and a
// chunk of k at a time. The first tasks pack B, and perhaps A; the others
// multiply, and wait until all is packed.
type gemmJob struct {
	set            *kernelSet
	a, b, c        matrix
	transA, transB bool
	symmetric      bool
	mirroring      bool
	alpha          float32
	m, n, k        int

	beta       float32 // of the chunk, and what it multiplies
	add        matrix
	j0, j1     int // columns of the group
	k0, k1     int // terms of the chunk
	panels     int // of nr columns in the group
	rows, cols int // of a task's block
	rowBlocks  int
	sharedA    bool // A is packed once, by the packing tasks

	packB, packA int // tasks
	packsDone    atomic.Int64
	packedB      []float32 // [k block][panel][k][nr]
	packedA      []float32 // [row block][k][rows]
}

// MatMul is C = Alpha op(A) op(B) + Beta Add.
func (b *Backend) MatMul(op kernels.MatMul) {
	kernels.Must(op.Check())
	g := &b.gemm
	g.set, g.a, g.b, g.c = b.kernels, view(op.A), view(op.B), view(op.C)
	g.transA, g.transB, g.symmetric = op.TransA, op.TransB, op.Symmetric
	g.alpha = float32(op.Alpha)
	g.m, g.n, g.k = op.Dims()
	if g.m == 0 || g.n == 0 {
		return
	}
	if g.set.engine != nil && partsPay(g.m, g.n, g.k) {
		b.partsMatMul(op)
		return
	}
	groupCols := max(packFloats/max(min(g.k, kChunk), 1)/g.set.nr, 1) * g.set.nr
	for g.j0 = 0; g.j0 < g.n; g.j0 = g.j1 {
		g.j1 = min(g.j0+groupCols, g.n)
		b.gemmColumns(float32(op.Beta), op.Add)
	}
	if g.symmetric {
		g.mirroring = true
		b.pool.run(ceilDiv(g.m, maxRows), g)
		g.mirroring = false
	}
}

// gemmColumns computes a group of columns, chunk after chunk of k.
func (b *Backend) gemmColumns(beta float32, add kernels.Matrix) {
	g := &b.gemm
	if g.beta = beta; beta != 0 {
		g.add = view(add)
	}
	g.panels = ceilDiv(g.j1-g.j0, g.set.nr)
	g.shapeTasks(len(b.pool.workers))
	for g.k0, g.k1 = 0, -1; g.k1 < g.k; g.k0 = g.k1 {
		g.k1 = min(g.k0+kChunk, g.k)
		if g.k0 > 0 {
			g.beta, g.add = 1, g.c
		}
		g.layOut(b)
		b.pool.run(g.packB+g.packA+g.rowBlocks*ceilDiv(g.j1-g.j0, g.cols), g)
	}
}

// shapeTasks picks the size of a task's block of C, as large as leaves several
// tasks for every thread. Nothing but speed depends on it.
//
// A is read as it lies where it can be. Where its rows share cache sets, or it is
// transposed, a task packs what it reads, into its core's L2, so the cuts run
// between rows. Where that gives too few tasks, a transposed A is packed once for all:
// short rows of it are slow to copy. (Packing it at once always was slower for
// more than a few blocks of rows, reading it transposed as it lies always.)
func (g *gemmJob) shapeTasks(threads int) {
	want := tasksPerThread * threads
	g.rows = maxRows
	few := ceilDiv(g.m, maxRows) < want
	if few && threads > 1 && !g.transA {
		g.rows = minRows
	}
	g.sharedA = few && g.transA
	g.rowBlocks = ceilDiv(g.m, g.rows)
	g.cols = g.panels * g.set.nr
	if g.sharedA || g.rowBlocks < want/2 {
		g.cols = max(g.panels/ceilDiv(want, g.rowBlocks), minPanels) * g.set.nr
	}
}

// layOut counts the packing tasks of the chunk and cuts the shared scratch.
func (g *gemmJob) layOut(b *Backend) {
	k := g.k1 - g.k0
	g.packsDone.Store(0)
	g.packA, g.packB = 0, g.panels
	if !g.transB {
		g.packB = ceilDiv(k, packedRows)
	}
	sizeA, sizeB := 0, g.panels*g.set.nr*k
	if g.sharedA {
		g.packA, sizeA = ceilDiv(k, packedRows), g.rowBlocks*g.rows*k
	}
	shared := b.shared.take(lines(sizeA) + lines(sizeB))
	g.packedA, g.packedB = cut(&shared, sizeA), cut(&shared, sizeB)
}

func (g *gemmJob) run(w *worker, task int) {
	switch {
	case g.mirroring:
		mirror(g.set, g.c, task*maxRows, min((task+1)*maxRows, g.m))
	case task < g.packB:
		g.packTaskB(task)
		g.packsDone.Add(1)
	case task < g.packB+g.packA:
		g.packTaskA(task - g.packB)
		g.packsDone.Add(1)
	default:
		for g.packsDone.Load() < int64(g.packB+g.packA) {
			runtime.Gosched() // the last ones are being packed
		}
		g.multiplyBlock(w, task-g.packB-g.packA)
	}
}

// panel is where nr columns of op(B) lie packed, for the block of k that starts
// at p0.
func (g *gemmJob) panel(p0, panel int) []float32 {
	nr, k := g.set.nr, min(p0+kBlock, g.k1)-p0
	return g.packedB[(p0-g.k0)*g.panels*nr+panel*k*nr:]
}

// packTaskB packs a panel for every block of k, of a transposed B; some rows for
// every panel, of one that is not. So both read B along its rows.
func (g *gemmJob) packTaskB(task int) {
	nr, b := g.set.nr, g.b
	if !g.transB {
		p := g.k0 + task*packedRows
		p0 := g.k0 + (p-g.k0)/kBlock*kBlock
		k := min(p0+kBlock, g.k1) - p0
		packPanels(g.set, g.panel(p0, 0)[(p-p0)*nr:], k*nr, b.data[p*b.stride+g.j0:], b.stride, min(packedRows, g.k1-p), g.j1-g.j0)
		return
	}
	j := g.j0 + task*nr
	for p0 := g.k0; p0 < g.k1; p0 += kBlock {
		packTransposed(g.set, g.panel(p0, task), nr, b.data[j*b.stride+p0:], b.stride, min(nr, g.j1-j), min(kBlock, g.k1-p0))
	}
}

// packTaskA packs some rows of a transposed A.
func (g *gemmJob) packTaskA(task int) {
	k := g.k1 - g.k0
	for p := task * packedRows; p < min((task+1)*packedRows, k); p++ {
		row := g.a.row(g.k0 + p)
		for i := 0; i < g.m; i += g.rows {
			copy(g.packedA[i*k+p*g.rows:][:g.rows], row[i:])
		}
	}
}

// multiplyBlock computes one block of C.
func (g *gemmJob) multiplyBlock(w *worker, task int) {
	i0 := task % g.rowBlocks * g.rows
	i1 := min(i0+g.rows, g.m)
	j0 := g.j0 + task/g.rowBlocks*g.cols
	j1 := min(j0+g.cols, g.j1)
	if g.symmetric && j0 >= i1 {
		return // above the diagonal
	}
	t := &w.tile
	*t = tile{bRow: g.set.nr, cRow: g.c.stride, addRow: g.add.stride, alpha: g.alpha, beta: g.beta}
	add := g.add
	for p0 := g.k0; p0 == g.k0 || p0 < g.k1; p0 += kBlock {
		t.k = min(kBlock, g.k1-p0)
		a := g.loadA(w, i0, i1, p0, j1-j0)
		g.multiplyPanels(t, a, add, i0, i1, j0, j1, p0)
		add, t.addRow, t.beta = g.c, g.c.stride, 1
	}
}

// loadA returns rows [i0, i1) of op(A) from column p0 on, and sets the tile's
// strides.
func (g *gemmJob) loadA(w *worker, i0, i1, p0, cols int) []float32 {
	t, a := &w.tile, g.a
	switch {
	case g.sharedA:
		t.aRow, t.aCol = 1, g.rows
		return g.packedA[i0*(g.k1-g.k0)+(p0-g.k0)*g.rows:]
	case g.transA:
		t.aRow, t.aCol = 1, g.rows
		packed := w.scratch.take(g.rows * kBlock)
		packRows(packed, g.rows, a.data[p0*a.stride+i0:], a.stride, t.k, i1-i0)
		return packed
	case a.stride%pageFloats != 0 || cols < reuseToPackA*g.set.nr:
		t.aRow, t.aCol = a.stride, 1
		return a.data[i0*a.stride+p0:]
	}
	t.aRow, t.aCol = aStride, 1
	packed := w.scratch.take(g.rows * aStride)
	packRows(packed, aStride, a.data[i0*a.stride+p0:], a.stride, i1-i0, t.k)
	return packed
}

// multiplyPanels adds the terms from p0 on to the block [i0, i1) x [j0, j1).
func (g *gemmJob) multiplyPanels(t *tile, a []float32, add matrix, i0, i1, j0, j1, p0 int) {
	set := g.set
	for j := j0; j < j1; j += set.nr {
		t.n = min(set.nr, j1-j)
		t.b = g.panel(p0, (j-g.j0)/set.nr)
		next := t.b[t.k*set.nr:] // the panel after it
		for i := i0; i < i1; i += set.mr {
			t.m = min(set.mr, i1-i)
			t.next = next[min((i-i0)/set.mr*t.k*prefetchLine, len(next)):]
			if g.symmetric && j >= i+t.m {
				continue // above the diagonal
			}
			t.a = a[(i-i0)*t.aRow:]
			t.c = g.c.data[i*t.cRow+j:]
			if t.beta != 0 {
				t.add = add.data[i*t.addRow+j:]
			}
			set.tile(t)
		}
	}
}

// mirrorRows are the rows of a block that is copied at a time, element by element on
// the diagonal and by vectors beside it.
const mirrorRows = 32

// mirror copies the lower triangle to the rows [i0, i1) of the upper one.
func mirror(set *kernelSet, c matrix, i0, i1 int) {
	for ; i0 < i1; i0 += mirrorRows {
		end := min(i0+mirrorRows, i1)
		for j := i0; j < end; j++ {
			for i := i0; i < j; i++ {
				c.data[i*c.stride+j] = c.data[j*c.stride+i]
			}
		}
		if end < c.cols {
			packTransposed(set, c.data[i0*c.stride+end:], c.stride, c.data[end*c.stride+i0:], c.stride, c.cols-end, end-i0)
		}
	}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
