package cpu

import "parallax/kernels"

// The blocking of a product, in elements. A panel of B (kBlock x nr) is read
// from L2 while a strip of A (mr x kBlock) stays in L1; a task's block of A
// (rowsPerTask x kBlock) stays in L2.
const (
	kBlock      = 384
	nBlock      = 4096 // columns of B packed at once
	rowsPerTask = 96
	colsPerTask = 512
)

// gemmJob computes C = alpha op(A) op(B) + beta Add, one block of k at a time:
// all tasks pack B, then all tasks compute blocks of C.
type gemmJob struct {
	set          *kernelSet
	a, b, c, add matrix
	transA       bool
	transB       bool
	symmetric    bool
	alpha, beta  float32
	m, n, k      int

	phase      gemmPhase
	packed     []float32 // panels of nr columns: packed[panel][p][nr]
	j0, j1     int       // columns in packed
	p0, p1     int       // k range in packed
	rowBlocks  int
	colsInTask int
}

type gemmPhase int

const (
	packB gemmPhase = iota
	multiply
	mirror
)

// MatMul is C = Alpha op(A) op(B) + Beta Add.
func (b *Backend) MatMul(op kernels.MatMul) {
	kernels.Must(op.Check())
	g := &b.gemm
	*g = gemmJob{set: b.kernels, a: view(op.A), b: view(op.B), c: view(op.C),
		transA: op.TransA, transB: op.TransB, symmetric: op.Symmetric,
		alpha: float32(op.Alpha), beta: float32(op.Beta)}
	g.m, g.n, g.k = op.Dims()
	if g.beta != 0 {
		g.add = view(op.Add)
	}
	if g.m == 0 || g.n == 0 {
		return
	}
	for g.j0 = 0; g.j0 < g.n; g.j0 = g.j1 {
		g.j1 = min(g.j0+nBlock, g.n)
		b.gemmColumns(g)
	}
	if g.symmetric {
		g.phase = mirror
		b.pool.run(ceilDiv(g.m, rowsPerTask), g)
	}
}

// gemmColumns computes columns [j0, j1) of C, block of k by block of k.
func (b *Backend) gemmColumns(g *gemmJob) {
	panels := ceilDiv(g.j1-g.j0, g.set.nr)
	g.packed = b.shared.take(panels * g.set.nr * min(kBlock, g.k))
	g.rowBlocks = ceilDiv(g.m, rowsPerTask)
	g.colsInTask = colsPerTask
	add, beta := g.add, g.beta
	for g.p0 = 0; ; g.p0 = g.p1 {
		g.p1 = min(g.p0+kBlock, g.k)
		g.phase = packB
		b.pool.run(panels, g)
		g.phase = multiply
		b.pool.run(g.rowBlocks*ceilDiv(g.j1-g.j0, g.colsInTask), g)
		if g.p1 == g.k {
			break
		}
		g.add, g.beta = g.c, 1
	}
	g.add, g.beta = add, beta
}

func (g *gemmJob) run(w *worker, task int) {
	switch g.phase {
	case packB:
		g.packPanel(task)
	case multiply:
		g.multiply(w, task)
	case mirror:
		g.mirror(task)
	}
}

// packPanel copies k range [p0, p1) of nr columns of op(B) next to each other.
func (g *gemmJob) packPanel(panel int) {
	nr, k := g.set.nr, g.p1-g.p0
	dst := g.packed[panel*nr*k:][:nr*k]
	j := g.j0 + panel*nr
	n := min(nr, g.j1-j)
	if g.transB {
		packTransposed(dst, nr, g.b.data[j*g.b.stride+g.p0:], g.b.stride, n, k)
	} else {
		packRows(dst, nr, g.b.data[g.p0*g.b.stride+j:], g.b.stride, k, n)
	}
}

// multiply computes one block of rows times one block of columns.
func (g *gemmJob) multiply(w *worker, task int) {
	set, k := g.set, g.p1-g.p0
	i0 := task % g.rowBlocks * rowsPerTask
	i1 := min(i0+rowsPerTask, g.m)
	j0 := g.j0 + task/g.rowBlocks*g.colsInTask
	j1 := min(j0+g.colsInTask, g.j1)
	t := &w.tile
	*t = tile{aRow: g.a.stride, aCol: 1, bRow: set.nr, cRow: g.c.stride, addRow: g.add.stride, k: k, alpha: g.alpha, beta: g.beta}
	if g.transA {
		t.aRow, t.aCol = 1, g.a.stride
	}
	for j := j0; j < j1; j += set.nr {
		t.n = min(set.nr, j1-j)
		t.b = g.packed[(j-g.j0)*k:]
		for i := i0; i < i1; i += set.mr {
			t.m = min(set.mr, i1-i)
			if g.symmetric && j >= i+t.m {
				continue // above the diagonal
			}
			t.a = g.a.data[i*t.aRow+g.p0*t.aCol:]
			t.c = g.c.data[i*t.cRow+j:]
			if t.beta != 0 {
				t.add = g.add.data[i*t.addRow+j:]
			}
			set.tile(t)
		}
	}
}

// mirror copies the lower triangle to the upper one, for one block of rows.
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
