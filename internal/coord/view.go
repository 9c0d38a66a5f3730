package coord

import (
	"bytes"
	"fmt"

	"parallax/internal/config"
	pb "parallax/proto/parallax/v1"
	"parallax/shard"
)

// start makes the first view of those who are ready, and sends it to them.
func (c *Core) start(why string) {
	c.ranks = order(c.readyNodes())
	c.view = c.makeView(why)
	c.phase, c.started = running, c.now
	first := c.ranks[0].ready
	c.publish(&pb.RunEvent{Kind: &pb.RunEvent_Started{Started: &pb.RunStarted{
		RunId:            c.job.ID,
		Name:             c.job.Name,
		RunDir:           c.job.Dir,
		SpecHash:         config.Hash(c.job.Spec),
		Steps:            int64(c.job.Spec.Train.Steps),
		Parameters:       first.Parameters,
		FlopsPerToken:    first.FlopsPerToken,
		FlopsPerToken_6N: first.FlopsPerToken_6N,
		DataSummary:      first.DataSummary,
		DataDigest:       first.DataDigest,
	}}})
	c.publish(&pb.RunEvent{Kind: &pb.RunEvent_View{View: c.view}})
	for _, n := range c.ranks {
		c.send(n, viewOrder(c.view))
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

// makeView deals the work out to the ranks and says whose state counts.
func (c *Core) makeView(why string) *pb.View {
	source, same := newest(c.ranks)
	view := &pb.View{
		Generation: 1,
		ResumeStep: c.ranks[source].ready.Step,
		SourceRank: int32(source),
		SyncState:  !same,
	}
	if c.view != nil {
		view.Generation = c.view.Generation + 1
	}
	deal := shard.Deal(c.job.Spec.Train.Slots, weights(c.ranks))
	for rank, n := range c.ranks {
		view.Members = append(view.Members, member(n.hello, deal[rank]))
	}
	view.Reason = fmt.Sprintf("generation %d: %s; they start from step %d", view.Generation, why, view.ResumeStep)
	if view.SyncState {
		view.Reason += fmt.Sprintf(", all with the state of %s, as theirs differ", c.ranks[source].name())
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
	}
	for _, slot := range slots {
		m.Slots = append(m.Slots, int32(slot))
	}
	return m
}

// newest returns the lowest rank that holds the most steps, and whether all hold
// the same state.
func newest(ranks []*node) (source int, same bool) {
	same = true
	for rank, n := range ranks {
		if n.ready.Step > ranks[source].ready.Step {
			source = rank
		}
		if n.ready.Step != ranks[0].ready.Step || !bytes.Equal(n.ready.Digest, ranks[0].ready.Digest) {
			same = false
		}
	}
	return source, same
}

// tolerance is how far measured speeds may lie apart and still count as equal:
// hosts of one kind measure so differently on a busy day.
const tolerance = 1.2

// weights are the ranks' measured speeds in tokens per second, or all 1 where
// one is unknown or the fastest is less than tolerance times the slowest.
func weights(ranks []*node) []float64 {
	speeds := make([]float64, len(ranks))
	equal := make([]float64, len(ranks))
	slowest, fastest := ranks[0].ready.TokensPerSecond, 0.0
	for rank, n := range ranks {
		speeds[rank], equal[rank] = n.ready.TokensPerSecond, 1
		slowest, fastest = min(slowest, speeds[rank]), max(fastest, speeds[rank])
	}
	if slowest <= 0 || fastest < tolerance*slowest {
		return equal
	}
	return speeds
}
