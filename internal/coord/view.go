package coord

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"parallax/internal/config"
	"parallax/internal/median"
	pb "parallax/proto/parallax/v1"
	"parallax/shard"
)

// start makes the first view of those who are ready.
func (c *Core) start(why string) {
	c.ranks = order(c.readyNodes())
	clear(c.unfit)
	c.started = c.wall
	c.facts = c.ranks[0].ready
	c.publish(c.startedEvent())
	source := newest(c.ranks)
	view := c.makeView(source)
	view.Reason = fmt.Sprintf("generation %d: %s; they start from step %d", view.Generation, why, view.ResumeStep)
	if view.SyncState {
		view.Reason += fmt.Sprintf(", all with the state of %s, as theirs differ", c.ranks[source].name())
	}
	if view.ResumeStep < c.reached {
		view.Reason += "; " + madeAgain(view.ResumeStep+1, c.reached)
		if view.ResumeStep == 0 {
			view.Reason += ", as there is no checkpoint"
		}
	}
	c.began = view.ResumeStep
	if c.view != nil && view.ResumeStep > c.reached {
		c.notice(nil, true, "steps %d to %d lack in the record: those who made them are lost, but for a checkpoint", c.reached+1, view.ResumeStep)
	}
	c.enter(view)
}

func (c *Core) startedEvent() *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_Started{Started: &pb.RunStarted{
		RunId:            c.job.ID,
		Name:             c.job.Name,
		RunDir:           c.job.Dir,
		SpecHash:         config.Hash(c.job.Spec),
		Steps:            int64(c.job.Spec.Train.Steps),
		Parameters:       c.facts.Parameters,
		FlopsPerToken:    c.facts.FlopsPerToken,
		FlopsPerToken_6N: c.facts.FlopsPerToken_6N,
		DataSummary:      c.facts.DataSummary,
		DataDigest:       c.facts.DataDigest,
	}}}
}

// enter begins a view and sends it to its members.
func (c *Core) enter(v *pb.View) {
	c.view, c.phase, c.cause, c.dealsAnew, c.forsaken = v, running, nil, false, ""
	c.keep()
	c.publish(&pb.RunEvent{Kind: &pb.RunEvent_View{View: v}})
	c.warnOfArithmetics()
	for rank, n := range c.ranks {
		n.held, n.behind, n.applied, n.dropped, n.fetch = false, v.Members[rank].Fetch, v.ResumeStep, 0, nil
		n.missed = time.Time{}
		n.pace.restart()
		c.send(n, viewOrder(v))
	}
	for _, n := range c.joiners() {
		n.held, n.digest = false, nil // what it may have held is over
	}
}

// order gives each node its rank: the one it was launched as, and to the others,
// by name, what is left.
func order(nodes []*node) []*node {
	ranks := make([]*node, len(nodes))
	var rest []*node
	for _, n := range nodes {
		if n.hello.Rank != nil && int(n.hello.GetRank()) < len(ranks) {
			ranks[n.hello.GetRank()] = n
		} else {
			rest = append(rest, n)
		}
	}
	for i := range ranks {
		if ranks[i] == nil {
			ranks[i], rest = rest[0], rest[1:]
		}
	}
	return ranks
}

// makeView deals the work out to the ranks, who go on with the source's state.
func (c *Core) makeView(source int) *pb.View {
	from := c.ranks[source]
	view := &pb.View{Generation: 1, ResumeStep: from.applied, SourceRank: int32(source)}
	if c.view != nil {
		view.Generation = c.view.Generation + 1
	}
	deal := shard.Deal(c.job.Spec.Train.Slots, weights(c.ranks))
	for rank, n := range c.ranks {
		m := member(n.hello, deal[rank])
		m.Fetch = n.applied != from.applied || !bytes.Equal(n.digest, from.digest)
		view.SyncState = view.SyncState || m.Fetch
		view.Members = append(view.Members, m)
	}
	if view.SyncState {
		view.Digest = from.digest
	}
	return view
}

func member(hello *pb.Hello, slots []int) *pb.Member {
	m := &pb.Member{
		NodeId:      hello.NodeId,
		Incarnation: hello.Incarnation,
		RingAddress: hello.RingAddress,
		Host:        hello.Host,
		Device:      hello.Device,

		DeviceSummary: hello.DeviceSummary,
		PeakFlops:     hello.PeakFlops,
	}
	for _, slot := range slots {
		m.Slots = append(m.Slots, int32(slot))
	}
	return m
}

// newest returns the lowest rank that holds the most steps.
func newest(ranks []*node) int {
	source := 0
	for rank, n := range ranks {
		if n.applied > ranks[source].applied {
			source = rank
		}
	}
	return source
}

// tolerance is how far measured speeds may lie apart and still count as equal:
// hosts of one kind measure so differently on a busy day.
const tolerance = 1.2

// weights are the ranks' speeds: as their steps have shown them where the slots were
// dealt by that, else as they were measured at the start, or all 1 where one is unknown.
func weights(ranks []*node) []float64 {
	speeds := shownSpeeds(ranks)
	if speeds == nil {
		for _, n := range ranks {
			speeds = append(speeds, n.ready.TokensPerSecond)
		}
	}
	return levelled(speeds)
}

// shownSpeeds are the ranks' speeds as their steps have shown them, or nil. Whoever is
// new counts as fast as the median of the others.
func shownSpeeds(ranks []*node) []float64 {
	var known []float64
	for _, n := range ranks {
		if n.pace.speed > 0 {
			known = append(known, n.pace.speed)
		}
	}
	if known == nil {
		return nil
	}
	speeds := make([]float64, len(ranks))
	for rank, n := range ranks {
		speeds[rank] = cmp.Or(n.pace.speed, median.Of(known))
	}
	return speeds
}

// levelled are the speeds, or all 1 where one is unknown or the fastest is less than
// tolerance times the slowest.
func levelled(speeds []float64) []float64 {
	slowest := slices.Min(speeds)
	if slowest <= 0 || slices.Max(speeds) < tolerance*slowest {
		return slices.Repeat([]float64{1}, len(speeds))
	}
	return speeds
}
