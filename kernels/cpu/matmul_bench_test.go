package cpu

import (
	"fmt"
	"testing"

	"parallax/kernels"
)

// gemmShapes are those of a training step and of attention, by op, M, N, K.
var gemmShapes = []struct {
	op      string
	m, n, k int
}{
	{"NT", 2048, 384, 384}, {"NT", 2048, 1152, 384}, {"NT", 2048, 1536, 384}, {"NT", 2048, 384, 1536},
	{"NT", 2048, 4096, 1024}, {"NT", 2048, 1024, 1024},
	{"NN", 2048, 384, 384}, {"NN", 2048, 384, 1536}, {"NN", 2048, 1536, 384}, {"NN", 2048, 1024, 4096}, {"NN", 2048, 1024, 1024},
	{"TN", 384, 384, 2048}, {"TN", 1536, 384, 2048}, {"TN", 384, 1536, 2048}, {"TN", 4096, 1024, 2048}, {"TN", 1024, 1024, 2048},
	{"NT", 256, 256, 64}, {"NN", 256, 64, 256}, {"NT", 1024, 1024, 64}, {"NN", 1024, 64, 1024}, {"NN", 2048, 2048, 2048},
}

func BenchmarkMatMul(b *testing.B) {
	for _, set := range availableSets() {
		for _, threads := range []int{1, 2} {
			for _, s := range gemmShapes {
				b.Run(fmt.Sprintf("%s/threads=%d/%s_%d_%d_%d", set.key, threads, s.op, s.m, s.n, s.k), func(b *testing.B) {
					dev := openSet(set, threads)
					defer dev.Close()
					op := kernels.MatMul{TransA: s.op[0] == 'T', TransB: s.op[1] == 'T', Alpha: 1,
						A: benchMat(b, dev, s.m, s.k), B: benchMat(b, dev, s.k, s.n), C: benchMat(b, dev, s.m, s.n)}
					if op.TransA {
						op.A = benchMat(b, dev, s.k, s.m)
					}
					if op.TransB {
						op.B = benchMat(b, dev, s.n, s.k)
					}
					dev.MatMul(op)
					measure(b, op.FLOPs(), func() { dev.MatMul(op) })
				})
			}
		}
	}
}

// BenchmarkTile is the micro-kernel alone on operands in L1: the peak that a
// product can reach.
func BenchmarkTile(b *testing.B) {
	const k, calls = 96, 1000
	for _, set := range availableSets() {
		b.Run(set.key, func(b *testing.B) {
			x := &tile{a: alignedFloats(set.mr * k), b: alignedFloats(k * set.nr), c: alignedFloats(set.mr * set.nr),
				aRow: k, aCol: 1, bRow: set.nr, cRow: set.nr, m: set.mr, n: set.nr, k: k, alpha: 1}
			measure(b, int64(2*calls*set.mr*set.nr*k), func() {
				for range calls {
					set.tile(x)
				}
			})
		})
	}
}
