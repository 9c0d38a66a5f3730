package main

import (
	"fmt"
	"go/token"
	"go/types"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// simd emits vector instructions of one instruction set. A vector is 16 floats
// with AVX-512 and 8 with AVX2.
type simd struct {
	*build.Context
	suffix string
	wide   bool // AVX-512
	lanes  int
	data   map[string]operand.Mem // constants of the file

	// Per function.
	name      string
	tail      operand.Op // mask of the last, partial vector: K or YMM
	constants map[uint32]operand.Op
	labels    int
	looping   bool // in a loop's body
}

// cpuPackage declares the types of package cpu that signatures mention; only
// pointers to them are passed.
var cpuPackage = func() *types.Package {
	pkg := types.NewPackage("", "cpu")
	for _, name := range []string{"tile", "partsBlock", "adamwStep"} {
		obj := types.NewTypeName(token.NoPos, pkg, name, nil)
		types.NewNamed(obj, types.NewStruct(nil, nil), nil)
		pkg.Scope().Insert(obj)
	}
	return pkg
}()

// versions are the instruction sets that a file is emitted for.
func versions(ctx *build.Context) []*simd {
	data := map[string]operand.Mem{}
	return []*simd{
		{Context: ctx, data: data, suffix: "AVX512", wide: true, lanes: 16},
		{Context: ctx, data: data, suffix: "AVX2", lanes: 8},
	}
}

// function starts a function.
func (s *simd) function(name, signature, doc string) {
	s.name = name + s.suffix
	s.Function(s.name)
	s.Attributes(attr.NOSPLIT)
	sig, err := gotypes.ParseSignatureInPackage(cpuPackage, "func"+signature)
	if err != nil {
		panic(err)
	}
	s.Signature(sig)
	s.Pragma("noescape")
	s.Doc(s.name + " " + doc)
	s.tail, s.constants = nil, map[uint32]operand.Op{}
}

// end returns from the function. The upper halves are cleared, so that SSE code
// after it does not stall.
func (s *simd) end() {
	s.VZEROUPPER()
	s.RET()
}

func (s *simd) vec() reg.VecVirtual {
	if s.wide {
		return s.ZMM()
	}
	return s.YMM()
}

// label is a fresh name within the function.
func (s *simd) label(what string) string {
	s.labels++
	return fmt.Sprintf("%s%d", what, s.labels)
}

func (s *simd) zero() reg.VecVirtual {
	v := s.vec()
	if s.wide {
		s.VPXORQ(v, v, v)
	} else {
		s.VXORPS(v, v, v)
	}
	return v
}

// broadcast fills a vector with the float at m.
func (s *simd) broadcast(m operand.Op) reg.VecVirtual {
	v := s.vec()
	s.VBROADCASTSS(m, v)
	return v
}

// words is a table of 4-byte constants, emitted once per file.
func (s *simd) words(name string, bits ...uint32) operand.Mem {
	if m, ok := s.data[name]; ok {
		return m
	}
	m := s.StaticGlobal(name)
	s.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, w := range bits {
		s.AppendDatum(operand.U32(w))
	}
	s.data[name] = m
	return m
}

// wordName names the table of a constant.
func wordName(prefix string, bits uint32) string { return fmt.Sprintf("%s_%08x", prefix, bits) }

// tailMasks is 8 words of ones, then 8 of zeros: the 8 words from word 8-n on
// are the AVX2 mask of n lanes.
func (s *simd) tailMasks() operand.Mem {
	var bits [16]uint32
	for i := range 8 {
		bits[i] = math.MaxUint32
	}
	return s.words("tailMasks", bits[:]...)
}

// setTail sets the mask of n lanes, 0 <= n <= lanes; n is clobbered.
func (s *simd) setTail(n reg.GPVirtual) {
	if s.wide {
		ones := s.GP64()
		s.MOVQ(operand.I32(-1), ones)
		s.BZHIQ(n, ones, ones)
		k := s.K()
		s.KMOVW(ones.As32(), k)
		s.tail = k
		return
	}
	s.NEGQ(n)
	table := s.GP64()
	s.LEAQ(s.tailMasks(), table)
	v := s.YMM()
	s.VMOVUPS(operand.Mem{Base: table, Disp: 32, Index: n, Scale: 4}, v)
	s.tail = v
}

// load and store move a whole vector, or with part only the lanes of the tail;
// the others are loaded as 0 and not stored.
func (s *simd) load(m operand.Mem, v reg.VecVirtual, part bool) {
	switch {
	case !part:
		s.VMOVUPS(m, v)
	case s.wide:
		s.VMOVUPS_Z(m, s.tail, v)
	default:
		s.VMASKMOVPS(m, s.tail, v)
	}
}

func (s *simd) store(v reg.VecVirtual, m operand.Mem, part bool) {
	switch {
	case !part:
		s.VMOVUPS(v, m)
	case s.wide:
		s.VMOVUPS(v, s.tail, m)
	default:
		s.VMASKMOVPS(v, s.tail, m)
	}
}
