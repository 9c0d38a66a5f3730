package collective

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"parallax/internal/median"
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
	Seconds          []float64 // one per repetition, in order
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
	m, err := t.measure(ctx, c, 2*(n-1)/n, c.counted(func(at Point) error {
		return c.allReduce(ctx, at, out, in, t.Op)
	}))
	if err != nil {
		return nil, err
	}
	return m[0], nil
}

// OneWay measures broadcasts of the tensor's bytes by rank 0, until the last rank
// has them: with two ranks the rate from one point to another. In turns with them,
// so that whatever else the machine does is done to both, it measures how as many
// bytes travel otherwise: that is what once does on the ranks that have part in it,
// each of which says how many bytes it has sent.
func (t Trial) OneWay(ctx context.Context, c *Comm, once func() (sent int64, err error)) (oneWay, otherwise *Measurement, err error) {
	if err := t.check(); err != nil {
		return nil, nil, err
	}
	buf := make([]byte, 4*t.Elements)
	for i := range buf {
		buf[i] = byte(i) // not the one page of zeros
	}
	m, err := t.measure(ctx, c, 1,
		c.counted(func(at Point) error { return c.Broadcast(ctx, at, buf, 0) }),
		func(Point) (int64, error) { return once() })
	if err != nil {
		return nil, nil, err
	}
	return m[0], m[1], nil
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

// measure repeats works in turns.
func (t Trial) measure(ctx context.Context, c *Comm, bus float64, works ...work) ([]*Measurement, error) {
	costs := make([][]cost, len(works))
	for i := range t.Repeat + 1 {
		at := Point{Step: int64(i), Phase: "measure", Bucket: -1}
		for k, once := range works {
			used, err := t.timed(ctx, c, at, once)
			if err != nil {
				return nil, err
			}
			costs[k] = append(costs[k], used)
		}
	}
	all := make([]*Measurement, len(works))
	for k := range works {
		all[k] = &Measurement{World: c.Size(), Bytes: 4 * int64(t.Elements)}
		all[k].summarise(bus, costs[k][1:])
	}
	return all, nil
}

func (m *Measurement) summarise(bus float64, costs []cost) {
	var total cost
	for _, used := range costs {
		m.Seconds = append(m.Seconds, used.seconds)
		total.cpu += used.cpu
		total.sent += used.sent
	}
	m.Median, m.Min, m.Max = median.Of(m.Seconds), slices.Min(m.Seconds), slices.Max(m.Seconds)
	m.AlgGBps = float64(m.Bytes) / 1e9 / m.Median
	m.BusGBps = m.AlgGBps * bus
	if total.sent > 0 {
		m.CPUPerGB = total.cpu / (total.sent / 1e9)
	}
}

// cost is what one repetition took: the seconds of the slowest rank, and the
// processor time and payload bytes of all.
type cost struct{ seconds, cpu, sent float64 }

// timed runs something on all ranks from a common start. Its processor time is that
// until all have done, for who has done first may be serving the others.
func (t Trial) timed(ctx context.Context, c *Comm, at Point, once work) (cost, error) {
	if err := c.Barrier(ctx, at); err != nil {
		return cost{}, err
	}
	cpu, start := t.cpu(), time.Now()
	sent, err := once(at)
	if err != nil {
		return cost{}, err
	}
	seconds := time.Since(start).Seconds()
	if err := c.Barrier(ctx, at); err != nil {
		return cost{}, err
	}
	return together(ctx, c, at, cost{seconds, t.cpu() - cpu, float64(sent)})
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
