package collective

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"
)

// Measurement is how long all-reduces took, the slowest rank counting, and the
// rates that follow, named and defined as in NCCL's tests.
type Measurement struct {
	World            int
	Bytes            int64 // of the tensor, as float32
	Op               Op
	Seconds          []float64 // sorted, one per repetition
	Median, Min, Max float64   // seconds
	AlgGBps          float64   // Bytes / Median
	BusGBps          float64   // times 2(n-1)/n: what each edge carries, with sum-f32
}

// Measure all-reduces a tensor of the given length, once to warm up and then
// repeat times. Every rank calls it, and gets the same answer.
func Measure(ctx context.Context, c *Comm, elements, repeat int, op Op) (*Measurement, error) {
	if elements < 1 || repeat < 1 {
		return nil, fmt.Errorf("collective: measure %d elements %d times: both must be positive", elements, repeat)
	}
	in, out := make([]float32, elements), make([]float32, elements)
	for i := range in {
		in[i] = float32(i%1000) / 1000
	}
	m := &Measurement{World: c.Size(), Bytes: 4 * int64(elements), Op: op}
	for i := range repeat + 1 {
		seconds, err := timeOne(ctx, c, Point{Step: int64(i), Phase: "measure", Bucket: -1}, out, in, op)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			m.Seconds = append(m.Seconds, seconds)
		}
	}
	m.summarise()
	return m, nil
}

func (m *Measurement) summarise() {
	slices.Sort(m.Seconds)
	n := float64(m.World)
	m.Median, m.Min, m.Max = m.Seconds[len(m.Seconds)/2], m.Seconds[0], m.Seconds[len(m.Seconds)-1]
	m.AlgGBps = float64(m.Bytes) / 1e9 / m.Median
	m.BusGBps = m.AlgGBps * 2 * (n - 1) / n
}

// timeOne returns the seconds that the slowest rank took, from a common start.
func timeOne(ctx context.Context, c *Comm, at Point, out, in []float32, op Op) (float64, error) {
	if err := c.Barrier(ctx, at); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := c.AllReduce(ctx, at, out, in, op); err != nil {
		return 0, err
	}
	return slowest(ctx, c, at, time.Since(start).Seconds())
}

func slowest(ctx context.Context, c *Comm, at Point, seconds float64) (float64, error) {
	all := make([]byte, 8*c.Size())
	binary.LittleEndian.PutUint64(all[8*c.Rank():], math.Float64bits(seconds))
	if err := c.AllGather(ctx, at, all, split(len(all), c.Size())); err != nil {
		return 0, err
	}
	for r := range c.Size() {
		seconds = max(seconds, math.Float64frombits(binary.LittleEndian.Uint64(all[8*r:])))
	}
	return seconds, nil
}

func (m *Measurement) String() string {
	return fmt.Sprintf("%v of %.0f MB over %d ranks: median %.1f ms (%.1f to %.1f), algorithm %.3f GB/s, bus %.3f GB/s",
		m.Op, float64(m.Bytes)/1e6, m.World, 1e3*m.Median, 1e3*m.Min, 1e3*m.Max, m.AlgGBps, m.BusGBps)
}
