package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowsUnit emits the operations on rows of activations.
func rowsUnit(s *simd) {
	dot(s)
	addTo(s)
	scaledProduct(s)
	normDot(s)
	normApply(s)
	rotate(s)
	headNorm(s)
	headNormGrad(s)
	swiglu(s)
	swigluGrad(s)
}

func dot(s *simd) {
	s.function("dot", "(x, y []float32) float32", "is dotPortable, vectorised.")
	x, y, n := s.slice("x"), s.slice("y"), s.length("x")
	sums := [4]reg.VecVirtual{s.zero(), s.zero(), s.zero(), s.zero()}
	s.each(n, len(sums), func(c *cursor, turn int) { s.accumulate(c.get(x), c.get(y), sums[turn]) })
	sum := s.sumLanes(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
	s.Store(sum.AsX(), s.ReturnIndex(0))
	s.end()
}

func addTo(s *simd) {
	s.function("addTo", "(y, x []float32)", "is addToPortable, vectorised.")
	y, x, n := s.slice("y"), s.slice("x"), s.length("y")
	s.each(n, 1, func(c *cursor, _ int) { c.put(s.add(c.get(y), c.get(x)), y) })
	s.end()
}

func scaledProduct(s *simd) {
	s.function("scaledProduct", "(y, x, gain []float32, r float32)", "is scaledProductPortable, vectorised.")
	y, x, gain, n := s.slice("y"), s.slice("x"), s.slice("gain"), s.length("x")
	r := s.param("r")
	next := s.GP64() // the row after x, which is wanted next
	s.LEAQ(operand.Mem{Base: x, Index: n, Scale: 4}, next)
	s.each(n, 1, func(c *cursor, _ int) {
		s.PREFETCHT0(c.at(next))
		c.put(s.mul(s.mul(r, c.get(x)), c.get(gain)), y)
	})
	s.end()
}

func normDot(s *simd) {
	s.function("normDot", "(dgain, dy, x, gain []float32, r float32) float32", "is normDotPortable, vectorised.")
	dgain, dy, x, gain, n := s.slice("dgain"), s.slice("dy"), s.slice("x"), s.slice("gain"), s.length("x")
	r := s.param("r")
	sum := s.zero()
	s.each(n, 1, func(c *cursor, _ int) {
		t := s.mul(c.get(dy), s.mul(r, c.get(x)))
		c.put(s.add(c.get(dgain), t), dgain)
		s.accumulate(t, c.get(gain), sum)
	})
	s.Store(s.sumLanes(sum).AsX(), s.ReturnIndex(0))
	s.end()
}

func normApply(s *simd) {
	s.function("normApply", "(dx, dy, x, gain, add []float32, a, b float32)", "is normApplyPortable, vectorised.")
	dx, dy, x, gain, n := s.slice("dx"), s.slice("dy"), s.slice("x"), s.slice("gain"), s.length("x")
	add, has := s.slice("add"), s.length("add")
	a, b := s.param("a"), s.param("b")
	plain, end := s.label("plain"), s.label("both")
	s.TESTQ(has, has)
	s.JEQ(operand.LabelRef(plain))
	s.each(n, 1, func(c *cursor, _ int) {
		c.put(s.fma(a, s.mul(c.get(dy), c.get(gain)), s.fma(b, c.get(x), c.get(add))), dx)
	})
	s.JMP(operand.LabelRef(end))
	s.Label(plain)
	s.each(n, 1, func(c *cursor, _ int) {
		c.put(s.fma(a, s.mul(c.get(dy), c.get(gain)), s.mul(b, c.get(x))), dx)
	})
	s.Label(end)
	s.end()
}

func swiglu(s *simd) {
	s.function("swiglu", "(y, gate, up []float32)", "is swigluPortable, vectorised.")
	y, gate, up, n := s.slice("y"), s.slice("gate"), s.slice("up"), s.length("gate")
	exp := s.exponential()
	s.each(n, 2, func(c *cursor, _ int) {
		g := c.get(gate)
		c.put(s.mul(s.mul(g, exp.sigmoid(g)), c.get(up)), y)
	})
	s.end()
}

func swigluGrad(s *simd) {
	s.function("swigluGrad", "(dgate, dup, dy, gate, up []float32)", "is swigluGradPortable, vectorised.")
	dgate, dup, dy := s.slice("dgate"), s.slice("dup"), s.slice("dy")
	gate, up, n := s.slice("gate"), s.slice("up"), s.length("gate")
	exp := s.exponential()
	s.each(n, 2, func(c *cursor, _ int) {
		g, u, d := c.get(gate), c.get(up), c.get(dy)
		sig := exp.sigmoid(g)
		silu := s.mul(g, sig)
		c.put(s.mul(d, silu), dup)
		// s (1 + g (1-s)) = s + silu - silu s
		c.put(s.mul(s.mul(d, u), s.fnma(silu, sig, s.add(sig, silu))), dgate)
	})
	s.end()
}
