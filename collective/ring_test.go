package collective_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parallax/collective"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAllReduce(t *testing.T) {
	for _, n := range worlds {
		for _, op := range []collective.Op{collective.SumF32, collective.SumBF16} {
			t.Run(fmt.Sprintf("%v/%d", op, n), func(t *testing.T) {
				must(t, newRing(t, n, small), func(c *collective.Comm) error {
					for _, length := range lengths(n) {
						in, out := values(c.Rank(), length), make([]float32, length)
						if err := c.AllReduce(t.Context(), at, out, in, op); err != nil {
							return err
						}
						if err := sameBits(out, want(n, evenly(length, n), op, true)); err != nil {
							return fmt.Errorf("length %d: %w", length, err)
						}
						if err := sameBits(in, values(c.Rank(), length)); err != nil {
							return fmt.Errorf("length %d: input changed: %w", length, err)
						}
					}
					return nil
				})
			})
		}
	}
}

func TestAllReduceInPlaceAndLarge(t *testing.T) {
	const n, length = 3, 200_003
	for _, op := range []collective.Op{collective.SumF32, collective.SumBF16} {
		sum := want(n, evenly(length, n), op, true)
		must(t, newRing(t, n, collective.Config{ChunkBytes: 64 << 10, Timeout: time.Minute}), func(c *collective.Comm) error {
			v := values(c.Rank(), length)
			if err := c.AllReduce(t.Context(), at, v, v, op); err != nil {
				return err
			}
			return sameBits(v, sum)
		})
	}
}

// Integers have the same sum whatever the ring, and no bit of them is lost.
func TestAllReduceInts(t *testing.T) {
	ints := func(rank, length int) []int32 {
		rng := rand.New(rand.NewPCG(uint64(rank), 11))
		v := make([]int32, length)
		for i := range v {
			v[i] = rng.Int32N(1<<28) - 1<<27
		}
		return v
	}
	for _, n := range worlds {
		must(t, newRing(t, n, small), func(c *collective.Comm) error {
			for _, length := range lengths(n) {
				want := make([]int32, length)
				for rank := range n {
					for i, x := range ints(rank, length) {
						want[i] += x
					}
				}
				in, out := ints(c.Rank(), length), make([]int32, length)
				if err := c.AllReduceInts(t.Context(), at, out, in); err != nil {
					return err
				}
				if !slices.Equal(out, want) || !slices.Equal(in, ints(c.Rank(), length)) {
					return fmt.Errorf("%d ranks, length %d: wrong sum, or the input changed", n, length)
				}
				if err := c.AllReduceInts(t.Context(), at, in, in); err != nil || !slices.Equal(in, want) {
					return fmt.Errorf("%d ranks, length %d, in place: wrong sum or %v", n, length, err)
				}
			}
			return nil
		})
	}
}

// uneven deals total out with empty segments at the front, in the middle and at the end.
func uneven(total, n int) [][]int {
	all := [][]int{evenly(total, n)}
	for owner := range n {
		b := make([]int, n+1)
		for i := owner + 1; i <= n; i++ {
			b[i] = total
		}
		all = append(all, b)
	}
	rng := rand.New(rand.NewPCG(3, uint64(n)))
	b := make([]int, n+1)
	for i := 1; i < n; i++ {
		b[i] = rng.IntN(total + 1)
	}
	b[n] = total
	slices.Sort(b)
	return append(all, b)
}

func TestReduceScatter(t *testing.T) {
	for _, n := range worlds {
		for _, op := range []collective.Op{collective.SumF32, collective.SumBF16} {
			t.Run(fmt.Sprintf("%v/%d", op, n), func(t *testing.T) {
				must(t, newRing(t, n, small), func(c *collective.Comm) error {
					for _, length := range lengths(n) {
						for _, bounds := range uneven(length, n) {
							lo, hi := bounds[c.Rank()], bounds[c.Rank()+1]
							out := make([]float32, hi-lo)
							if err := c.ReduceScatter(t.Context(), at, out, values(c.Rank(), length), bounds, op); err != nil {
								return err
							}
							if err := sameBits(out, want(n, bounds, op, false)[lo:hi]); err != nil {
								return fmt.Errorf("bounds %v: %w", bounds, err)
							}
						}
					}
					return nil
				})
			})
		}
	}
}

// text is n bytes that say where they stand.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func TestAllGather(t *testing.T) {
	for _, n := range worlds {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			must(t, newRing(t, n, small), func(c *collective.Comm) error {
				for _, length := range lengths(n) {
					for _, bounds := range uneven(length, n) {
						buf := make([]byte, length)
						lo, hi := bounds[c.Rank()], bounds[c.Rank()+1]
						copy(buf[lo:hi], text(length)[lo:hi])
						if err := c.AllGather(t.Context(), at, buf, bounds); err != nil {
							return err
						}
						if !slices.Equal(buf, text(length)) {
							return fmt.Errorf("bounds %v: got %v", bounds, buf)
						}
					}
				}
				return nil
			})
		})
	}
}

func TestBroadcast(t *testing.T) {
	for _, n := range worlds {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			must(t, newRing(t, n, small), func(c *collective.Comm) error {
				for root := range n {
					for _, length := range lengths(n) {
						buf := make([]byte, length)
						if c.Rank() == root {
							copy(buf, text(length))
						}
						if err := c.Broadcast(t.Context(), at, buf, root); err != nil {
							return err
						}
						if !slices.Equal(buf, text(length)) {
							return fmt.Errorf("from %d: got %v", root, buf)
						}
					}
				}
				return c.Barrier(t.Context(), at)
			})
		})
	}
}

func TestBarrierWaitsForAll(t *testing.T) {
	const n = 5
	comms := newRing(t, n, small)
	var mu sync.Mutex
	arrived := 0
	must(t, comms, func(c *collective.Comm) error {
		for round := 1; round <= 20; round++ {
			mu.Lock()
			arrived++
			mu.Unlock()
			if err := c.Barrier(context.Background(), at); err != nil {
				return err
			}
			mu.Lock()
			seen := arrived
			mu.Unlock()
			if seen < round*n {
				return fmt.Errorf("left barrier %d when %d of %d had come", round, seen, round*n)
			}
		}
		return nil
	})
}

// TestWireBytes holds the cost model: 2(n-1)/n of the payload, and a header a frame.
func TestWireBytes(t *testing.T) {
	for _, n := range worlds[1:] {
		for op, width := range map[collective.Op]int{collective.SumF32: 4, collective.SumBF16: 2} {
			const chunk = 240
			comms := newRing(t, n, collective.Config{ChunkBytes: chunk, Timeout: time.Hour})
			elements := n * 1000
			must(t, comms, func(c *collective.Comm) error {
				if err := c.AllReduce(t.Context(), at, make([]float32, elements), make([]float32, elements), op); err != nil {
					return err
				}
				s := c.Stats()
				frames := int64(2 * (n - 1) * ((1000*width + chunk - 1) / chunk))
				payload := int64(2 * (n - 1) * elements / n * width)
				if s.PayloadSent != payload || s.PayloadReceived != payload || s.FramesSent != frames || s.FramesReceived != frames {
					return fmt.Errorf("%+v, want %d bytes in %d frames", s, payload, frames)
				}
				if wire := payload + frames*collective.HeaderSize; s.WireSent != wire {
					return fmt.Errorf("sent %d bytes on the wire, want %d", s.WireSent, wire)
				}
				return nil
			})
		}
	}
}

// TestChunksAllocateNothing: what a collective allocates does not grow with its
// number of chunks.
func TestChunksAllocateNothing(t *testing.T) {
	comms := newRing(t, 3, collective.Config{Timeout: time.Hour, ChunkBytes: 1024})
	allocs := func(chunks int) float64 {
		in, out := make([]float32, 3*256*chunks), make([]float32, 3*256*chunks)
		return testing.AllocsPerRun(5, func() {
			for _, err := range each(comms, func(c *collective.Comm) error {
				mine := slices.Clone(out)
				return c.AllReduce(t.Context(), at, mine, in, collective.SumF32)
			}) {
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	allocs(1000) // fills the pools
	if few, many := allocs(10), allocs(1000); many > few+30 {
		t.Errorf("%v allocations for 10 chunks, %v for 1000", few, many)
	}
	closeAll(t, comms)
}

func TestBadCallsAreRefused(t *testing.T) {
	comms := newRing(t, 2, small)
	defer closeAll(t, comms)
	c, ctx := comms[0], t.Context()
	f := make([]float32, 4)
	for name, err := range map[string]error{
		"lengths":  c.AllReduce(ctx, at, f[:3], f, collective.SumF32),
		"floats":   c.AllReduce(ctx, at, f, f, collective.SumI32),
		"scatter":  c.ReduceScatter(ctx, at, f[:2], f, []int{0, 2, 4}, collective.SumI32),
		"ints":     c.AllReduceInts(ctx, at, make([]int32, 3), make([]int32, 4)),
		"op":       c.AllReduce(ctx, at, f, f, collective.Op(9)),
		"bounds":   c.ReduceScatter(ctx, at, f[:2], f, []int{0, 4}, collective.SumF32),
		"falling":  c.ReduceScatter(ctx, at, f[:2], f, []int{0, 5, 4}, collective.SumF32),
		"own part": c.ReduceScatter(ctx, at, f, f, []int{0, 2, 4}, collective.SumF32),
		"gather":   c.AllGather(ctx, at, make([]byte, 3), []int{0, 2, 4}),
		"root":     c.Broadcast(ctx, at, nil, 2),
		"step":     c.Barrier(ctx, collective.Point{Step: -1}),
		"bucket":   c.Barrier(ctx, collective.Point{Bucket: 1 << 16}),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := c.Err(); err != nil {
		t.Errorf("a refused call broke the ring: %v", err)
	}
}

func TestBadConfigIsRefused(t *testing.T) {
	for name, cfg := range map[string]collective.Config{
		"no members":   {},
		"rank":         {Members: members(2), Rank: 2},
		"no transport": {Members: members(2)},
		"timeout":      {Members: members(1), Timeout: -1},
		"odd chunk":    {Members: members(1), ChunkBytes: 6},
		"huge chunk":   {Members: members(1), ChunkBytes: collective.MaxChunkBytes + 4},
	} {
		if _, err := collective.New(cfg, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
