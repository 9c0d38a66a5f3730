package agent_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"parallax/internal/gossip"
	pb "parallax/proto/parallax/v1"
)

// wantFollowed wants a node to have come into its last view with the state that it had
// fetched while the others went on.
func (e *elastic) wantFollowed(i int) {
	e.t.Helper()
	for _, v := range slices.Backward(e.views) {
		for _, m := range v.Members {
			if m.NodeId != nodeName(i) {
				continue
			}
			if m.Fetch {
				e.t.Errorf("%s takes the state in the ring: %s", m.NodeId, v.Reason)
			}
			return
		}
	}
	e.t.Errorf("node-%d is in no view:\n%s", i, e.reasons())
}

// loseAndTakeBack kills a node after step 15 and starts it again once the others have
// made a view without it; more are told of each event too.
func (e *elastic) loseAndTakeBack(i int, more ...func(*pb.RunEvent)) history {
	e.t.Helper()
	kill := at(15, func() { e.kill(i) })
	return e.follow(all(kill, all(more...), func(event *pb.RunEvent) {
		if event.GetView().GetGeneration() == 2 {
			e.launch(i)
		}
	}))
}

func isIn(v *pb.View, i int) bool {
	return slices.ContainsFunc(v.Members, func(m *pb.Member) bool { return m.NodeId == nodeName(i) })
}

// takesBack wants a view, behind that without a node, that has it.
func takesBack(i int) func(*pb.View) bool {
	return func(v *pb.View) bool { return v.Generation > 2 && isIn(v, i) }
}

// A node that was killed comes back, under its name, also when only one was left.
func TestComesBack(t *testing.T) {
	t.Parallel()
	spec := lastingSpec(t, "eval.every=50")
	for _, most := range []int{2, 3} {
		e := newElastic(t, spec, most, 1)
		got := e.loseAndTakeBack(most-1, e.until(takesBack(most-1)))
		wantSame(t, got, undisturbedUntil(t, spec, got))
		e.wantReasons(nodeName(most-1)+" joins", fmt.Sprintf("%d nodes go on", most))
		e.wantFollowed(most - 1)
	}
}

// onFetch calls what when the coordinator has ordered a node to fetch, once.
func onFetch(i int, what func()) func(*pb.RunEvent) {
	done := false
	return func(e *pb.RunEvent) {
		if !done && strings.HasPrefix(e.GetNotice().GetText(), nodeName(i)+" is ready, and fetches") {
			done = true
			what()
		}
	}
}

// A joiner that dies while it fetches the state hurts nobody: no view ends for that.
func TestJoinerDies(t *testing.T) {
	t.Parallel()
	spec := lastingSpec(t, "eval.every=50")
	e := newElastic(t, spec, 3, 2)
	died := false
	again := onFetch(2, func() { died = true; e.kill(2) })
	got := e.loseAndTakeBack(2, again, e.until(func(v *pb.View) bool { return died && !isIn(v, 2) }))
	wantSame(t, got, undisturbedUntil(t, spec, got))
	for _, v := range e.views[2:] {
		if !strings.Contains(v.Reason, "node-2 joins") && !strings.Contains(v.Reason, "node-2 ") && !strings.Contains(v.Reason, "nobody comes or goes after all") {
			t.Errorf("a view ended for another reason: %s", v.Reason)
		}
	}
}

// gate is a network on which nothing comes from other nodes before it is opened.
type gate struct {
	coordinator string
	opened      chan struct{}
}

func (gate) Listen(address string) (net.Listener, error) { return net.Listen("tcp", address) }
func (gate) Gossip() gossip.Transport                    { return nil }

func (g gate) Dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil || address == g.coordinator {
		return conn, err
	}
	return &gated{Conn: conn, opened: g.opened, closed: make(chan struct{})}, nil
}

type gated struct {
	net.Conn
	opened <-chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (c *gated) Read(b []byte) (int, error) {
	select {
	case <-c.opened:
	case <-c.closed:
	}
	return c.Conn.Read(b)
}

func (c *gated) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.closed) })
	return err
}

// However long a joiner takes to fetch, the others make their steps.
func TestStepsGoOnWhileItFetches(t *testing.T) {
	t.Parallel()
	spec := lastingSpec(t, "eval.every=0")
	e := newElastic(t, spec, 3, 2)
	link := gate{e.coord.Address(), make(chan struct{})}
	const meanwhile = 50 // steps
	open := func(*pb.RunEvent) {}
	var last, began int64
	fetches := onFetch(2, func() {
		began = last
		open = at(began+meanwhile, func() { close(link.opened) })
	})
	e.network = link // of those that are launched from now on
	got := e.loseAndTakeBack(2, e.until(takesBack(2)), func(event *pb.RunEvent) {
		last = max(last, event.GetStep().GetStep())
		fetches(event)
		open(event)
	})
	wantSame(t, got, undisturbedUntil(t, spec, got))
	for step := began + 1; step <= began+meanwhile; step++ {
		if e.by[step] != 2 {
			t.Errorf("step %d, while node-2 could not fetch, was made in generation %d", step, e.by[step])
		}
	}
	e.wantFollowed(2)
}

// The member that serves the state dies meanwhile: the joiner fetches from another.
func TestSourceDies(t *testing.T) {
	t.Parallel()
	spec := lastingSpec(t, "eval.every=0")
	e := newElastic(t, spec, 4, 2)
	source := onFetch(3, func() { e.kill(2) })
	got := e.loseAndTakeBack(3, source, e.until(takesBack(3)))
	wantSame(t, got, undisturbedUntil(t, spec, got))
	e.wantReasons("node-3 joins")
	e.wantFollowed(3)
}

// Two nodes come at once. Both follow the run, with plain float32 sums too.
func TestTwoJoin(t *testing.T) {
	t.Parallel()
	for _, reduction := range []string{"sum-exact", "sum-f32"} {
		spec := lastingSpec(t, "eval.every=0", "train.reduction="+reduction)
		e := newElastic(t, spec, 4, 1)
		kill := at(15, func() { e.kill(2); e.kill(3) })
		got := e.follow(all(kill, e.until(has(4)), func(event *pb.RunEvent) {
			if v := event.GetView(); v.GetGeneration() > 1 && len(v.Members) == 2 && e.nodes[nodeName(2)].dead {
				e.launch(2)
				e.launch(3)
			}
		}))
		if reduction == "sum-exact" {
			wantSame(t, got, undisturbedUntil(t, spec, got))
		}
		e.wantReasons("4 nodes go on")
		e.wantFollowed(2)
		e.wantFollowed(3)
	}
}
