package agent_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	pb "parallax/proto/parallax/v1"
)

// chaos kills nodes, asks them to leave and starts them again, at random.
type chaos struct {
	*elastic
	*rand.Rand
	settled bool // the newest view has made a step, so all of its members hold the state
}

func (c *chaos) on(event *pb.RunEvent) {
	if event.GetView() != nil {
		c.settled = false
	}
	step := event.GetStep()
	if step == nil || len(c.views) == 0 {
		return
	}
	c.settled = c.settled || step.Generation == c.views[len(c.views)-1].Generation
	if !c.settled || c.IntN(6) > 0 {
		return
	}
	staying, away := c.parties()
	switch {
	case c.IntN(2) == 0 && len(away) > 0:
		c.launch(away[0])
	case len(staying) > 1:
		c.settled = false
		c.lose(staying)
	}
}

// parties are the nodes of the newest view that stay, and those that can be started
// again, in random order.
func (c *chaos) parties() (staying, away []int) {
	view := c.views[len(c.views)-1]
	for _, i := range c.Perm(4) {
		n := c.nodes[nodeName(i)]
		in := isIn(view, i)
		switch {
		case in && !n.dead:
			staying = append(staying, i)
		case !in && n.in:
			away = append(away, i)
		}
	}
	return staying, away
}

// lose kills some of the nodes, but one, or has one leave.
func (c *chaos) lose(staying []int) {
	if c.IntN(3) == 0 {
		n := c.nodes[nodeName(staying[0])]
		n.dead = true
		n.drain()
		return
	}
	for _, i := range staying[:1+c.IntN(len(staying)-1)] {
		c.kill(i)
	}
}

var (
	firstSeed = flag.Uint64("seed", 0, "the seed of the first run with random failures")
	schedules = flag.Int("schedules", 4, "how many runs with random failures to make")
)

// Whatever happens to the nodes, as long as one is left each sample is used once and
// the result is that of an undisturbed run.
func TestRandomFailures(t *testing.T) {
	t.Parallel()
	spec := elasticSpec(t, 150, "eval.every=50")
	want := undisturbed(t, spec)
	for seed := *firstSeed; seed < *firstSeed+uint64(*schedules); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			c := &chaos{elastic: newElastic(t, spec, 4, 1), Rand: rand.New(rand.NewPCG(seed, 5))}
			wantSame(t, c.follow(c.on), want)
			if t.Failed() || len(c.views) < 2 {
				t.Errorf("it led to %d views, of at least 2 that it should:\n%s", len(c.views), c.reasons())
			}
		})
	}
}
