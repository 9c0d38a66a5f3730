package collective_test

import (
	"fmt"
	"math"
	"testing"

	"parallax/collective"
)

func TestMeasure(t *testing.T) {
	must(t, newRing(t, 3, small), func(c *collective.Comm) error {
		seconds := 0.0
		trial := collective.Trial{Elements: 1200, Repeat: 5, CPU: func() float64 { seconds++; return seconds }}
		for _, op := range []collective.Op{collective.SumF32, collective.SumI32} {
			trial.Op = op
			m, err := trial.AllReduce(t.Context(), c)
			if err != nil {
				return err
			}
			if m.World != 3 || m.Bytes != 4800 || len(m.Seconds) != 5 || m.Min <= 0 || m.Min > m.Median || m.Median > m.Max {
				return fmt.Errorf("%+v", m)
			}
			if ratio := m.BusGBps / m.AlgGBps; ratio < 1.333 || ratio > 1.334 {
				return fmt.Errorf("bus is %v times algorithm, want 4/3", ratio)
			}
			// Each of 3 ranks says that it took a second to send 4/3 * 4800 bytes.
			if want := 1e9 / 6400; m.CPUPerGB < 0.999*want || m.CPUPerGB > 1.001*want {
				return fmt.Errorf("%v CPU seconds per GB, want %v", m.CPUPerGB, want)
			}
		}
		turns := 0
		m, other, err := trial.OneWay(t.Context(), c, func() (int64, error) { turns++; return 4800, nil })
		if err != nil || m.BusGBps != m.AlgGBps || m.CPUPerGB <= 0 {
			return fmt.Errorf("%+v, %w", m, err)
		}
		if want := 1e9 / 4800; turns != 6 || len(other.Seconds) != 5 || math.Abs(other.CPUPerGB/want-1) > 1e-3 {
			return fmt.Errorf("%d turns, %+v, want %v CPU seconds per GB", turns, other, want)
		}
		trial.Elements = 0
		if _, err := trial.AllReduce(t.Context(), c); err == nil {
			return fmt.Errorf("no elements were accepted")
		}
		return nil
	})
}
