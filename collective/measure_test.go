package collective_test

import (
	"fmt"
	"testing"

	"parallax/collective"
)

func TestMeasure(t *testing.T) {
	must(t, newRing(t, 3, small), func(c *collective.Comm) error {
		m, err := collective.Measure(t.Context(), c, 1000, 5, collective.SumF32)
		if err != nil {
			return err
		}
		if m.World != 3 || m.Bytes != 4000 || len(m.Seconds) != 5 || m.Min <= 0 || m.Min > m.Median || m.Median > m.Max {
			return fmt.Errorf("%+v", m)
		}
		if ratio := m.BusGBps / m.AlgGBps; ratio < 1.333 || ratio > 1.334 {
			return fmt.Errorf("bus is %v times algorithm, want 4/3", ratio)
		}
		if _, err := collective.Measure(t.Context(), c, 0, 5, collective.SumF32); err == nil {
			return fmt.Errorf("no elements were accepted")
		}
		return nil
	})
}
