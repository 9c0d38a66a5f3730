package web

import (
	"maps"
	"math"
	"slices"

	pb "parallax/proto/parallax/v1"
	"parallax/record"
)

// Bounds of what the page gets of the nodes' rates: of points, and of points times
// nodes, with leastRates points however many nodes there are.
const (
	maxRates   = 256
	leastRates = 16
	maxRated   = 16384
)

// rates are how fast each node and its link were over a run's steps. When there are
// too many points, each two become one.
type rates struct {
	points []rated
}

// rated is how fast nodes were in some steps of a view.
type rated struct {
	step       int64 // the last of them
	steps      int
	generation uint64
	nodes      map[string]pace
}

// pace is of one node, means over steps; NaN is what nobody has told.
type pace struct {
	rank                 int
	tokens               float64 // a second, while it computes
	bytes, send, receive float64 // a step: over the link to the next rank, the seconds that it took, and that the next rank waited
}

// link is the bytes a second of the link while it sends.
func (p pace) link() float64 {
	if !(p.send > 0) {
		return math.NaN()
	}
	return p.bytes / p.send
}

// add appends a point, in place of those that the run went back over.
func (r *rates) add(p rated) {
	n := len(r.points)
	for n > 0 && r.points[n-1].step >= p.step {
		n--
	}
	r.points = append(r.points[:n], p)
	if limit := min(maxRates, max(leastRates, maxRated/max(1, len(p.nodes)))); len(r.points) > limit {
		for i := range len(r.points) / 2 {
			r.points[i] = r.points[2*i].join(r.points[2*i+1])
		}
		if odd := len(r.points) % 2; odd == 1 {
			r.points[len(r.points)/2] = r.points[len(r.points)-1]
		}
		r.points = r.points[:(len(r.points)+1)/2]
	}
}

// join is p and next, which follows it; of two views the later one is kept.
func (p rated) join(next rated) rated {
	if p.generation != next.generation {
		return next
	}
	joined := rated{step: next.step, steps: p.steps + next.steps, generation: p.generation, nodes: maps.Clone(p.nodes)}
	share := float64(next.steps) / float64(max(1, joined.steps))
	for node, b := range next.nodes {
		a, known := p.nodes[node]
		if !known {
			a = b
		}
		mix := func(x, y float64) float64 {
			switch {
			case math.IsNaN(x):
				return y
			case math.IsNaN(y):
				return x
			}
			return x + (y-x)*share
		}
		joined.nodes[node] = pace{b.rank, mix(a.tokens, b.tokens), mix(a.bytes, b.bytes), mix(a.send, b.send), mix(a.receive, b.receive)}
	}
	return joined
}

// ratesOf is how fast the members of a view were in one of its steps; nothing of a
// step that no rank has told of.
func ratesOf(s *pb.StepSummary, v *pb.View) (p rated, told bool) {
	if v == nil || s.Generation != v.Generation {
		return p, false
	}
	p = rated{step: s.Step, steps: 1, generation: s.Generation, nodes: map[string]pace{}}
	slots := 0
	for _, m := range v.Members {
		slots += len(m.Slots)
	}
	for rank, m := range v.Members {
		one := pace{rank, math.NaN(), math.NaN(), math.NaN(), math.NaN()}
		if rank < len(s.RankSeconds) && s.RankSeconds[rank] > 0 {
			one.tokens, told = float64(s.Tokens)/float64(max(1, slots))/s.RankSeconds[rank], true
		}
		for _, l := range s.Links {
			if int(l.Rank) == rank {
				one.bytes, one.send, one.receive, told = float64(l.Bytes), l.SendSeconds, l.ReceiveSeconds, true
			}
		}
		p.nodes[m.NodeId] = one
	}
	return p, told
}

// addRecorded adds what the ledger has of a run's rates, as far as it passes.
func (r *rates) addRecorded(l *record.Ledger, run string, passes func(record.Rate) bool) error {
	ranks, err := l.Ranks(run)
	if err != nil {
		return err
	}
	type seat struct {
		generation uint64
		rank       int
	}
	nodes := map[seat]string{}
	for _, k := range ranks {
		nodes[seat{k.Generation, k.Rank}] = k.Node
	}
	rows, err := l.Rates(run)
	rows = slices.DeleteFunc(rows, func(row record.Rate) bool { return !passes(row) })
	for len(rows) > 0 {
		p := rated{step: rows[0].Step, steps: rows[0].Steps, generation: rows[0].Generation, nodes: map[string]pace{}}
		for len(rows) > 0 && rows[0].Step == p.step {
			row := rows[0]
			p.nodes[nodes[seat{row.Generation, row.Rank}]] = pace{row.Rank, row.TokensPerSecond, row.LinkBytes, row.Send, row.Receive}
			rows = rows[1:]
		}
		r.add(p)
	}
	return err
}

// rateColumns are the rates as the page takes them: for each node a column with a
// value for every point.
type rateColumns struct {
	Step       column   `json:"step"`
	Steps      column   `json:"steps"` // of each point
	Generation column   `json:"generation"`
	Nodes      []string `json:"nodes"`
	Tokens     []column `json:"tokens_per_s"`
	Link       []column `json:"link_bytes_per_s"`
	Links      []linked `json:"links"` // of the last point, as a step event has them
}

// linked is what went over a rank's link to the next one in a step.
type linked struct {
	Rank    int     `json:"rank"`
	Bytes   float64 `json:"bytes"`
	Send    float64 `json:"send"`
	Receive float64 `json:"receive"`
}

func (r *rates) columns() rateColumns {
	c := rateColumns{Nodes: r.nodes(), Links: []linked{}}
	for _, p := range r.points {
		c.Step, c.Steps, c.Generation = append(c.Step, float64(p.step)), append(c.Steps, float64(p.steps)), append(c.Generation, float64(p.generation))
	}
	c.Tokens, c.Link = r.each(c.Nodes, func(p pace) float64 { return p.tokens }), r.each(c.Nodes, pace.link)
	if n := len(r.points); n > 0 {
		for _, p := range r.points[n-1].nodes {
			if p.send > 0 {
				c.Links = append(c.Links, linked{p.rank, p.bytes, p.send, p.receive})
			}
		}
	}
	slices.SortFunc(c.Links, func(a, b linked) int { return a.Rank - b.Rank })
	return c
}

// nodes lists all that are in a point, by name.
func (r *rates) nodes() []string {
	seen := map[string]bool{}
	for _, p := range r.points {
		for node := range p.nodes {
			seen[node] = true
		}
	}
	return append([]string{}, slices.Sorted(maps.Keys(seen))...)
}

// each is a column for every node; where a node was no member it is no number.
func (r *rates) each(nodes []string, value func(pace) float64) []column {
	all := make([]column, len(nodes))
	for i, node := range nodes {
		for _, p := range r.points {
			x := math.NaN()
			if at, member := p.nodes[node]; member {
				x = value(at)
			}
			all[i] = append(all[i], x)
		}
	}
	return all
}
