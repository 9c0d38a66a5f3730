package console

import "testing"

func TestTraceKeepsTheCourse(t *testing.T) {
	var tr trace
	const steps = 10 * maxTrace
	for i := range steps {
		tr.add(float64(i))
	}
	if n := len(tr.values); n > maxTrace || n < maxTrace/2 || tr.stride*n < steps {
		t.Fatalf("%d values of %d steps each", n, tr.stride)
	}
	for i, v := range tr.values[:len(tr.values)-1] {
		if want := float64(i*tr.stride) + float64(tr.stride-1)/2; v != want {
			t.Fatalf("value %d is %v, want %v", i, v, want)
		}
	}
}
