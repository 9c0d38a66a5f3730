package collective

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"
)

// Trial is something to be measured on a ring. All ranks have the same one.
type Trial struct {
	Elements int // of the tensor, float32; int32 with SumI32
	Repeat   int // times, after one to warm up
	Op       Op
	CPU      func() float64 // processor time of this process so far, in seconds; nil: not measured
}

// Measurement is how long the repetitions took, the slowest rank counting, and the
// rates that follow, named and defined as in NCCL's tests.
type Measurement struct {
	World            int
	Bytes            int64     // of the tensor
	Seconds          []float64 // sorted, one per repetition
	Median, Min, Max float64   // seconds
	AlgGBps          float64   // Bytes / Median
	BusGBps          float64   // what each edge carries, if elements travel in four bytes
	CPUPerGB         float64   // seconds of processor time of all ranks, for each GB that they send
}

// AllReduce measures all-reduces. Every rank calls it, and gets the same answer.
// BusGBps is 2(n-1)/n of AlgGBps.
func (t Trial) AllReduce(ctx context.Context, c *Comm) (*Measurement, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	in, out := make([]float32, t.Elements), make([]float32, t.Elements)
	for i := range in {
		in[i] = float32(i%1000) / 1000
	}
	n := float64(c.Size())
	return t.measure(ctx, c, 2*(n-1)/n, c.counted(func(at Point) error {
		return c.allReduce(ctx, at, out, in, t.Op)
	}))
}

// OneWay measures broadcasts of the tensor's bytes by rank 0, until the last rank
// has them: with two ranks the rate from one point to another.
func (t Trial) OneWay(ctx context.Context, c *Comm) (*Measurement, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	buf := make([]byte, 4*t.Elements)
	return t.measure(ctx, c, 1, c.counted(func(at Point) error { return c.Broadcast(ctx, at, buf, 0) }))
}

// Beside measures how the tensor's bytes travel otherwise, which once does on the
// ranks that have part in it. It returns the bytes that this rank has sent.
func (t Trial) Beside(ctx context.Context, c *Comm, once func() (sent int64, err error)) (*Measurement, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	return t.measure(ctx, c, 1, func(Point) (int64, error) { return once() })
}

func (t Trial) check() error {
	if t.Elements < 1 || t.Repeat < 1 {
		return fmt.Errorf("collective: measure %d elements %d times: both must be positive", t.Elements, t.Repeat)
	}
	return nil
}

// work is what is measured. It returns the bytes that this rank has sent.
type work func(Point) (sent int64, err error)

// counted is work on the ring, which counts what it sends.
func (c *Comm) counted(once func(Point) error) work {
	return func(at Point) (int64, error) {
		before := c.Stats().PayloadSent
		err := once(at)
		return int64(c.Stats().PayloadSent - before), err
	}
}

func (t Trial) measure(ctx context.Context, c *Comm, bus float64, once work) (*Measurement, error) {
	m := &Measurement{World: c.Size(), Bytes: 4 * int64(t.Elements)}
	var total cost
	for i := range t.Repeat + 1 {
		at := Point{Step: int64(i), Phase: "measure", Bucket: -1}
		used, err := t.timed(ctx, c, at, once)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			continue
		}
		m.Seconds = append(m.Seconds, used.seconds)
		total.cpu += used.cpu
		total.sent += used.sent
	}
	m.summarise(bus)
	if total.sent > 0 {
		m.CPUPerGB = total.cpu / (total.sent / 1e9)
	}
	return m, nil
}

func (m *Measurement) summarise(bus float64) {
	slices.Sort(m.Seconds)
	m.Median, m.Min, m.Max = m.Seconds[len(m.Seconds)/2], m.Seconds[0], m.Seconds[len(m.Seconds)-1]
	m.AlgGBps = float64(m.Bytes) / 1e9 / m.Median
	m.BusGBps = m.AlgGBps * bus
}

// cost is what one repetition took: the seconds of the slowest rank, and the
// processor time and payload bytes of all.
type cost struct{ seconds, cpu, sent float64 }

// timed runs something on all ranks from a common start.
func (t Trial) timed(ctx context.Context, c *Comm, at Point, once work) (cost, error) {
	if err := c.Barrier(ctx, at); err != nil {
		return cost{}, err
	}
	cpu, start := t.cpu(), time.Now()
	sent, err := once(at)
	if err != nil {
		return cost{}, err
	}
	own := cost{time.Since(start).Seconds(), t.cpu() - cpu, float64(sent)}
	return together(ctx, c, at, own)
}

func (t Trial) cpu() float64 {
	if t.CPU == nil {
		return 0
	}
	return t.CPU()
}

// together makes one cost of those of all ranks.
func together(ctx context.Context, c *Comm, at Point, own cost) (cost, error) {
	const fields = 3
	all := make([]byte, 8*fields*c.Size())
	for i, v := range [fields]float64{own.seconds, own.cpu, own.sent} {
		binary.LittleEndian.PutUint64(all[8*(fields*c.Rank()+i):], math.Float64bits(v))
	}
	if err := c.AllGather(ctx, at, all, split(len(all), c.Size())); err != nil {
		return cost{}, err
	}
	var sum cost
	for r := range c.Size() {
		field := func(i int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(all[8*(fields*r+i):])) }
		sum.seconds = max(sum.seconds, field(0))
		sum.cpu += field(1)
		sum.sent += field(2)
	}
	return sum, nil
}
