package collective_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parallax/collective"
	"parallax/collective/mem"
)

// The tests of this file run in a bubble of fake time: they fail or pass by what
// happens, never by how fast this machine is.

const timeout = time.Second

var watched = collective.Config{Generation: 7, Timeout: timeout, ChunkBytes: 64}

// stage is a collective as a fault meets it.
type stage struct {
	phase collective.Phase
	call  func(ctx context.Context, c *collective.Comm) error
}

func stages() []stage {
	reduce := func(ctx context.Context, c *collective.Comm) error {
		return c.AllReduce(ctx, at, make([]float32, 300), make([]float32, 300), collective.SumF32)
	}
	return []stage{
		{collective.ReduceScatter, reduce},
		{collective.AllGather, reduce},
		{collective.Barrier, func(ctx context.Context, c *collective.Comm) error { return c.Barrier(ctx, at) }},
		{collective.Broadcast, func(ctx context.Context, c *collective.Comm) error {
			if err := c.Broadcast(ctx, at, make([]byte, 1000), 0); err != nil {
				return err
			}
			return c.Barrier(ctx, at)
		}},
	}
}

// TestLossIsNamedByAll: whichever rank dies or stops, in whichever phase, all
// others return within one deadline and suspect it.
func TestLossIsNamedByAll(t *testing.T) {
	for _, n := range []int{2, 3, 4, 5} {
		for _, s := range stages() {
			for _, kind := range []mem.Kind{mem.Fail, mem.Stall} {
				for victim := range n {
					if s.phase == collective.Broadcast && victim == n-1 {
						continue // the last one sends nothing on
					}
					t.Run(fmt.Sprintf("%v/%v/%d of %d", kind, s.phase, victim, n), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							loseOne(t, n, s, mem.Fault{Kind: kind, Rank: victim, Step: at.Step, Phase: s.phase, Bucket: at.Bucket})
						})
					})
				}
			}
		}
	}
}

func loseOne(t *testing.T, n int, s stage, fault mem.Fault) {
	comms := newRing(t, n, watched, fault)
	defer closeAll(t, comms)
	start := time.Now()
	for rank, err := range each(comms, func(c *collective.Comm) error { return s.call(t.Context(), c) }) {
		if rank == fault.Rank {
			continue // what a dead or stopped process thinks does not count
		}
		var e *collective.Error
		if !errors.As(err, &e) {
			t.Errorf("rank %d: %v is not an *Error", rank, err)
		} else if e.Peer != fault.Rank {
			t.Errorf("rank %d: %v", rank, err)
		} else if fault.Kind == mem.Stall && (e.At != at || !e.During) { // all are in it when that is noticed
			t.Errorf("rank %d: %v", rank, err)
		}
	}
	limit := timeout * 5 / 4
	if fault.Kind == mem.Fail {
		limit = 0
	}
	if took := time.Since(start); took > limit {
		t.Errorf("took %v, want at most %v", took, limit)
	}
}

// TestDamageIsNamed: a frame that is wrong or lost is the sender's fault.
func TestDamageIsNamed(t *testing.T) {
	damage := map[string]struct {
		fault mem.Fault
		want  string
	}{
		"unknown kind":     {mem.Fault{Kind: mem.Corrupt, Mutate: func(h []byte) { h[0] = 0xee }}, "unknown kind 0xee"},
		"other bucket":     {mem.Fault{Kind: mem.Corrupt, Mutate: func(h []byte) { h[16]++ }}, "expected data of reduce-scatter sum-f32, step 812, bucket 3"},
		"other length":     {mem.Fault{Kind: mem.Corrupt, Mutate: func(h []byte) { h[24]-- }}, "announces"},
		"later generation": {mem.Fault{Kind: mem.Corrupt, Mutate: func(h []byte) { h[4]++ }}, "gone on to generation 8, this rank is in 7"},
		"stale generation": {mem.Fault{Kind: mem.Corrupt, Mutate: func(h []byte) { h[4]-- }}, "unexpected frame"},
		"lost":             {mem.Fault{Kind: mem.Drop}, "unexpected frame"},
	}
	for name, d := range damage {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d.fault.Rank, d.fault.Step, d.fault.Bucket = 1, at.Step, at.Bucket
				d.fault.Phase = collective.ReduceScatter
				comms := newRing(t, 3, watched, d.fault)
				defer closeAll(t, comms)
				for rank, err := range each(comms, func(c *collective.Comm) error { return stages()[0].call(t.Context(), c) }) {
					var e *collective.Error
					if !errors.As(err, &e) || e.Peer != 1 || !strings.Contains(err.Error(), d.want) {
						t.Errorf("rank %d: %v, want %q of rank 1", rank, err, d.want)
					}
				}
			})
		})
	}
}

// TestLastFrameLost: when nothing comes after the frame that was lost, the next
// heartbeat tells of it.
func TestLastFrameLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		comms := newRing(t, 2, watched, mem.Fault{Kind: mem.Drop, Rank: 1, Step: at.Step, Phase: collective.Barrier, Bucket: at.Bucket})
		defer closeAll(t, comms)
		errs := each(comms, func(c *collective.Comm) error { return c.Barrier(t.Context(), at) })
		if errs[0] == nil || !strings.Contains(errs[0].Error(), "lost rank 1 (gpu01 at 10.0.0.1:7001) in barrier") ||
			!strings.Contains(errs[0].Error(), "it sent 1 data frames in this generation and 0 came") {
			t.Errorf("rank 0: %v", errs[0])
		}
	})
}

// TestSlowIsNotLost: a neighbour may compute, and a frame travel, for long.
func TestSlowIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		comms := newRing(t, 4, watched, mem.Fault{Kind: mem.Delay, Delay: timeout / 2, Rank: 0, Step: at.Step, Phase: collective.AllGather, Bucket: at.Bucket})
		must(t, comms, func(c *collective.Comm) error {
			if c.Rank() == 2 {
				time.Sleep(100 * timeout)
			}
			return stages()[0].call(t.Context(), c)
		})
	})
}

// TestSilenceBetweenCollectives: nobody has to be in a collective to be missed.
func TestSilenceBetweenCollectives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := mem.NewRing(3)
		comms := seat(t, 3, watched, func(rank int) collective.Transport { return nodes[rank] })
		defer closeAll(t, comms)
		if err := comms[0].Err(); err != nil {
			t.Fatal(err)
		}
		nodes[1].Stall()
		for _, rank := range []int{0, 2} {
			<-comms[rank].Failed()
			want := "lost rank 1 (gpu01 at 10.0.0.1:7001) before the first collective: nothing heard for"
			if err := comms[rank].Err(); !strings.Contains(err.Error(), want) {
				t.Errorf("rank %d: %v", rank, err)
			}
		}
	})
}

// blocked starts an all-reduce on ranks 0 to n-2 of n; the last never joins.
func blocked(t *testing.T, comms []*collective.Comm, ctx func(rank int) context.Context) func() []error {
	errs := make(chan []error)
	go func() {
		errs <- each(comms[:len(comms)-1], func(c *collective.Comm) error { return stages()[0].call(ctx(c.Rank()), c) })
	}()
	synctest.Wait()
	return func() []error { return <-errs }
}

func TestCancellingOneCancelsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		comms := newRing(t, 4, watched)
		defer closeAll(t, comms)
		ctx, cancel := context.WithCancel(t.Context())
		wait := blocked(t, comms, func(rank int) context.Context {
			if rank == 1 {
				return ctx
			}
			return t.Context()
		})
		start := time.Now()
		cancel()
		for rank, err := range wait() {
			want := "rank 1 (gpu01) gave up in reduce-scatter of step 812, bucket 3 (gradients): context canceled"
			if err == nil || err.Error() != want {
				t.Errorf("rank %d: %v", rank, err)
			}
			if errors.Is(err, context.Canceled) != (rank == 1) {
				t.Errorf("rank %d: errors.Is says otherwise", rank)
			}
		}
		<-comms[3].Failed()
		if took := time.Since(start); took > 0 {
			t.Errorf("took %v", took)
		}
	})
}

func TestClosingOneEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		comms := newRing(t, 4, watched)
		defer closeAll(t, comms)
		wait := blocked(t, comms, func(int) context.Context { return t.Context() })
		comms[2].Close()
		for rank, err := range wait() {
			var e *collective.Error
			if !errors.As(err, &e) || e.Rank != 2 || e.Peer != -1 || errors.Is(err, collective.ErrClosed) != (rank == 2) {
				t.Errorf("rank %d: %v", rank, err)
			}
		}
		if err := comms[2].Barrier(t.Context(), at); !errors.Is(err, collective.ErrClosed) {
			t.Errorf("barrier after close: %v", err)
		}
	})
}

// TestLeavingBetweenCollectives: who closes early is named by those who needed it.
func TestLeavingBetweenCollectives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		comms := newRing(t, 4, watched)
		defer closeAll(t, comms)
		start := time.Now()
		if err := comms[1].Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("closing a healthy ring took %v", took)
		}
		stay := []*collective.Comm{comms[0], comms[2], comms[3]}
		for _, err := range each(stay, func(c *collective.Comm) error { return stages()[0].call(t.Context(), c) }) {
			if err == nil || !strings.Contains(err.Error(), "lost rank 1 (gpu01 at 10.0.0.1:7001)") || !strings.Contains(err.Error(), "it has left the ring") {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestDisagreementIsExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		comms := newRing(t, 2, watched)
		defer closeAll(t, comms)
		for rank, err := range each(comms, func(c *collective.Comm) error {
			v := make([]float32, 8+c.Rank())
			return c.AllReduce(t.Context(), at, v, v, collective.SumF32)
		}) {
			if err == nil || !strings.Contains(err.Error(), "unexpected frame: expected ") {
				t.Errorf("rank %d: %v", rank, err)
			}
		}
	})
}

func TestOneCollectiveAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		comms := newRing(t, 3, watched)
		wait := blocked(t, comms, func(int) context.Context { return t.Context() })
		if err := comms[0].Barrier(t.Context(), at); err == nil || !strings.Contains(err.Error(), "under way") {
			t.Errorf("second collective: %v", err)
		}
		closeAll(t, comms)
		wait()
	})
}

func TestCancelledBeforehand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, n := range []int{1, 2} {
		comms := newRing(t, n, small)
		if err := comms[0].Barrier(ctx, at); !errors.Is(err, context.Canceled) {
			t.Errorf("world of %d: %v", n, err)
		}
		closeAll(t, comms)
	}
}

// TestFailingAndClosingAtOnce: a rank that hears of a failure and closes at once
// still passes the news on.
func TestFailingAndClosingAtOnce(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			comms := newRing(t, 4, watched, mem.Fault{Kind: mem.Fail, Rank: 2, Step: at.Step, Phase: collective.AllGather, Bucket: at.Bucket})
			for rank, err := range each(comms, func(c *collective.Comm) error {
				defer c.Close()
				return stages()[0].call(t.Context(), c)
			}) {
				var e *collective.Error
				if rank != 2 && (!errors.As(err, &e) || e.Peer != 2) {
					t.Errorf("rank %d: %v", rank, err)
				}
			}
		})
	}
}
