package coord

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// reminder is when a person is told next whom a run waits for.
type reminder struct {
	at    time.Time
	given int // since the wait began
}

// begin starts a wait.
func (r *reminder) begin(now time.Time) { *r = reminder{at: now.Add(10 * time.Second)} }

// due reports whether it is time: 10 s after the beginning, 30 s after it, and then
// each minute.
func (r *reminder) due(now time.Time) bool {
	if r.at.IsZero() {
		r.begin(now)
	}
	if now.Before(r.at) {
		return false
	}
	next := time.Minute
	if r.given == 0 {
		next = 20 * time.Second
	}
	r.at, r.given = now.Add(next), r.given+1
	return true
}

// remind tells whom the run waits for, now and then.
func (c *Core) remind() {
	if c.job == nil || !c.reminder.due(c.now) {
		return
	}
	until := c.joinDeadline
	if c.phase == lacking {
		until = c.deadline
	}
	c.notice(nil, false, "still waiting for nodes: %s; %s", c.attendance(), c.timeLeft(until))
}

// attendance says who is ready, who is not yet, and how many are missing.
func (c *Core) attendance() string {
	var loading, ready []string
	silent := names(c.missed())
	for _, n := range c.attached() {
		switch {
		case !n.alive() || slices.Contains(silent, n.name()):
		case n.ready == nil:
			loading = append(loading, n.name())
		default:
			ready = append(ready, n.name())
		}
	}
	s := fmt.Sprintf("%d of %d are ready", len(ready), c.config.Nodes)
	if len(ready) > 0 {
		s += " (" + list(ready) + ")"
	}
	if len(loading) > 0 {
		s += fmt.Sprintf(", %d not yet (%s)", len(loading), list(loading))
	}
	if len(silent) > 0 {
		s += fmt.Sprintf(", %d silent (%s)", len(silent), list(silent))
	}
	if absent := c.config.Nodes - len(ready) - len(loading) - len(silent); absent > 0 {
		s += fmt.Sprintf(", %d missing", absent)
		if len(c.unfit) > 0 {
			s += fmt.Sprintf(" (%s cannot take part)", list(slices.SortedFunc(maps.Keys(c.unfit), compareNatural)))
		}
	}
	return s
}

func (c *Core) timeLeft(until time.Time) string {
	if until.IsZero() {
		return "waiting without a limit, see --join-timeout"
	}
	return fmt.Sprintf("waiting %s more", until.Sub(c.now).Round(time.Second))
}

// someNodes is "1 node", or "3 nodes".
func someNodes(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}
