package cpu

import (
	"runtime"
	"sync/atomic"

	"parallax/kernels"
)

// The blocking of a product, in elements. A task computes a block of
// rowsPerTask rows of C and some columns, kBlock terms of the sums at a time: its
// part of A (rowsPerTask x kBlock) stays in L2, a panel of B (kBlock x nr) is
// used by all strips of mr rows before the next.
const (
	kBlock      = 384
	rowsPerTask = 96
	// packRowsPerTask rows of B are packed in one task; it divides kBlock.
	packRowsPerTask = 64
	// packFloats bounds the packed B: wider products are computed in several
	// groups of columns.
	packFloats = 8 << 20
	// reuseToPackA is the number of panels that must read a block of A before a
	// copy of it pays.
	reuseToPackA = 4
)

// aStride is the distance of rows in a packed block of A that is not transposed:
// no multiple of 4 KiB, so that rows do not share cache sets.
const aStride = kBlock + cacheLine/4

// gemmJob computes C = alpha op(A) op(B) + beta Add for a group of columns. The
// first tasks pack B; the others multiply, and wait until all of B is packed.
type gemmJob struct {
	set            *kernelSet
	a, b, c, add   matrix
	transA, transB bool
	symmetric      bool
	mirroring      bool
	alpha, beta    float32
	m, n, k        int

	j0, j1      int // columns of the group
	panels      int // of nr columns in the group
	packTasks   int
	packsDone   atomic.Int64
	packed      []float32 // [k block][panel][k][nr]
	rowBlocks   int
	colsPerTask int
}

// MatMul is C = Alpha op(A) op(B) + Beta Add.
func (b *Backend) MatMul(op kernels.MatMul) {
	kernels.Must(op.Check())
	g := &b.gemm
	g.set, g.a, g.b, g.c = b.kernels, view(op.A), view(op.B), view(op.C)
	g.transA, g.transB, g.symmetric = op.TransA, op.TransB, op.Symmetric
	g.alpha, g.beta = float32(op.Alpha), float32(op.Beta)
	g.m, g.n, g.k = op.Dims()
	if g.beta != 0 {
		g.add = view(op.Add)
	}
	if g.m == 0 || g.n == 0 {
		return
	}
	b.multiply(g)
	if g.symmetric {
		g.mirroring = true
		b.pool.run(ceilDiv(g.m, rowsPerTask), g)
		g.mirroring = false
	}
}

// multiply runs the groups of columns.
func (b *Backend) multiply(g *gemmJob) {
	nr := g.set.nr
	groupCols := max(packFloats/max(g.k, 1)/nr, 1) * nr
	for g.j0 = 0; g.j0 < g.n; g.j0 = g.j1 {
		g.j1 = min(g.j0+groupCols, g.n)
		g.panels = ceilDiv(g.j1-g.j0, nr)
		g.packed = b.shared.take(g.panels * nr * g.k)
		g.packTasks = g.panels
		if !g.transB {
			g.packTasks = ceilDiv(g.k, packRowsPerTask)
		}
		g.packsDone.Store(0)
		g.rowBlocks = ceilDiv(g.m, rowsPerTask)
		g.colsPerTask = g.columnsPerTask(len(b.pool.workers))
		b.pool.run(g.packTasks+g.rowBlocks*ceilDiv(g.j1-g.j0, g.colsPerTask), g)
	}
}

// columnsPerTask is as wide as leaves several tasks for every thread, up to 16
// panels. Nothing but speed depends on it.
func (g *gemmJob) columnsPerTask(threads int) int {
	const tasksPerThread, mostPanels = 6, 64
	blocks := ceilDiv(tasksPerThread*threads, g.rowBlocks)
	return min(max(g.panels/blocks, 1), mostPanels) * g.set.nr
}

func (g *gemmJob) run(w *worker, task int) {
	switch {
	case g.mirroring:
		g.mirror(task)
	case task < g.packTasks:
		g.pack(task)
		g.packsDone.Add(1)
	default:
		for g.packsDone.Load() < int64(g.packTasks) {
			runtime.Gosched() // the last panels are being packed
		}
		g.multiplyBlock(w, task-g.packTasks)
	}
}

// panel is where a k range of nr columns of op(B) lies packed.
func (g *gemmJob) panel(p0, p1, panel int) []float32 {
	return g.packed[p0*g.panels*g.set.nr+panel*(p1-p0)*g.set.nr:]
}

// pack does one packing task: a panel, for every k range, of a transposed B; some
// rows, for every panel, of one that is not. So both read B along its rows.
func (g *gemmJob) pack(task int) {
	nr, b := g.set.nr, g.b
	if !g.transB {
		p := task * packRowsPerTask
		p0 := p / kBlock * kBlock
		p1 := min(p0+kBlock, g.k)
		dst := g.panel(p0, p1, 0)[(p-p0)*nr:]
		packPanels(g.set, dst, (p1-p0)*nr, b.data[p*b.stride+g.j0:], b.stride, min(packRowsPerTask, g.k-p), g.j1-g.j0)
		return
	}
	j := g.j0 + task*nr
	for p0 := 0; p0 < g.k; p0 += kBlock {
		p1 := min(p0+kBlock, g.k)
		packTransposed(g.set, g.panel(p0, p1, task), nr, b.data[j*b.stride+p0:], b.stride, min(nr, g.j1-j), p1-p0)
	}
}

// multiplyBlock computes one block of C.
func (g *gemmJob) multiplyBlock(w *worker, task int) {
	i0 := task % g.rowBlocks * rowsPerTask
	i1 := min(i0+rowsPerTask, g.m)
	j0 := g.j0 + task/g.rowBlocks*g.colsPerTask
	j1 := min(j0+g.colsPerTask, g.j1)
	if g.symmetric && j0 >= i1 {
		return // above the diagonal
	}
	t := &w.tile
	*t = tile{bRow: g.set.nr, cRow: g.c.stride, addRow: g.add.stride, alpha: g.alpha, beta: g.beta}
	add := g.add
	for p0 := 0; p0 == 0 || p0 < g.k; p0 += kBlock {
		p1 := min(p0+kBlock, g.k)
		t.k = p1 - p0
		a := g.loadA(w, i0, i1, p0, p1, j1-j0)
		g.multiplyPanels(t, a, add, i0, i1, j0, j1, p0, p1)
		add, t.addRow, t.beta = g.c, g.c.stride, 1
	}
}

// loadA returns rows [i0, i1) and columns [p0, p1) of op(A), and sets the tile's
// strides: packed where enough columns of B will read it, else as it lies.
func (g *gemmJob) loadA(w *worker, i0, i1, p0, p1, cols int) []float32 {
	t, a := &w.tile, g.a
	from, aRow, aCol := i0*a.stride+p0, a.stride, 1
	if g.transA {
		from, aRow, aCol = p0*a.stride+i0, 1, a.stride
	}
	t.aRow, t.aCol = aRow, aCol
	if cols < reuseToPackA*g.set.nr {
		return a.data[from:]
	}
	packed := w.scratch.take(rowsPerTask * aStride)
	if g.transA {
		t.aCol = rowsPerTask
		packRows(packed, rowsPerTask, a.data[from:], a.stride, p1-p0, i1-i0)
	} else {
		t.aRow = aStride
		packRows(packed, aStride, a.data[from:], a.stride, i1-i0, p1-p0)
	}
	return packed
}

// multiplyPanels adds the terms [p0, p1) to the block [i0, i1) x [j0, j1).
func (g *gemmJob) multiplyPanels(t *tile, a []float32, add matrix, i0, i1, j0, j1, p0, p1 int) {
	set := g.set
	for j := j0; j < j1; j += set.nr {
		t.n = min(set.nr, j1-j)
		t.b = g.panel(p0, p1, (j-g.j0)/set.nr)
		for i := i0; i < i1; i += set.mr {
			t.m = min(set.mr, i1-i)
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

// mirror copies the lower triangle to the upper one, for one block of rows of the
// latter.
func (g *gemmJob) mirror(task int) {
	c, i0 := g.c, task*rowsPerTask
	i1 := min(i0+rowsPerTask, g.m)
	for j := i0; j < g.n; j++ {
		from := c.data[j*c.stride:]
		for i := i0; i < min(i1, j); i++ {
			c.data[i*c.stride+j] = from[i]
		}
	}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
