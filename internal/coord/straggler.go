package coord

import (
	"fmt"
	"slices"

	"parallax/internal/median"
	"parallax/shard"
)

const (
	// windowSteps is over how many steps a rank's pace is the median.
	windowSteps = 8
	// steadyWindows is how many windows in a row must agree before a rank is called a
	// straggler, or no longer one. A view begins with none, so its slots are dealt anew
	// after windowSteps*steadyWindows of its steps at the earliest.
	steadyWindows = 3
	// worthwhile is what share of the compute time at most may be left by another deal
	// of the slots for it to be made.
	worthwhile = 0.95
)

// pace is how fast a node computes, as its steps show. It is not kept over a crash of
// the coordinator: what is left of it is the deal that was made of it.
type pace struct {
	samples []float64 // seconds per micro-batch of the window's steps
	differs int       // windows in a row that contradict told: more than 0, it is slower; less, faster
	told    float64   // how many times slower than the others it was last called; 0: it is no straggler
	was     float64   // told before the last news
	speed   float64   // micro-batches per second when the slots were last dealt by that; 0: unknown
}

// restart forgets the window: another view has begun.
func (p *pace) restart() { p.samples, p.differs = nil, 0 }

// endWindow returns the median of the window's samples and begins the next one.
func (p *pace) endWindow() float64 {
	m := median.Of(p.samples)
	p.samples = p.samples[:0]
	return m
}

// judge takes how many times slower than the others the node was in a window, and
// reports whether that is news: the windows agree that it is slower than was told by
// factor, or that a straggler is faster by factor or halfway to the others.
func (p *pace) judge(slower, factor float64) bool {
	switch {
	case slower >= factor*max(1, p.told):
		p.differs = max(0, p.differs) + 1
	case p.told > 0 && slower <= max(p.told/factor, (1+factor)/2):
		p.differs = min(0, p.differs) - 1
	default:
		p.differs = 0
	}
	if max(p.differs, -p.differs) < steadyWindows {
		return false
	}
	p.differs, p.was = 0, p.told
	if p.told = slower; slower < factor {
		p.told = 0
	}
	return true
}

// paced takes each rank's seconds per micro-batch in a step; none where that is not
// known of all. At the end of a window it tells who has become a straggler or is none
// any more, and deals the slots anew if that helps.
func (c *Core) paced(seconds []float64) {
	if c.config.StragglerFactor == 0 || c.phase != running || c.stop != nil || len(seconds) < 2 {
		return
	}
	for rank, n := range c.ranks {
		n.pace.samples = append(n.pace.samples, seconds[rank])
	}
	if len(c.ranks[0].pace.samples) < windowSteps {
		return
	}
	medians := make([]float64, len(c.ranks))
	for rank, n := range c.ranks {
		medians[rank] = n.pace.endWindow()
	}
	if slices.Min(medians) > 0 {
		c.compare(medians)
	}
}

// slots counts the slots of each rank.
func (c *Core) slots() []int {
	counts := make([]int, len(c.view.Members))
	for rank, m := range c.view.Members {
		counts[rank] = len(m.Slots)
	}
	return counts
}

// compare judges the ranks by their seconds per micro-batch.
func (c *Core) compare(seconds []float64) {
	var news []int
	for rank, n := range c.ranks {
		if n.pace.judge(seconds[rank]/others(seconds, rank), c.config.StragglerFactor) {
			news = append(news, rank)
		}
	}
	if len(news) == 0 {
		return
	}
	deal, stays := c.betterDeal(seconds)
	for _, rank := range news {
		outcome := stays
		if deal != nil {
			outcome = fmt.Sprintf("its slots go from %d to %d", c.slots()[rank], len(deal[rank]))
		}
		c.tellPace(c.ranks[rank], seconds[rank], others(seconds, rank), outcome)
	}
	if deal != nil {
		for rank, n := range c.ranks {
			n.pace.speed = 1 / seconds[rank]
		}
		c.dealsAnew = true
		c.part(c.ranks[news[0]], "the slots are to be dealt anew by measured speed")
	}
}

// tellPace says what n has become.
func (c *Core) tellPace(n *node, own, others float64, outcome string) {
	what, before := "is no straggler any more", ""
	if n.pace.told > 0 {
		what = fmt.Sprintf("is %.1f times slower per micro-batch than the others", n.pace.told)
	}
	if n.pace.was > 0 {
		before = fmt.Sprintf("; %.1f times slower before", n.pace.was)
	}
	c.notice(n, n.pace.told > n.pace.was, "%s %s (%.3g s against %.3g s, median of %d steps%s): %s",
		n.name(), what, own, others, windowSteps, before, outcome)
}

// betterDeal returns the deal by the ranks' seconds per micro-batch, or why the slots
// stay where they are.
func (c *Core) betterDeal(seconds []float64) (deal [][]int, stays string) {
	t := c.job.Spec.Train
	if t.Reduction != "sum-exact" {
		return nil, fmt.Sprintf("its slots stay, as with train.reduction %s the numbers depend on who computes which; with sum-exact they could move", t.Reduction)
	}
	if t.Slots == len(c.ranks) {
		return nil, "its slot stays, as there is one for each node; with more train.slots some could move"
	}
	speeds := make([]float64, len(seconds))
	then := make([]int, len(seconds))
	for rank, s := range seconds {
		speeds[rank] = 1 / s
	}
	deal = shard.Deal(t.Slots, levelled(speeds))
	for rank := range deal {
		then[rank] = len(deal[rank])
	}
	if longest(then, seconds) > worthwhile*longest(c.slots(), seconds) {
		return nil, fmt.Sprintf("its slots stay, as no other deal of %d to %d nodes makes the step much shorter", t.Slots, len(c.ranks))
	}
	return deal, ""
}

// longest is how long the last rank computes.
func longest(slots []int, seconds []float64) float64 {
	most := 0.0
	for rank, n := range slots {
		most = max(most, float64(n)*seconds[rank])
	}
	return most
}

// others is the median of all values but one.
func others(values []float64, but int) float64 {
	return median.Of(slices.Delete(slices.Clone(values), but, but+1))
}
