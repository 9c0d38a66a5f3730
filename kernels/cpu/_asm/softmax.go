package main

import "github.com/mmcloughlin/avo/reg"

// softmaxUnit emits the row operations of attention.
func softmaxUnit(s *simd) {
	softmaxRow(s)
	parallaxWeights(s)
	softmaxGrad(s)
	parallaxGrad(s)
}

// rowMax is the maximum of a slice, in all lanes.
func rowMax(s *simd, base reg.Register, n reg.GPVirtual) reg.VecVirtual {
	fill := s.copy(s.constant(negativeInfinity))
	m := [2]reg.VecVirtual{s.copy(fill), s.copy(fill)}
	s.each(n, 2, func(c *cursor, turn int) {
		x := s.keepOr(c.get(base), fill, c.part)
		s.VMAXPS(x, m[turn], m[turn])
	})
	return s.maxLanes(s.max(m[0], m[1]))
}

func softmaxRow(s *simd) {
	s.function("softmax", "(s []float32) (m, sum float32)", "is softmaxPortable, vectorised.")
	base, n := s.slice("s"), s.length("s")
	m := rowMax(s, base, n)
	exp := s.exponential()
	sum := s.zero()
	s.each(n, 1, func(c *cursor, _ int) {
		e := exp.of(s.sub(c.get(base), m))
		c.put(e, base)
		s.VADDPS(s.keep(e, c.part), sum, sum)
	})
	sum = s.sumLanes(sum)
	inv := s.div(s.inRegister(s.constant(1)), sum)
	s.each(n, 1, func(c *cursor, _ int) { c.put(s.mul(c.get(base), inv), base) })
	s.result(m, "m")
	s.result(sum, "sum")
	s.end()
}

func parallaxWeights(s *simd) {
	s.function("parallaxWeights", "(s, t []float32, shift float32) (m, sum, tbar float32)", "is parallaxWeightsPortable, vectorised.")
	scores, probes, n := s.slice("s"), s.slice("t"), s.length("s")
	m := rowMax(s, scores, n)
	shift := s.param("shift")
	exp := s.exponential()
	sum, dot := s.zero(), s.zero()
	s.each(n, 1, func(c *cursor, _ int) {
		e := exp.of(s.sub(c.get(scores), m))
		t := s.sub(c.get(probes), shift)
		c.put(e, scores)
		c.put(t, probes)
		e = s.keep(e, c.part)
		s.VADDPS(e, sum, sum)
		s.accumulate(e, t, dot)
	})
	sum = s.sumLanes(sum)
	one := s.inRegister(s.constant(1))
	inv := s.div(one, sum)
	tbar := s.mul(s.sumLanes(dot), inv)
	base := s.add(one, tbar)
	s.each(n, 1, func(c *cursor, _ int) {
		p := s.mul(c.get(scores), inv)
		c.put(s.mul(p, s.sub(base, c.get(probes))), scores)
		c.put(p, probes)
	})
	s.result(m, "m")
	s.result(sum, "sum")
	s.result(tbar, "tbar")
	s.end()
}

func softmaxGrad(s *simd) {
	s.function("softmaxGrad", "(s, a []float32, lse, tau float32)", "is softmaxGradPortable, vectorised.")
	scores, values, n := s.slice("s"), s.slice("a"), s.length("s")
	lse, tau := s.param("lse"), s.param("tau")
	exp := s.exponential()
	s.each(n, 1, func(c *cursor, _ int) {
		p := exp.of(s.sub(c.get(scores), lse))
		c.put(s.mul(p, s.sub(c.get(values), tau)), scores)
		c.put(p, values)
	})
	s.end()
}

func parallaxGrad(s *simd) {
	s.function("parallaxGrad", "(s, t, a []float32, lse, tbar, tau, beta float32)", "is parallaxGradPortable, vectorised.")
	scores, probes, values, n := s.slice("s"), s.slice("t"), s.slice("a"), s.length("s")
	lse, tbar, tau, beta := s.param("lse"), s.param("tbar"), s.param("tau"), s.param("beta")
	exp := s.exponential()
	s.each(n, 1, func(c *cursor, _ int) {
		p := exp.of(s.sub(c.get(scores), lse))
		u := s.sub(tbar, c.get(probes))
		a := c.get(values)
		delta := s.sub(a, beta)
		c.put(s.mul(p, s.fma(u, delta, s.sub(a, tau))), scores)
		c.put(s.mul(p, s.sub(beta, a)), probes)
		c.put(s.fma(p, u, p), values)
	})
	s.end()
}
