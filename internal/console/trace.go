package console

// maxTrace bounds a trace: more than a terminal is wide.
const maxTrace = 1024

// trace is the course of a number over a run of any length. When there are too many
// values, each two become their mean.
type trace struct {
	stride int // steps of a value
	open   int // of which the last value has so many
	values []float64
}

func (t *trace) add(x float64) {
	if t.open == 0 || t.open == t.stride {
		if len(t.values) == maxTrace {
			t.halve()
		}
		t.stride, t.open = max(t.stride, 1), 0
		t.values = append(t.values, 0)
	}
	t.open++
	last := &t.values[len(t.values)-1]
	*last += (x - *last) / float64(t.open)
}

func (t *trace) halve() {
	for i := range maxTrace / 2 {
		t.values[i] = (t.values[2*i] + t.values[2*i+1]) / 2
	}
	t.values = t.values[:maxTrace/2]
	t.stride *= 2
}
