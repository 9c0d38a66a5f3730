package console

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	pb "parallax/proto/parallax/v1"
)

func TestUnits(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0.00 B", 1: "1.00 B", 12.34: "12.3 B", 999: "999 B", 1000: "1.00 kB", 41_234: "41.2 kB", 162e3: "162 kB",
		1.5e6: "1.50 MB", 62e9: "62.0 GB", 7.9e14: "790 TB", 2e15: "2.00 PB", 5e18: "5000 PB", -1500: "-1.50 kB", 0.05: "0.05 B",
	} {
		if got := unit(x, "B"); got != want {
			t.Errorf("unit(%v) = %q, want %q", x, got, want)
		}
	}
	for x, want := range map[float64]string{64: "64.0 tokens", 2048: "2.05 k tokens", 1e6: "1.00 M tokens"} {
		if got := count(x, "tokens"); got != want {
			t.Errorf("count(%v) = %q, want %q", x, got, want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for s, want := range map[float64]string{
		0: "0.0 s", 0.04: "0.0 s", 9.94: "9.9 s", 10: "10 s", 119: "119 s", 120: "2 min 00 s", 187: "3 min 07 s",
		7199: "119 min 59 s", 7200: "2 h 00 min", 90_061: "25 h 01 min",
	} {
		if got := seconds(s); got != want {
			t.Errorf("seconds(%v) = %q, want %q", s, got, want)
		}
	}
}

func TestShare(t *testing.T) {
	if got := share(0.05, 0.5) + share(0, 1) + share(1, 0) + share(1, 1); got != "10 %0 %-100 %" {
		t.Errorf("got %q", got)
	}
}

func TestSparkline(t *testing.T) {
	ramp := make([]float64, 100)
	for i := range ramp {
		ramp[i] = float64(i)
	}
	for _, c := range []struct {
		values []float64
		width  int
		want   string
	}{
		{nil, 10, ""},
		{[]float64{1, 2}, 0, ""},
		{[]float64{3}, 10, "▁"},
		{[]float64{3, 3, 3}, 10, "▁▁▁"},
		{[]float64{8, 1}, 10, "█▁"},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8}, 8, "▁▂▃▄▅▆▇█"},
		{ramp, 8, "▁▂▃▄▅▆▇█"},
		{[]float64{math.NaN(), math.Inf(1)}, 10, "▁"},
		{[]float64{8, math.NaN(), 1}, 10, "█▁"},
	} {
		got := sparkline(c.values, c.width)
		if got != c.want || utf8.RuneCountInString(got) > max(c.width, 0) {
			t.Errorf("sparkline of %d values in %d cells is %q, want %q", len(c.values), c.width, got, c.want)
		}
	}
}

func TestDiagnosisCountsLayers(t *testing.T) {
	for n, want := range map[int]string{1: "step 30  in 1 layer:", 2: "step 30  in 2 layers:"} {
		d := &pb.Diagnosis{Step: 30}
		for range n {
			d.Layers = append(d.Layers, &pb.LayerDiagnosis{Entropy: 1})
		}
		if got := diagnosisLine(d); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want it to begin with %q", got, want)
		}
	}
}
