package main

// headlossUnit emits the column softmax of the head.
func headlossUnit(s *simd) {
	maxInto(s)
	addExp(s)
	scaledExp(s)
}

func maxInto(s *simd) {
	s.function("maxInto", "(m, z []float32)", "is maxIntoPortable, vectorised.")
	m, z, n := s.slice("m"), s.slice("z"), s.length("m")
	s.each(n, 1, func(c *cursor, _ int) { c.put(s.max(c.get(m), c.get(z)), m) })
	s.end()
}

func addExp(s *simd) {
	s.function("addExp", "(sum, z, m []float32)", "is addExpPortable, vectorised.")
	sum, z, m, n := s.slice("sum"), s.slice("z"), s.slice("m"), s.length("sum")
	exp := s.exponential()
	s.each(n, 1, func(c *cursor, _ int) {
		e := exp.of(s.sub(c.get(z), c.get(m)))
		c.put(s.add(c.get(sum), e), sum)
	})
	s.end()
}

func scaledExp(s *simd) {
	s.function("scaledExp", "(z, lse []float32, scale float32)", "is scaledExpPortable, vectorised.")
	z, lse, n := s.slice("z"), s.slice("lse"), s.length("z")
	scale := s.param("scale")
	exp := s.exponential()
	s.each(n, 1, func(c *cursor, _ int) {
		c.put(s.mul(scale, exp.of(s.sub(c.get(z), c.get(lse)))), z)
	})
	s.end()
}
