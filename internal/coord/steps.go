package coord

import (
	"fmt"
	"maps"
	"math"
	"slices"

	pb "parallax/proto/parallax/v1"
)

// maxOutstanding is how many steps a rank's reports may lag behind another's. Ranks
// apply steps together; but behind a coordinator's absence one may tell all that it has
// kept, up to 65536 reports, before another has attached again.
const maxOutstanding = 1<<16 + 1024

// tally collects the ranks' reports of one step.
type tally struct {
	first   *pb.StepReport
	from    *node // of first
	reports []*pb.StepReport
	senders []*node // of the reports
}

// stepped takes a rank's report of one step.
func (c *Core) stepped(n *node, r *pb.StepReport) {
	if c.view == nil || r.Generation != c.view.Generation || c.phase == over {
		return
	}
	if expected := max(n.applied, c.view.ResumeStep) + 1; r.Step != expected {
		c.abandon(fmt.Sprintf("%s reported step %d where step %d was due, which is a bug", n.name(), r.Step, expected))
		return
	}
	n.applied, n.behind = r.Step, false
	t := c.tallies[r.Step]
	if t == nil {
		t = &tally{first: r, from: n}
		c.tallies[r.Step] = t
	}
	if math.Float64bits(r.Loss) != math.Float64bits(t.first.Loss) {
		c.diverged("loss of step", r.Step, t.from, t.first.Loss, n, r.Loss)
		return
	}
	t.reports, t.senders = append(t.reports, r), append(t.senders, n)
	switch {
	case len(t.reports) == c.reporters(r.Step):
		c.publishStep(r.Step)
		c.paced(c.last.RankSeconds)
	case len(c.tallies) > maxOutstanding:
		c.abandon(fmt.Sprintf("the reports of %s are more than %d steps ahead of another node's, which is a bug", n.name(), maxOutstanding))
	}
}

// flushTallies publishes the steps up to resume that a lost rank has not reported,
// and forgets those that only lost ranks have applied.
func (c *Core) flushTallies(resume int64) {
	for _, step := range slices.Sorted(maps.Keys(c.tallies)) {
		if step <= resume {
			c.publishStep(step)
		}
	}
	clear(c.tallies)
}

// publishStep publishes what was reported of a step.
func (c *Core) publishStep(step int64) {
	c.last = c.summarise(c.tallies[step])
	delete(c.tallies, step)
	c.publish(&pb.RunEvent{Kind: &pb.RunEvent_Step{Step: c.last}})
}

// reporters counts the ranks that can report a step: those that have not had to
// drop their reports of it.
func (c *Core) reporters(step int64) int {
	reporters := 0
	for _, n := range c.ranks {
		if n.dropped < step {
			reporters++
		}
	}
	return reporters
}

// dropTo goes on without the reports that n has had to drop.
func (c *Core) dropTo(n *node) {
	if n.dropped <= n.applied {
		return
	}
	c.notice(n, true, "%s had to drop its reports of steps %d to %d", n.name(), n.applied+1, n.dropped)
	n.applied = n.dropped
	for _, step := range slices.Sorted(maps.Keys(c.tallies)) {
		if len(c.tallies[step].reports) == c.reporters(step) {
			c.publishStep(step)
		}
	}
}

// recorded tells the members that reports need not be kept any longer.
func (c *Core) recorded(r Recorded) {
	if c.view == nil || r.Generation != c.view.Generation {
		return
	}
	for _, n := range c.attached() {
		if c.member(n) {
			c.send(n, &pb.CoordinatorMessage{Kind: &pb.CoordinatorMessage_Recorded{Recorded: &pb.Recorded{Step: r.Step}}})
		}
	}
}

// summarise joins all ranks' reports of a step. Rates count the slowest rank's time.
func (c *Core) summarise(t *tally) *pb.StepSummary {
	first, world := t.first, float64(len(t.reports))
	s := &pb.StepSummary{
		Step:         first.Step,
		Steps:        int64(c.job.Spec.Train.Steps),
		Loss:         first.Loss,
		GradNorm:     first.GradNorm,
		LearningRate: first.LearningRate,
		Tokens:       first.Tokens,
		Generation:   first.Generation,
		World:        int32(len(c.ranks)),
		Links:        c.links(t),
		RankSeconds:  c.rankSeconds(t),
	}
	for _, r := range t.reports {
		s.Seconds = max(s.Seconds, r.Seconds)
		s.ComputeSeconds += r.ComputeSeconds / world
		s.ReduceSeconds += r.ReduceSeconds / world
		s.WaitSeconds += r.WaitSeconds / world
		s.UpdateSeconds += r.UpdateSeconds / world
		s.WireBytes += r.WireBytes
	}
	if s.Seconds > 0 {
		s.TokensPerSecond = float64(s.Tokens) / s.Seconds
		s.FlopsPerSecond = s.TokensPerSecond * c.facts.FlopsPerToken
	}
	return s
}

// links joins what the ranks at both ends say of each link of the ring.
func (c *Core) links(t *tally) (links []*pb.Link) {
	said := make(map[*node]*pb.StepReport, len(t.reports))
	for i, n := range t.senders {
		said[n] = t.reports[i]
	}
	for rank, n := range c.ranks {
		out, in := said[n], said[c.ranks[(rank+1)%len(c.ranks)]]
		if out.GetSendSeconds() > 0 {
			links = append(links, &pb.Link{Rank: int32(rank), Bytes: out.WireBytes, SendSeconds: out.SendSeconds, ReceiveSeconds: in.GetReceiveSeconds()})
		}
	}
	return links
}

// rankSeconds lists each rank's compute time per micro-batch; nothing where one has not
// reported the step.
func (c *Core) rankSeconds(t *tally) []float64 {
	if len(t.reports) < len(c.ranks) {
		return nil
	}
	seconds, slots := make([]float64, len(c.ranks)), c.slots()
	for i, n := range t.senders {
		rank := slices.Index(c.ranks, n)
		seconds[rank] = t.reports[i].ComputeSeconds / float64(max(1, slots[rank]))
	}
	return seconds
}

// evaluated takes a rank's validation loss; the first rank's is published.
func (c *Core) evaluated(n *node, r *pb.EvalReport) {
	if c.view == nil || r.Generation != c.view.Generation || c.phase == over {
		return
	}
	known := c.evaluation
	if known == nil || r.Step > known.Step || r.Step == known.Step && c.givenUp(known) {
		c.evaluation, c.evaluator = r, n
		c.publish(&pb.RunEvent{Kind: &pb.RunEvent_Eval{Eval: r}})
		return
	}
	if r.Step == known.Step && math.Float64bits(r.Loss) != math.Float64bits(known.Loss) {
		c.diverged("validation loss after step", r.Step, c.evaluator, known.Loss, n, r.Loss)
	}
}

// givenUp reports whether an evaluation is of a step that is made again.
func (c *Core) givenUp(e *pb.EvalReport) bool {
	return e.Generation < c.view.Generation && e.Step > c.view.ResumeStep
}

// diagnosed publishes a look into the layers. A view may begin with the one that
// ended the view before.
func (c *Core) diagnosed(d *pb.Diagnosis) {
	if c.view == nil || d.Generation != c.view.Generation || c.phase == over || d.Step <= c.lookedAt {
		return
	}
	c.lookedAt = d.Step
	c.publish(&pb.RunEvent{Kind: &pb.RunEvent_Diagnosis{Diagnosis: d}})
}

// diverged ends the run: no rank's state can be trusted any more, so none is saved.
func (c *Core) diverged(what string, step int64, a *node, lossA float64, b *node, lossB float64) {
	c.abandon(fmt.Sprintf("the nodes have diverged: the %s %d is %v on %s and %v on %s; check both hosts with parallax verify",
		what, step, lossA, a.name(), lossB, b.name()))
}

// abandon ends the run without saving, and without telling steps that not all ranks
// have reported.
func (c *Core) abandon(reason string) {
	clear(c.tallies)
	c.finish(ExitBug, reason+"; "+c.lastCheckpoint())
}
