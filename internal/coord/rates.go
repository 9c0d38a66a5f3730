package coord

import (
	"math"
	"time"

	pb "parallax/proto/parallax/v1"
	"parallax/record"
)

// rateInterval is how far apart the ranks' rates are on record, at least: a week's
// run on 8 ranks has a million rows or fewer.
const rateInterval = 5 * time.Second

// rates gathers how fast each rank and its link were since they were last recorded.
// The zero value knows no view.
type rates struct {
	generation uint64
	slots      []int // of each rank
	all        int   // slots of a step
	began      time.Time
	steps      int
	ranks      []record.Rate // sums over those steps
}

// enter begins with a view.
func (r *rates) enter(v *pb.View) {
	*r = rates{generation: v.Generation}
	for _, m := range v.Members {
		r.slots = append(r.slots, len(m.Slots))
		r.all += len(m.Slots)
	}
}

// add takes a step of the view, and returns what is to be recorded now: nothing,
// mostly.
func (r *rates) add(s *pb.StepSummary, at time.Time) []record.Rate {
	if s.Generation != r.generation || len(r.slots) == 0 {
		return nil
	}
	if r.steps == 0 {
		r.ranks = make([]record.Rate, len(r.slots))
		if r.began.IsZero() {
			r.began = at
		}
	}
	r.steps++
	micro := float64(s.Tokens) / float64(max(1, r.all))
	for rank := range r.ranks {
		sum := &r.ranks[rank]
		sum.Step, sum.Time = s.Step, at
		sum.TokensPerSecond += rateOf(micro, s.RankSeconds, rank)
		bytes, send, receive := math.NaN(), math.NaN(), math.NaN()
		for _, l := range s.Links {
			if int(l.Rank) == rank {
				bytes, send, receive = float64(l.Bytes), l.SendSeconds, l.ReceiveSeconds
			}
		}
		sum.LinkBytes += bytes
		sum.Send += send
		sum.Receive += receive
	}
	if at.Sub(r.began) < rateInterval {
		return nil
	}
	r.began = at
	return r.take()
}

// rateOf is tokens a second of a rank that told how long it took for a micro-batch
// of so many; NaN where it has not, or has computed none.
func rateOf(micro float64, seconds []float64, rank int) float64 {
	if rank >= len(seconds) || !(seconds[rank] > 0) {
		return math.NaN()
	}
	return micro / seconds[rank]
}

// take is the means since the last ones, and begins anew.
func (r *rates) take() []record.Rate {
	if r.steps == 0 {
		return nil
	}
	n := float64(r.steps)
	for rank := range r.ranks {
		m := &r.ranks[rank]
		m.Rank, m.Generation, m.Steps = rank, r.generation, r.steps
		m.TokensPerSecond, m.LinkBytes, m.Send, m.Receive = m.TokensPerSecond/n, m.LinkBytes/n, m.Send/n, m.Receive/n
	}
	r.steps = 0
	return r.ranks
}
