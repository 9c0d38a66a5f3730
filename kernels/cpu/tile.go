package cpu

// tile is one call of the micro-kernel: an m x n block of
//
//	C = alpha A B + beta Add
//
// with A(i,p) at a[i*aRow + p*aCol], B(p,j) at b[p*bRow + j], C(i,j) at
// c[i*cRow + j], Add(i,j) at add[i*addRow + j] (read only when beta is not 0),
// for 0 <= i < m <= the kernel set's mr, 0 <= j < n <= its nr, 0 <= p < k.
// A product is summed over p in increasing order with fused multiply-adds where
// the instruction set has them. Nothing outside the stated elements is touched.
//
// next, if not nil, is memory that a later call will read: a cache line of it is
// prefetched for every 4 steps of p.
//
// The assembly reads these fields at the offsets checked in tile_test.go.
type tile struct {
	a, b, c, add []float32
	aRow, aCol   int
	bRow         int
	cRow, addRow int
	m, n, k      int
	alpha, beta  float32
	next         []float32
}

// tilePortable is the micro-kernel in Go, by 2 x 4 registers.
func tilePortable(t *tile) {
	for i := 0; i < t.m; i += 2 {
		for j := 0; j < t.n; j += 4 {
			if i+2 <= t.m && j+4 <= t.n {
				t.block2x4(i, j)
			} else {
				t.edge(i, min(i+2, t.m), j, min(j+4, t.n))
			}
		}
	}
}

// block2x4 computes rows i, i+1 and columns j..j+3.
func (t *tile) block2x4(i, j int) {
	var c00, c01, c02, c03, c10, c11, c12, c13 float32
	a0, a1 := t.a[i*t.aRow:], t.a[(i+1)*t.aRow:]
	for p := range t.k {
		b := t.b[p*t.bRow+j:][:4]
		x, y := a0[p*t.aCol], a1[p*t.aCol]
		c00 += x * b[0]
		c01 += x * b[1]
		c02 += x * b[2]
		c03 += x * b[3]
		c10 += y * b[0]
		c11 += y * b[1]
		c12 += y * b[2]
		c13 += y * b[3]
	}
	t.store(i, j, c00, c01, c02, c03)
	t.store(i+1, j, c10, c11, c12, c13)
}

// edge computes the rows [i0, i1) and columns [j0, j1) one by one.
func (t *tile) edge(i0, i1, j0, j1 int) {
	for i := i0; i < i1; i++ {
		for j := j0; j < j1; j++ {
			var sum float32
			for p := range t.k {
				sum += t.a[i*t.aRow+p*t.aCol] * t.b[p*t.bRow+j]
			}
			t.store(i, j, sum)
		}
	}
}

func (t *tile) store(i, j int, sums ...float32) {
	c := t.c[i*t.cRow+j:]
	for x, sum := range sums {
		v := t.alpha * sum
		if t.beta != 0 {
			v += t.beta * t.add[i*t.addRow+j+x]
		}
		c[x] = v
	}
}
