package collective_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"parallax/collective"
	"parallax/collective/mem"
)

var worlds = []int{1, 2, 3, 4, 5, 7}

// members names n ranks.
func members(n int) []collective.Member {
	list := make([]collective.Member, n)
	for i := range list {
		list[i] = collective.Member{Name: fmt.Sprintf("gpu%02d", i), Host: "rack", Address: fmt.Sprintf("10.0.0.%d:7001", i)}
	}
	return list
}

// newRing seats n ranks over mem; cfg gives what is common to all.
func newRing(t testing.TB, n int, cfg collective.Config, faults ...mem.Fault) []*collective.Comm {
	t.Helper()
	nodes := mem.NewRing(n, faults...)
	return seat(t, n, cfg, func(rank int) collective.Transport { return nodes[rank] })
}

func seat(t testing.TB, n int, cfg collective.Config, transport func(rank int) collective.Transport) []*collective.Comm {
	t.Helper()
	cfg.Members = members(n)
	comms := make([]*collective.Comm, n)
	for i := range comms {
		cfg.Rank = i
		c, err := collective.New(cfg, transport(i))
		if err != nil {
			t.Fatal(err)
		}
		comms[i] = c
	}
	return comms
}

// each calls f on all ranks at once and returns their errors.
func each(comms []*collective.Comm, f func(c *collective.Comm) error) []error {
	errs := make([]error, len(comms))
	var wg sync.WaitGroup
	for i, c := range comms {
		wg.Go(func() { errs[i] = f(c) })
	}
	wg.Wait()
	return errs
}

// must calls f on all ranks and closes them; none may fail.
func must(t testing.TB, comms []*collective.Comm, f func(c *collective.Comm) error) {
	t.Helper()
	for i, err := range each(comms, f) {
		if err != nil {
			t.Errorf("rank %d: %v", i, err)
		}
	}
	closeAll(t, comms)
}

func closeAll(t testing.TB, comms []*collective.Comm) {
	t.Helper()
	for i, err := range each(comms, (*collective.Comm).Close) {
		if err != nil {
			t.Errorf("close rank %d: %v", i, err)
		}
	}
}

// values are rank r's inputs: of mixed magnitude, so that the order of additions shows.
func values(rank, n int) []float32 {
	rng := rand.New(rand.NewPCG(uint64(rank), 7))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64() * math.Exp2(float64(rng.IntN(16)-8)))
	}
	return v
}

// evenly deals total out as AllReduce does.
func evenly(total, n int) []int {
	b := make([]int, n+1)
	for i := range b {
		b[i] = total * i / n
	}
	return b
}

// want adds all ranks' values in the order of the ring: segment s starts at rank
// s+1 and ends at rank s. rounded tells whether the last sum travels.
func want(n int, bounds []int, op collective.Op, rounded bool) []float32 {
	total := bounds[n]
	in := make([][]float32, n)
	for r := range in {
		in[r] = values(r, total)
	}
	sum := make([]float32, total)
	for s := range n {
		for i := bounds[s]; i < bounds[s+1]; i++ {
			acc := in[(s+1)%n][i]
			for k := 2; k <= n; k++ {
				acc = travelled(acc, op) + in[(s+k)%n][i]
			}
			if rounded && n > 1 {
				acc = travelled(acc, op)
			}
			sum[i] = acc
		}
	}
	return sum
}

// travelled is what is left of a value after the wire: bfloat16 by way of
// float64 arithmetic, in contrast to the bit arithmetic under test.
func travelled(v float32, op collective.Op) float32 {
	if op != collective.SumBF16 || v == 0 {
		return v
	}
	_, exp := math.Frexp(float64(v))
	unit := math.Ldexp(1, exp-8)
	return float32(math.RoundToEven(float64(v)/unit) * unit)
}

func sameBits(a, b []float32) error {
	for i := range b {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return fmt.Errorf("element %d is %v, want %v", i, a[i], b[i])
		}
	}
	return nil
}

var at = collective.Point{Step: 812, Phase: "gradients", Bucket: 3}

// small makes chunks so small that short tensors take many of them.
var small = collective.Config{Generation: 7, Timeout: time.Minute, ChunkBytes: 16}

func lengths(n int) []int { return []int{0, 1, n - 1, n, n + 1, 37, 4*n + 3, 1000} }
