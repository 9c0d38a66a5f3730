//go:build cuda

package cuda

// #include "shim.h"
import "C"

import (
	"fmt"

	"parallax/kernels"
)

// blas is cuBLASLt with its workspace and, for each shape met, the algorithm that
// its heuristic chose. The queue's goroutine alone uses the plans.
type blas struct {
	b         *Backend
	lib       *C.px_blas
	workspace *buffer
	plans     map[product]*C.px_plan // nil: the library has no algorithm
}

// blasWorkspace is what NVIDIA recommends for Hopper.
const blasWorkspace = 32 << 20

func newBlas(b *Backend) (*blas, error) {
	n, path, err := bindBlas()
	if err != nil {
		return nil, err
	}
	err = b.queue.call(func() error { return blasError("start", C.px_blas_create(n)) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	workspace, err := b.alloc(kernels.F32, blasWorkspace/4)
	if err != nil {
		return nil, err
	}
	return &blas{b: b, lib: n, workspace: workspace, plans: map[product]*C.px_plan{}}, nil
}

// bindBlas finds the library.
func bindBlas() (*C.px_blas, string, error) {
	lib, path, err := findLibrary("cublasLt", "nvidia-cublas")
	if err != nil {
		return nil, "", err
	}
	var missing *C.char
	n := C.px_blas_bind(lib, &missing)
	if n == nil {
		return nil, "", fmt.Errorf("%s has no %s: CUDA 11.1 or newer is needed", path, C.GoString(missing))
	}
	return n, path, nil
}

func (l *blas) close() {
	l.b.queue.call(func() error {
		for _, p := range l.plans {
			if p != nil {
				C.px_plan_destroy(l.lib, p)
			}
		}
		C.px_blas_destroy(l.lib)
		return nil
	})
	l.workspace.Free()
}

// blasVersion is cuBLASLt's, as "13.1".
func blasVersion(lib *C.px_blas) string {
	v := int(C.px_blas_version(lib))
	return fmt.Sprintf("%d.%d", v/10000, v/100%100)
}

func blasError(what string, code C.int) error {
	if code == 0 {
		return nil
	}
	return fmt.Errorf("cuBLASLt cannot %s: status %d", what, int(code))
}

// product is all that the choice of an algorithm depends on.
type product struct {
	m, n, k                    int
	sa, sb, sc, sadd           int // strides
	transA, transB             bool
	typeAB, typeC              kernels.DType
	alignA, alignB, alignC, al int // bytes that the addresses are multiples of; al: Add
}

// alignment is the largest power of two, up to 256, that divides an address.
func alignment(s *buffer) int {
	p := uint64(s.ptr) | 256
	return int(p & -p)
}

// MatMul computes C = alpha op(A) op(B) + beta Add. It makes nothing of a symmetric
// result: cuBLASLt has no product that leaves half of one out, and three smaller ones
// take longer than the whole (BenchmarkSymmetric).
func (b *Backend) MatMul(op kernels.MatMul) {
	kernels.Must(op.Check())
	m, n, k := op.Dims()
	if m == 0 || n == 0 {
		return
	}
	ab, cd := op.A.Buf.DType(), op.C.Buf.DType()
	g := gemm{
		c: b.mat("matmul C", op.C, cd), a: b.mat("matmul A", op.A, ab), b: b.mat("matmul B", op.B, ab),
		alpha: op.Alpha, beta: op.Beta,
	}
	g.add = g.c
	if op.Beta != 0 {
		g.add = b.mat("matmul Add", op.Add, cd)
	}
	g.shape = product{
		m: m, n: n, k: k, sa: g.a.stride, sb: g.b.stride, sc: g.c.stride, sadd: g.add.stride,
		transA: op.TransA, transB: op.TransB, typeAB: ab, typeC: cd,
		alignA: alignment(g.a.buf), alignB: alignment(g.b.buf), alignC: alignment(g.c.buf), al: alignment(g.add.buf),
	}
	b.gemm("matmul", g)
}

// gemm is a matrix product whose arguments have been checked.
type gemm struct {
	shape        product
	c, a, b, add matrix
	alpha, beta  float64
}

func (b *Backend) gemm(what string, g gemm) {
	b.queue.do(what, func() error {
		plan, err := b.blas.plan(g.shape)
		if err != nil {
			return err
		}
		if plan == nil {
			return b.simpleGemm(g)
		}
		// cuBLASLt counts columns first: a row-major product is the product of the
		// transposes in the other order.
		return b.issue(productLaunch{
			plan: plan, a: g.b.buf.ptr, b: g.a.buf.ptr, c: g.add.buf.ptr, d: g.c.buf.ptr,
			alpha: float32(g.alpha), beta: float32(g.beta),
		})
	})
}

// plan returns the algorithm for a shape, or nil where the library has none.
func (l *blas) plan(p product) (*C.px_plan, error) {
	plan, known := l.plans[p]
	if known {
		return plan, nil
	}
	if p.k > 0 && (p.typeAB == p.typeC || p.typeAB == kernels.BF16) {
		shape := p.columnMajor()
		code := C.px_plan_create(l.lib, &shape, blasWorkspace, &plan)
		const notSupported = 15
		if code != 0 && code != notSupported {
			return nil, blasError(fmt.Sprintf("plan a product of %dx%d by %dx%d", p.m, p.k, p.k, p.n), code)
		}
	}
	l.plans[p] = plan
	return plan, nil
}

// columnMajor is the shape as cuBLASLt counts it, with A and B exchanged.
func (p product) columnMajor() C.px_gemm_shape {
	return C.px_gemm_shape{
		m: C.int64_t(p.n), n: C.int64_t(p.m), k: C.int64_t(p.k),
		lda: C.int64_t(p.sb), ldb: C.int64_t(p.sa), ldc: C.int64_t(p.sadd), ldd: C.int64_t(p.sc),
		trans_a: operation(p.transB), trans_b: operation(p.transA),
		type_ab: dataType(p.typeAB), type_cd: dataType(p.typeC),
		align_a: C.int32_t(p.alignB), align_b: C.int32_t(p.alignA), align_c: C.int32_t(p.al), align_d: C.int32_t(p.alignC),
	}
}

// operation and dataType are cublasOperation_t and cudaDataType_t.
func operation(trans bool) C.int32_t {
	if trans {
		return 1
	}
	return 0
}

func dataType(d kernels.DType) C.int32_t {
	if d == kernels.BF16 {
		return 14
	}
	return 0
}

// simpleGemm is for what cuBLASLt does not do: rows that start at odd addresses,
// float32 in and bfloat16 out, no terms.
func (b *Backend) simpleGemm(g gemm) error {
	s := g.shape
	p := program{"gemm", fmt.Sprintf("AB=%s CD=%s %s %s", typeName(s.typeAB), typeName(s.typeC), flag("TRANS_A", s.transA), flag("TRANS_B", s.transB))}
	tiles := grid{x: (s.n + 31) / 32, y: (s.m + 31) / 32, z: 1, threads: 256}
	return b.launch(p, tiles, ptr(g.c.buf), ptr(g.a.buf), ptr(g.b.buf), ptr(g.add.buf),
		num(s.m), num(s.n), num(s.k), num(s.sc), num(s.sa), num(s.sb), num(s.sadd), real(g.alpha), real(g.beta))
}
