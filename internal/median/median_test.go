package median

import "testing"

func TestOf(t *testing.T) {
	for _, test := range []struct {
		figures []float64
		want    float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{4, 1}, 2.5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{9, 1, 4, 2}, 3},
	} {
		if got := Of(test.figures); got != test.want {
			t.Errorf("the median of %v is %v, want %v", test.figures, got, test.want)
		}
	}
}
