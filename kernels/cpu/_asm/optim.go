package main

import "github.com/mmcloughlin/avo/operand"

// Offsets of type adamwStep's fields, see optim.go of package cpu and its test.
var adamwFields = []string{"gradScale", "beta1", "rest1", "beta2", "rest2", "decay", "rate", "rootBias", "eps"}

// optimUnit emits the optimizer steps.
func optimUnit(s *simd) {
	adamw(s)
	momentum(s)
	combine(s)
}

func adamw(s *simd) {
	s.function("adamw", "(p, grad, m, v []float32, step *adamwStep)", "is adamwPortable, vectorised.")
	p, grad, m, v, n := s.slice("p"), s.slice("grad"), s.slice("m"), s.slice("v"), s.length("p")
	step := s.Load(s.Param("step"), s.GP64())
	constants := map[string]operand.Op{}
	for i, name := range adamwFields {
		constants[name] = s.fieldConstant(operand.Mem{Base: step, Disp: 4 * i})
	}
	s.each(n, 1, func(c *cursor, _ int) {
		get := func(name string) operand.Op { return s.inLoop(constants[name]) }
		g := s.mul(c.get(grad), get("gradScale"))
		mean := s.fma(g, get("rest1"), s.mul(c.get(m), get("beta1")))
		square := s.fma(s.mul(g, g), get("rest2"), s.mul(c.get(v), get("beta2")))
		c.put(mean, m)
		c.put(square, v)
		down := s.fma(s.sqrt(square), get("rootBias"), s.inRegister(get("eps")))
		change := s.div(s.mul(mean, get("rate")), down)
		c.put(s.sub(s.mul(c.get(p), get("decay")), change), p)
	})
	s.end()
}

// fieldConstant is a float in memory, in all lanes: at once in a register with
// AVX-512, where it is used with AVX2.
func (s *simd) fieldConstant(m operand.Mem) operand.Op {
	if s.wide {
		return s.broadcast(m)
	}
	return m
}

// inLoop is a fieldConstant as an operand.
func (s *simd) inLoop(c operand.Op) operand.Op {
	if s.wide {
		return c
	}
	return s.broadcast(c)
}

func momentum(s *simd) {
	s.function("momentum", "(u, m, grad []float32, scale, mu, a, b float32)", "is momentumPortable, vectorised.")
	u, m, grad, n := s.slice("u"), s.slice("m"), s.slice("grad"), s.length("m")
	scale, mu, a, b := s.param("scale"), s.param("mu"), s.param("a"), s.param("b")
	s.each(n, 1, func(c *cursor, _ int) {
		g := c.get(grad)
		mean := s.fma(g, scale, s.mul(c.get(m), mu))
		c.put(mean, m)
		c.put(s.fma(g, a, s.mul(mean, b)), u)
	})
	s.end()
}

func combine(s *simd) {
	s.function("combine", "(y, x, u []float32, a, b float32)", "is combinePortable, vectorised.")
	y, x, u, n := s.slice("y"), s.slice("x"), s.slice("u"), s.length("y")
	a, b := s.param("a"), s.param("b")
	s.each(n, 1, func(c *cursor, _ int) { c.put(s.fma(c.get(u), b, s.mul(c.get(x), a)), y) })
	s.end()
}
