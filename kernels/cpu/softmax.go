package cpu

import "math"

// softmax turns scores into probabilities in place and returns their maximum m
// and sum exp(s - m).
func softmaxPortable(s []float32) (m, sum float32) {
	m = maximum(s)
	for j, x := range s {
		e := exp32(x - m)
		s[j] = e
		sum += e
	}
	inv := 1 / sum
	for j := range s {
		s[j] *= inv
	}
	return m, sum
}

// parallaxWeightsPortable turns a row's scores s and probe values t into the
// weights w = p (1 + tbar - t) (in s) and the probabilities p (in t), and returns
// the maximum m of s, sum exp(s - m), and tbar = sum p (t - shift).
func parallaxWeightsPortable(s, t []float32, shift float32) (m, sum, tbar float32) {
	m = maximum(s)
	t = t[:len(s)]
	var dot float32
	for j, x := range s {
		e := exp32(x - m)
		s[j] = e
		sum += e
		t[j] -= shift
		dot += e * t[j]
	}
	inv := 1 / sum
	tbar = dot * inv
	for j, e := range s {
		p := e * inv
		s[j] = p * (1 + tbar - t[j])
		t[j] = p
	}
	return m, sum, tbar
}

// rescaleAbove is how far a row's largest score may exceed its reference: sums of e^(s - m)
// then still have room.
const rescaleAbove = 16

// reference is what scores are taken relative to: m, or the maximum of s if that is larger
// by more than rescaleAbove.
func reference(s []float32, m float32) float32 {
	if largest := maximum(s); largest-m > rescaleAbove {
		return largest
	}
	return m
}

// The operations below take rows: n scores at s, n more at s[stride:] and so on, with t and a
// alike; and for each row an element of the other slices.

// softmaxTermsPortable turns scores into e = exp(s - m) in place, and adds their sum to sum. m
// becomes the row's new reference, and sum is scaled to it before, by scale.
func softmaxTermsPortable(s []float32, stride, n int, m, sum, scale []float32) {
	for i := range m {
		row := s[i*stride:][:n]
		scale[i] = rescale(row, &m[i])
		sum[i] *= scale[i]
		for j, x := range row {
			row[j] = exp32(x - m[i])
			sum[i] += row[j]
		}
	}
}

// parallaxTermsPortable does so, turns probe values t into e (t - shift), and treats dot as
// their sum.
func parallaxTermsPortable(s, t []float32, stride, n int, shift, m, sum, dot, scale []float32) {
	softmaxTermsPortable(s, stride, n, m, sum, scale)
	for i := range m {
		e, probes := s[i*stride:][:n], t[i*stride:][:n]
		dot[i] *= scale[i]
		for j := range probes {
			probes[j] = e[j] * (probes[j] - shift[i])
			dot[i] += probes[j]
		}
	}
}

// rescale moves a row's reference m and returns what sums relative to the old one are to
// be multiplied by: 1 where it stays, or where there was none, -Inf.
func rescale(s []float32, m *float32) float32 {
	old := *m
	*m = reference(s, old)
	if math.IsInf(float64(old), -1) {
		return 1
	}
	return exp32(old - *m)
}

// parallaxGradPortable turns scores s, probe values t and a = g.v into
// ds (in s), dt (in t) and the weights w (in a), see kernels.AttentionBackward.
func parallaxGradPortable(s, t, a []float32, stride, n int, lse, tbar, tau, beta []float32) {
	for i := range lse {
		s, t, a := s[i*stride:][:n], t[i*stride:][:n], a[i*stride:][:n]
		for j, x := range s {
			s[j], t[j], a[j] = grad(exp32(x-lse[i]), t[j], a[j], tbar[i], tau[i], beta[i])
		}
	}
}

// grad is ds, dt and w of a query and a key with probability p.
func grad(p, t, a, tbar, tau, beta float32) (ds, dt, w float32) {
	u, delta := tbar-t, a-beta
	return p * (a - tau + u*delta), -p * delta, p * (1 + u)
}

// parallaxRowGradPortable does so for all that a query sees, of which it takes
// beta = sum p a.
func parallaxRowGradPortable(s, t, a []float32, lse, tbar, tau float32) {
	t, a = t[:len(s)], a[:len(s)]
	var beta float32
	for j, x := range s {
		s[j] = exp32(x - lse)
		beta += s[j] * a[j]
	}
	for j, p := range s {
		s[j], t[j], a[j] = grad(p, t[j], a[j], tbar, tau, beta)
	}
}

// softmaxGradPortable is the same without t: ds = p (a - tau), w = p.
func softmaxGradPortable(s, a []float32, stride, n int, lse, tau []float32) {
	for i := range lse {
		s, a := s[i*stride:][:n], a[i*stride:][:n]
		for j, x := range s {
			p := exp32(x - lse[i])
			s[j] = p * (a[j] - tau[i])
			a[j] = p
		}
	}
}

func maximum(s []float32) float32 {
	m := s[0]
	for _, x := range s[1:] {
		m = max(m, x)
	}
	return m
}
