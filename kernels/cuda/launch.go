//go:build cuda

package cuda

// #include "shim.h"
import "C"

import (
	"encoding/binary"
	"fmt"
	"math"

	"gorgonia.org/cu"
	"parallax/kernels"
)

// kernel is a program loaded on the GPU.
type kernel struct {
	module cu.Module
	fn     cu.Function
	shared int // dynamic shared memory it has been allowed
}

// sharedDefault is what a kernel may use without being allowed more.
const sharedDefault = 48 << 10

// load returns a program, ready to launch with so much shared memory.
func (b *Backend) load(p program, shared int) (kernel, error) {
	k, ok := b.kernels[p]
	if !ok {
		image, err := p.build(b.arch)
		if err != nil {
			return kernel{}, err
		}
		if k.module, err = cu.LoadData(string(image)); err != nil {
			return kernel{}, fmt.Errorf("load kernel %v: %w", p, err)
		}
		if k.fn, err = k.module.Function(p.name); err != nil {
			return kernel{}, fmt.Errorf("find kernel %v in its module: %w", p, err)
		}
		k.shared = sharedDefault
		b.kernels[p] = k
	}
	if shared > k.shared {
		if err := allowShared(k.fn, shared); err != nil {
			return kernel{}, fmt.Errorf("allow kernel %v %d bytes of shared memory: %w", p, shared, err)
		}
		k.shared = shared
		b.kernels[p] = k
	}
	return k, nil
}

// grid is how many blocks of how many threads are launched.
type grid struct {
	x, y, z int
	threads int
	shared  int // bytes of dynamic shared memory a block
}

// blocks is a grid of n blocks in a row.
func blocks(n, threads int) grid { return grid{x: n, y: 1, z: 1, threads: threads} }

// each is a grid whose threads step through n items.
func (b *Backend) each(n int) grid {
	return blocks(max(1, min((n+255)/256, 16*b.units)), 256)
}

// launch runs a program on the compute stream; on the queue's goroutine. Each
// argument fills 8 bytes, of which a kernel reads as many as its parameter has.
func (b *Backend) launch(p program, g grid, args ...uint64) error {
	return b.launchMaps(p, g, nil, args...)
}

// launchMaps runs a program whose first parameters are tensor maps. It does not use
// cu's Launch: that writes pointers into fresh C memory from Go, where the garbage
// collector takes what lay there before for a Go pointer and may stop the process.
func (b *Backend) launchMaps(p program, g grid, maps []tensorMap, args ...uint64) error {
	k, err := b.load(p, g.shared)
	if err != nil {
		return err
	}
	l := &kernelLaunch{
		program: p, fn: k.fn, grid: g,
		block: make([]byte, 0, len(maps)*len(tensorMap{})+8*len(args)), offsets: make([]C.uint, 0, len(maps)+len(args)),
	}
	for i := range maps {
		l.offsets = append(l.offsets, C.uint(len(l.block)))
		l.block = append(l.block, maps[i][:]...)
	}
	for _, a := range args {
		l.offsets = append(l.offsets, C.uint(len(l.block)))
		l.block = binary.NativeEndian.AppendUint64(l.block, a)
	}
	return b.issue(l)
}

// ptr, num and real are arguments of a launch: an address (0 for a buffer that is
// left out), an integer, a float.
func ptr(s *buffer) uint64 {
	if s == nil {
		return 0
	}
	return uint64(s.ptr)
}

func num(n int) uint64      { return uint64(int64(n)) }
func real(x float64) uint64 { return uint64(math.Float32bits(float32(x))) }

// flag writes a macro that is 0 or 1.
func flag(name string, on bool) string {
	if on {
		return name + "=1"
	}
	return name + "=0"
}

// typeName is an element type in CUDA C++.
func typeName(d kernels.DType) string {
	switch d {
	case kernels.F32:
		return "float"
	case kernels.BF16:
		return "bf16"
	}
	panic(fmt.Sprintf("kernels: %v is not a type that the CUDA backend computes with", d))
}

// matrix is a kernels.Matrix with its buffer as this backend knows it.
type matrix struct {
	buf        *buffer
	rows, cols int
	stride     int
}

// mat checks a matrix's type; the zero Matrix stays zero.
func (b *Backend) mat(op string, m kernels.Matrix, want kernels.DType) matrix {
	if m.Empty() {
		return matrix{}
	}
	return matrix{buf: b.typed(op, m.Buf, want), rows: m.Rows, cols: m.Cols, stride: m.Stride}
}

// typed checks a buffer's type; nil stays nil.
func (b *Backend) typed(op string, buf kernels.Buffer, want kernels.DType) *buffer {
	if buf == nil {
		return nil
	}
	s := b.own(op, buf)
	if s.dtype != want {
		panic(fmt.Sprintf("kernels: %s: a buffer of %v where the CUDA backend wants %v", op, s.dtype, want))
	}
	return s
}

// run is how many bf16 elements of each of the matrices one access may cover: 8,
// or 1 where a row does not start at 16 bytes or is not whole runs.
func run(cols int, ms ...matrix) int {
	if cols%8 != 0 {
		return 1
	}
	for _, m := range ms {
		if m.buf != nil && (m.stride%8 != 0 || uint64(m.buf.ptr)%16 != 0) {
			return 1
		}
	}
	return 8
}
