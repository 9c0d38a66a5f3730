// Command asm writes the assembly of package adder, add_amd64.s, and its Go
// declarations, add_amd64.go.
//
// Every loop is described once and emitted for AVX-512 and for AVX2. It takes
// whole turns of four vectors, so the caller sees to the rest. Its Go twin in
// portable.go is its definition.
package main

import (
	"bytes"
	"log"
	"os"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("asm: ")
	ctx := build.NewContext()
	for _, s := range []*simd{{Context: ctx, suffix: "AVX512", lanes: 16, wide: true}, {Context: ctx, suffix: "AVX2", lanes: 8}} {
		s.sums()
		s.bfloat16()
	}
	if err := write(ctx, "../add_amd64"); err != nil {
		log.Fatal(err)
	}
}

// write compiles the context and prints assembly and declarations.
func write(ctx *build.Context, path string) error {
	file, err := ctx.Result()
	if err != nil {
		return err
	}
	if err := pass.Compile.Execute(file); err != nil {
		return err
	}
	cfg := printer.Config{Name: "collective/adder/_asm", Argv: []string{"go", "generate"}, Pkg: "adder"}
	for suffix, p := range map[string]printer.Printer{".s": printer.NewGoAsm(cfg), ".go": printer.NewStubs(cfg)} {
		out, err := p.Print(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path+suffix, bytes.TrimLeft(out, "\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// simd emits loops for one instruction set.
type simd struct {
	*build.Context
	suffix string
	lanes  int // 4-byte elements of a vector
	wide   bool

	i reg.GPVirtual // the element that a turn begins at
}

// unroll is how many vectors a turn of a loop takes.
const unroll = 4

// loop emits a function that runs body for every vector of the slices, whose
// lengths are equal and a multiple of a turn. body is given the vector's number
// in its turn.
func (s *simd) loop(name, signature, doc string, prepare func(), body func(vector int)) {
	s.Function(name + s.suffix)
	s.Attributes(attr.NOSPLIT)
	s.SignatureExpr(signature)
	s.Pragma("noescape")
	s.Doc(name + s.suffix + " " + doc)
	n := s.Load(s.Param("dst").Len(), s.GP64())
	prepare()
	s.i = s.GP64()
	s.XORQ(s.i, s.i)
	s.Label(name + "Loop")
	s.CMPQ(s.i, n)
	s.JGE(operand.LabelRef(name + "Done"))
	for vector := range unroll {
		body(vector)
	}
	s.ADDQ(operand.I32(unroll*s.lanes), s.i)
	s.JMP(operand.LabelRef(name + "Loop"))
	s.Label(name + "Done")
	s.VZEROUPPER()
	s.RET()
}

func (s *simd) vec() reg.VecVirtual {
	if s.wide {
		return s.ZMM()
	}
	return s.YMM()
}

func (s *simd) base(param string) reg.Register { return s.Load(s.Param(param).Base(), s.GP64()) }

// at is a vector of a slice whose elements have width bytes.
func (s *simd) at(base reg.Register, vector, width int) operand.Mem {
	return operand.Mem{Base: base, Index: s.i, Scale: uint8(width), Disp: vector * s.lanes * width}
}

// sums emits dst[i] = a[i] + b[i].
func (s *simd) sums() {
	for _, sum := range []struct {
		name, signature string
		add             func(...operand.Op)
	}{
		{"addF32", "func(dst, a, b []float32)", s.VADDPS},
		{"addI32", "func(dst, a, b []int32)", s.VPADDD},
	} {
		var dst, a, b reg.Register
		s.loop(sum.name, sum.signature, "sets dst[i] = a[i] + b[i] for whole turns.",
			func() { dst, a, b = s.base("dst"), s.base("a"), s.base("b") },
			func(vector int) {
				v := s.vec()
				s.VMOVUPS(s.at(a, vector, 4), v)
				sum.add(s.at(b, vector, 4), v, v)
				s.VMOVUPS(v, s.at(dst, vector, 4))
			})
	}
}
