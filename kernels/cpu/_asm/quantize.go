package main

import "math"

// quantizeUnit emits the conversions between gradients and integers.
func quantizeUnit(s *simd) {
	quantize(s)
	dequantize(s)
}

// quantize counts on VMINPS to return its second source for NaN.
func quantize(s *simd) {
	s.function("quantize", "(sum []int32, grad []float32, scale, limit float32) (peak int32)", "is quantizePortable, vectorised.")
	sum, grad, n := s.slice("sum"), s.slice("grad"), s.length("grad")
	scale, limit, zero, peak := s.param("scale"), s.param("limit"), s.zero(), s.zero()
	lowest, magnitude := s.sub(zero, limit), s.inRegister(s.constantBits(math.MaxInt32))
	s.each(n, 1, func(c *cursor, _ int) {
		g := c.get(grad)
		bits := s.vec()
		if s.wide {
			s.VPANDD(magnitude, g, bits)
		} else {
			s.VPAND(magnitude, g, bits)
		}
		s.VPMAXSD(bits, peak, peak)
		clamped := s.max(s.min(s.mul(g, scale), limit), lowest)
		s.VCVTPS2DQ(clamped, clamped)
		s.VPADDD(c.get(sum), clamped, clamped)
		c.put(clamped, sum)
		c.put(zero, grad)
	})
	result := s.GP32()
	s.VMOVD(s.reduce(s.VPMAXSD, peak).AsX(), result)
	s.Store(result, s.Return("peak"))
	s.end()
}

func dequantize(s *simd) {
	s.function("dequantize", "(grad []float32, sum []int32, unit float32)", "is dequantizePortable, vectorised.")
	grad, sum, n := s.slice("grad"), s.slice("sum"), s.length("grad")
	unit := s.param("unit")
	s.each(n, 1, func(c *cursor, _ int) {
		x := c.get(sum)
		s.VCVTDQ2PS(x, x)
		c.put(s.mul(x, unit), grad)
	})
	s.end()
}
