package coord

import (
	"fmt"
	"slices"
	"time"

	pb "parallax/proto/parallax/v1"
)

// fetch is how a node that is ready, but in no view, comes by the state: it fetches
// that from a member while the members go on, and follows them until it is taken in.
type fetch struct {
	source *node // nil: none is named yet
	number uint64
	failed []*node // sources that it could not fetch from
	near   bool    // it follows the members within a step
	reason string  // why it can be taken in
	// inRing says that fetching beside the run does not work out: the joiner takes the
	// state in the next view's ring, while everybody waits.
	inRing bool
}

// waits reports whether n is to be taken in.
func (c *Core) waits(n *node) bool {
	return n.ready != nil && n.alive() && !n.broken && n.drains == nil && !c.member(n)
}

// joiners lists the nodes that wait to be taken in, by name.
func (c *Core) joiners() []*node {
	return slices.DeleteFunc(c.readyNodes(), func(n *node) bool { return !c.waits(n) })
}

// boards reports whether a joiner can be in the next view: it holds the state that
// the members hold, or is to take it in the ring.
func (c *Core) boards(n *node) bool {
	return c.waits(n) && (n.held || n.fetch != nil && n.fetch.inRing)
}

// settleJoiners names a source to every joiner that has none, tells the members whom
// to serve, and has the ranks leave their ring once a joiner can be taken in.
func (c *Core) settleJoiners() {
	if c.phase == parting && !c.deadline.IsZero() && len(c.arriving()) == 0 {
		c.goOn()
	}
	if c.phase != running && c.phase != parting || c.stop != nil {
		return
	}
	for _, n := range c.joiners() {
		c.settle(n)
	}
	for _, n := range c.ranks {
		if n.alive() {
			c.serve(n, nil)
		}
	}
}

func (c *Core) settle(n *node) {
	if n.fetch == nil {
		n.fetch = new(fetch)
	}
	f := n.fetch
	if !f.inRing && (f.source == nil || !c.serves(f.source)) {
		c.nameSource(n)
	}
	if c.phase == running && (f.near || f.inRing) {
		c.part(n, f.reason)
	}
}

// serves reports whether a member can serve its state.
func (c *Core) serves(n *node) bool {
	return c.member(n) && n.alive() && !n.broken && n.drains == nil && !n.behind
}

// nameSource orders a joiner to fetch from the member that serves another joiner
// already, or else from the last rank, since the first one saves checkpoints.
func (c *Core) nameSource(n *node) {
	f := n.fetch
	f.source, f.near = nil, false
	for _, m := range c.ranks {
		if !c.serves(m) || slices.Contains(f.failed, m) {
			continue
		}
		if f.source == nil || len(m.serving) > 0 || len(f.source.serving) == 0 {
			f.source = m
		}
	}
	if f.source == nil {
		f.inRing = len(f.failed) > 0
		f.reason = n.name() + " joins, and takes the state in the ring, as it could fetch it from nobody"
		return
	}
	f.number++
	n.applied, n.digest = 0, nil // it holds nothing whole from now on
	reason := fmt.Sprintf("%s is ready, and fetches the state of %s while the others go on", n.name(), f.source.name())
	c.notice(n, false, "%s", reason)
	c.serve(f.source, n)
	c.send(n, fetchOrder(&pb.FetchOrder{
		Number: f.number, NodeId: f.source.name(), Address: f.source.hello.RingAddress, Reason: reason}))
}

// serve tells a member who may fetch from it, where that has changed or again is to
// be told.
func (c *Core) serve(n, again *node) {
	var names []string
	for _, j := range c.joiners() {
		if j.fetch != nil && j.fetch.source == n && !j.fetch.inRing {
			names = append(names, j.name())
		}
	}
	if again == nil && slices.Equal(names, n.serving) {
		return
	}
	n.serving = names
	c.send(n, serveOrder(names))
}

// fetched takes a joiner's word of what became of an order to fetch.
func (c *Core) fetched(n *node, r *pb.Fetched) {
	f := n.fetch
	if f == nil || r.Number != f.number || f.source == nil || !c.waits(n) {
		return
	}
	if r.Error != "" {
		c.notice(n, true, "%s cannot fetch the state of %s: %s", n.name(), f.source.name(), r.Error)
		f.failed = append(f.failed, f.source)
		f.source, f.near = nil, false
		return
	}
	f.near = true
	f.reason = fmt.Sprintf("%s holds the state of step %d (%s from %s in %s, and %d steps after that)", n.name(), r.Step,
		megabytes(r.Bytes), f.source.name(), (time.Duration(r.Seconds * float64(time.Second))).Round(time.Millisecond), r.Replayed)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// arriving lists the joiners that are about to hold what the ranks hold, which have
// left their ring.
func (c *Core) arriving() []*node {
	return slices.DeleteFunc(c.joiners(), func(n *node) bool { return n.held || n.fetch == nil || !n.fetch.near })
}

// goOnWhenJoined makes the next view when all joiners who are near have come to what
// the ranks hold. They are waited for as long as for a silent node.
func (c *Core) goOnWhenJoined() {
	if len(c.arriving()) == 0 {
		c.goOn()
		return
	}
	if c.deadline.IsZero() {
		c.deadline = c.now.Add(c.config.FailureTimeout)
	}
}

// goOnWithoutArriving has those who did not come in time take the state in the ring.
func (c *Core) goOnWithoutArriving() {
	for _, n := range c.arriving() {
		c.notice(n, true, "%s did not come to the ranks' last step within %s, and takes their state in the ring", n.name(), c.config.FailureTimeout)
		n.fetch.inRing = true
	}
	c.goOn()
}
