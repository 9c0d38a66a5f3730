package cpu

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

// parallaxGradPortable turns a row's scores s, probe values t and a = g.v into
// ds (in s), dt (in t) and the weights w (in a), see kernels.AttentionBackward.
func parallaxGradPortable(s, t, a []float32, lse, tbar, tau, beta float32) {
	t, a = t[:len(s)], a[:len(s)]
	for j, x := range s {
		p, u, delta := exp32(x-lse), tbar-t[j], a[j]-beta
		s[j] = p * (a[j] - tau + u*delta)
		t[j] = -p * delta
		a[j] = p * (1 + u)
	}
}

// softmaxGradPortable is the same without t: ds = p (a - tau), w = p.
func softmaxGradPortable(s, a []float32, lse, tau float32) {
	a = a[:len(s)]
	for j, x := range s {
		p := exp32(x - lse)
		s[j] = p * (a[j] - tau)
		a[j] = p
	}
}

func maximum(s []float32) float32 {
	m := s[0]
	for _, x := range s[1:] {
		m = max(m, x)
	}
	return m
}
