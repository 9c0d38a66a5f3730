package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// softmaxUnit emits the row operations of attention.
func softmaxUnit(s *simd) {
	softmaxRow(s)
	parallaxWeights(s)
	softmaxTerms(s)
	parallaxTerms(s)
	softmaxGrad(s)
	parallaxGrad(s)
	parallaxRowGrad(s)
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

// rescaleAbove is the constant of package cpu.
const rescaleAbove = 16

// rowsOf walks some slices by rows of n elements, stride apart.
type rowsOf struct {
	*simd
	n, row reg.GPVirtual
	slices []reg.Register
}

// eachRow runs body for as many rows as the slice parameter count has elements.
func (s *simd) eachRow(count string, slices []string, body func(r *rowsOf)) {
	r := &rowsOf{simd: s, n: s.GP64(), row: s.GP64()}
	s.Load(s.Param("n"), r.n)
	stride, left := s.Load(s.Param("stride"), s.GP64()), s.length(count)
	s.SHLQ(operand.U8(2), stride)
	for _, name := range slices {
		r.slices = append(r.slices, s.slice(name))
	}
	row, end := s.label("row"), s.label("rowsEnd")
	s.XORQ(r.row, r.row)
	s.TESTQ(left, left)
	s.JEQ(operand.LabelRef(end))
	s.Label(row)
	body(r)
	for _, base := range r.slices {
		s.ADDQ(stride, base)
	}
	s.INCQ(r.row)
	s.CMPQ(r.row, left)
	s.JLT(operand.LabelRef(row))
	s.Label(end)
	s.end()
}

// element is the row's element of a slice parameter.
func (r *rowsOf) element(name string) operand.Mem {
	return operand.Mem{Base: r.slice(name), Index: r.row, Scale: 4}
}

// value is that element in all lanes.
func (r *rowsOf) value(name string) reg.VecVirtual { return r.broadcast(r.element(name)) }

// put stores the first lane to it.
func (r *rowsOf) put(v reg.VecVirtual, name string) { r.VMOVSS(v.AsX(), r.element(name)) }

// accumulator is a running sum over blocks: the element of a slice, scaled, plus the lanes of v.
func (r *rowsOf) accumulator(name string, scale, v reg.VecVirtual) {
	r.put(r.fma(r.value(name), scale, r.sumLanes(v)), name)
}

// terms are what the rows' exponentials need.
type terms struct {
	exp              *exponential
	limit, none, one reg.VecVirtual
}

func (s *simd) terms() terms {
	return terms{exp: s.exponential(), limit: s.inRegister(s.constant(rescaleAbove)),
		none: s.inRegister(s.constant(negativeInfinity)), one: s.inRegister(s.constant(1))}
}

// reference moves the row's m, and stores and returns what sums are scaled by.
func (t terms) reference(r *rowsOf) (m, scale reg.VecVirtual) {
	old, largest := r.value("m"), rowMax(r.simd, r.slices[0], r.n)
	m = r.whereMore(r.sub(largest, old), t.limit, largest, old)
	scale = r.whereMore(old, t.none, t.exp.of(r.sub(old, m)), t.one)
	r.put(m, "m")
	r.put(scale, "scale")
	return m, scale
}

func softmaxTerms(s *simd) {
	s.function("softmaxTerms", "(s []float32, stride, n int, m, sum, scale []float32)", "is softmaxTermsPortable, vectorised.")
	t := s.terms()
	s.eachRow("m", []string{"s"}, func(r *rowsOf) {
		m, scale := t.reference(r)
		sum := s.zero()
		s.each(r.n, 1, func(c *cursor, _ int) {
			e := t.exp.of(s.sub(c.get(r.slices[0]), m))
			c.put(e, r.slices[0])
			s.VADDPS(s.keep(e, c.part), sum, sum)
		})
		r.accumulator("sum", scale, sum)
	})
}

func parallaxTerms(s *simd) {
	s.function("parallaxTerms", "(s, t []float32, stride, n int, shift, m, sum, dot, scale []float32)", "is parallaxTermsPortable, vectorised.")
	t := s.terms()
	s.eachRow("m", []string{"s", "t"}, func(r *rowsOf) {
		m, scale := t.reference(r)
		shift, sum, dot := r.value("shift"), s.zero(), s.zero()
		s.each(r.n, 1, func(c *cursor, _ int) {
			e := t.exp.of(s.sub(c.get(r.slices[0]), m))
			c.put(e, r.slices[0])
			e = s.keep(e, c.part)
			et := s.mul(e, s.sub(c.get(r.slices[1]), shift))
			c.put(et, r.slices[1])
			s.VADDPS(e, sum, sum)
			s.VADDPS(et, dot, dot)
		})
		r.accumulator("sum", scale, sum)
		r.accumulator("dot", scale, dot)
	})
}

func softmaxGrad(s *simd) {
	s.function("softmaxGrad", "(s, a []float32, stride, n int, lse, tau []float32)", "is softmaxGradPortable, vectorised.")
	exp := s.exponential()
	s.eachRow("lse", []string{"s", "a"}, func(r *rowsOf) {
		lse, tau := r.value("lse"), r.value("tau")
		s.each(r.n, 1, func(c *cursor, _ int) {
			p := exp.of(s.sub(c.get(r.slices[0]), lse))
			c.put(s.mul(p, s.sub(c.get(r.slices[1]), tau)), r.slices[0])
			c.put(p, r.slices[1])
		})
	})
}

func parallaxGrad(s *simd) {
	s.function("parallaxGrad", "(s, t, a []float32, stride, n int, lse, tbar, tau, beta []float32)", "is parallaxGradPortable, vectorised.")
	exp := s.exponential()
	s.eachRow("lse", []string{"s", "t", "a"}, func(r *rowsOf) {
		lse, tbar, tau, beta := r.value("lse"), r.value("tbar"), r.value("tau"), r.value("beta")
		s.each(r.n, 1, func(c *cursor, _ int) {
			p := exp.of(s.sub(c.get(r.slices[0]), lse))
			s.grad(c, p, [3]reg.Register(r.slices), tbar, tau, beta)
		})
	})
}

func parallaxRowGrad(s *simd) {
	s.function("parallaxRowGrad", "(s, t, a []float32, lse, tbar, tau float32)", "is parallaxRowGradPortable, vectorised.")
	scores, probes, slopes, n := s.slice("s"), s.slice("t"), s.slice("a"), s.length("s")
	lse, exp := s.param("lse"), s.exponential()
	sum := [2]reg.VecVirtual{s.zero(), s.zero()}
	s.each(n, 2, func(c *cursor, turn int) {
		p := exp.of(s.sub(c.get(scores), lse))
		c.put(p, scores)
		s.accumulate(s.keep(p, c.part), c.get(slopes), sum[turn])
	})
	beta := s.sumLanes(s.add(sum[0], sum[1]))
	tbar, tau := s.param("tbar"), s.param("tau")
	s.each(n, 1, func(c *cursor, _ int) {
		s.grad(c, c.get(scores), [...]reg.Register{scores, probes, slopes}, tbar, tau, beta)
	})
	s.end()
}

// grad stores ds, dt and w in place of s, t and a, where the probability is p.
func (s *simd) grad(c *cursor, p reg.VecVirtual, at [3]reg.Register, tbar, tau, beta reg.VecVirtual) {
	u, a := s.sub(tbar, c.get(at[1])), c.get(at[2])
	c.put(s.mul(p, s.fma(u, s.sub(a, beta), s.sub(a, tau))), at[0])
	c.put(s.mul(p, s.sub(beta, a)), at[1])
	c.put(s.fma(p, u, p), at[2])
}
