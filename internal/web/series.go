package web

import (
	"encoding/json"
	"math"
	"strconv"

	"parallax/record"
)

// maxPoints bounds the points of a series; there are at least half as many once
// there were so many steps.
const maxPoints = 2048

// series is a run's steps for a chart. When there are too many points, each two
// become one, so that a point stands for stride steps. The zero value is empty.
type series struct {
	stride int // steps of a point, but for the last; a power of two
	points []point
}

// point is some steps in succession.
type point struct {
	steps   int     // how many
	step    int64   // the last of them
	tokens  int64   // from the run's first step to the last of these
	seconds float64 // likewise
	loss    float64 // sum over those steps where it is finite
	losses  int     // how many those are
	low     float64 // the least of them
	high    float64 // and the greatest

	// Sums over the steps.
	trained                            int64 // tokens
	took, compute, ring, wait, updated float64
	wire                               int64 // bytes
}

// add appends a step. One that the series has already, because a run went back
// to a checkpoint, replaces it and those behind it.
func (s *series) add(step record.Step) {
	s.rewind(step.Step)
	s.stride = max(s.stride, 1)
	if n := len(s.points); n == 0 || s.points[n-1].steps >= s.stride {
		if n == maxPoints {
			s.halve()
		}
		s.points = append(s.points, s.begin())
	}
	s.points[len(s.points)-1].add(step)
}

// rewind drops the points from a step on.
func (s *series) rewind(step int64) {
	n := len(s.points)
	for n > 0 && s.points[n-1].step >= step {
		n--
	}
	s.points = s.points[:n]
}

// begin is a point without steps, at the end of the run so far.
func (s *series) begin() point {
	if len(s.points) == 0 {
		return point{}
	}
	last := s.points[len(s.points)-1]
	return point{tokens: last.tokens, seconds: last.seconds}
}

func (s *series) halve() {
	for i := range len(s.points) / 2 {
		s.points[i] = s.points[2*i].join(s.points[2*i+1])
	}
	s.points = s.points[:len(s.points)/2]
	s.stride *= 2
}

func (p *point) add(s record.Step) {
	p.steps++
	p.step = s.Step
	p.tokens += s.Tokens
	p.seconds += s.Seconds
	if !math.IsNaN(s.Loss) && !math.IsInf(s.Loss, 0) {
		p.spread(s.Loss, s.Loss)
		p.loss += s.Loss
		p.losses++
	}
	p.trained += s.Tokens
	p.took += s.Seconds
	p.compute += s.Compute
	p.ring += s.Reduce
	p.wait += s.Wait
	p.updated += s.Update
	p.wire += s.WireBytes
}

// spread widens the range of losses.
func (p *point) spread(low, high float64) {
	if p.losses == 0 {
		p.low, p.high = low, high
	}
	p.low, p.high = min(p.low, low), max(p.high, high)
}

// join is p and next, which follows it.
func (p point) join(next point) point {
	if p.losses > 0 {
		next.spread(p.low, p.high)
	}
	next.steps += p.steps
	next.loss += p.loss
	next.losses += p.losses
	next.trained += p.trained
	next.took += p.took
	next.compute += p.compute
	next.ring += p.ring
	next.wait += p.wait
	next.updated += p.updated
	next.wire += p.wire
	return next
}

// columns are a series as the page takes it: seconds and bytes are means of a
// step, loss is the mean of the steps that have one, between the least and the
// greatest of them: no spike is lost, however long the run.
type columns struct {
	Stride  int    `json:"stride"`
	Step    column `json:"step"`
	Tokens  column `json:"tokens"`  // so far
	Seconds column `json:"seconds"` // of steps, so far
	Loss    column `json:"loss"`
	Low     column `json:"loss_low"`
	High    column `json:"loss_high"`
	Rate    column `json:"tokens_per_s"`
	Took    column `json:"took"`
	Compute column `json:"compute"`
	Ring    column `json:"ring"`
	Wait    column `json:"wait"`
	Update  column `json:"update"`
	Wire    column `json:"wire_bytes"`
}

func (s *series) columns() columns {
	return columns{
		Stride:  max(s.stride, 1),
		Step:    s.column(func(p point) float64 { return float64(p.step) }),
		Tokens:  s.column(func(p point) float64 { return float64(p.tokens) }),
		Seconds: s.column(func(p point) float64 { return p.seconds }),
		Loss:    s.column(func(p point) float64 { return p.loss / float64(p.losses) }),
		Low:     s.column(func(p point) float64 { return p.among(p.low) }),
		High:    s.column(func(p point) float64 { return p.among(p.high) }),
		Rate:    s.column(func(p point) float64 { return float64(p.trained) / p.took }),
		Took:    s.mean(func(p point) float64 { return p.took }),
		Compute: s.mean(func(p point) float64 { return p.compute }),
		Ring:    s.mean(func(p point) float64 { return p.ring }),
		Wait:    s.mean(func(p point) float64 { return p.wait }),
		Update:  s.mean(func(p point) float64 { return p.updated }),
		Wire:    s.mean(func(p point) float64 { return float64(p.wire) }),
	}
}

// among is x, which is of the losses, if there are any.
func (p point) among(x float64) float64 {
	if p.losses == 0 {
		return math.NaN()
	}
	return x
}

func (s *series) column(value func(point) float64) column {
	c := make(column, len(s.points))
	for i, p := range s.points {
		c[i] = value(p)
	}
	return c
}

func (s *series) mean(sum func(point) float64) column {
	return s.column(func(p point) float64 { return sum(p) / float64(p.steps) })
}

// column is written with the digits that a chart can show; what is no number is
// null.
type column []float64

var _ json.Marshaler = column{}

// MarshalJSON implements json.Marshaler.
func (c column) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for i, x := range c {
		if i > 0 {
			out = append(out, ',')
		}
		switch {
		case math.IsNaN(x) || math.IsInf(x, 0):
			out = append(out, "null"...)
		case x == math.Trunc(x) && math.Abs(x) < 1<<53:
			out = strconv.AppendInt(out, int64(x), 10)
		default:
			out = strconv.AppendFloat(out, x, 'g', 6, 64)
		}
	}
	return append(out, ']'), nil
}
