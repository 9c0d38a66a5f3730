package console

import (
	"fmt"
	"slices"
	"strings"

	pb "parallax/proto/parallax/v1"
)

// tally counts what happened to a run's nodes, and which steps that has cost.
type tally struct {
	views   int
	view    *pb.View // the newest
	names   []string // of all members there were, in the order they came
	dropped map[string]int
	back    map[string]int
	joined  map[string]int
	step    int64 // the newest of its generation
	of      uint64
	highest int64 // of all generations before
	again   int   // steps made again
}

func (t *tally) add(e *pb.RunEvent) {
	switch k := e.GetKind().(type) {
	case *pb.RunEvent_View:
		t.addView(k.View)
	case *pb.RunEvent_Step:
		t.addStep(k.Step)
	}
}

// addView counts who is in a view and was not in the one before, and the reverse. A
// coordinator that comes back from a crash tells its view once more if it had not come
// to disk that it was told.
func (t *tally) addView(v *pb.View) {
	before := t.view
	if before != nil && v.Generation <= before.Generation {
		return
	}
	if before == nil {
		t.dropped, t.back, t.joined = map[string]int{}, map[string]int{}, map[string]int{}
	}
	t.views, t.view = t.views+1, v
	for _, m := range before.GetMembers() {
		if !has(v, m) {
			t.dropped[m.NodeId]++
		}
	}
	for _, m := range v.Members {
		known := slices.Contains(t.names, m.NodeId)
		switch {
		case before != nil && has(before, m):
		case known:
			t.back[m.NodeId]++
		case before != nil:
			t.joined[m.NodeId]++
		}
		if !known {
			t.names = append(t.names, m.NodeId)
		}
	}
}

// has reports whether the same process is in a view.
func has(v *pb.View, m *pb.Member) bool {
	return slices.ContainsFunc(v.Members, func(o *pb.Member) bool { return o.NodeId == m.NodeId && o.Incarnation == m.Incarnation })
}

// addStep counts a step that an earlier generation had made too. One that a coordinator
// tells once more after a crash is of the same generation.
func (t *tally) addStep(s *pb.StepSummary) {
	if s.Generation > t.of {
		t.highest, t.step, t.of = max(t.highest, t.step), 0, s.Generation
	}
	if s.Generation == t.of && s.Step > t.step {
		if t.step = s.Step; s.Step <= t.highest {
			t.again++
		}
	}
}

// sentence sums up; "" where nothing happened.
func (t *tally) sentence() string {
	if t.views < 2 {
		return ""
	}
	parts := []string{fmt.Sprintf("%d generations", t.views)}
	for _, what := range []struct {
		happened string
		to       map[string]int
	}{{"dropped out", t.dropped}, {"came back", t.back}, {"joined", t.joined}} {
		if whom := t.whom(what.to); whom != "" {
			parts = append(parts, whom+" "+what.happened)
		}
	}
	switch {
	case t.again == 1:
		parts = append(parts, "1 step was made again")
	case t.again > 1:
		parts = append(parts, fmt.Sprintf("%d steps were made again", t.again))
	}
	return "on the way: " + strings.Join(parts, ", ")
}

// mostNamed is how many nodes are named; more are counted.
const mostNamed = 4

// whom names nodes with how often something happened to them, if more than once.
func (t *tally) whom(counts map[string]int) string {
	if len(counts) > mostNamed {
		return fmt.Sprintf("%d nodes", len(counts))
	}
	var all []string
	for _, name := range t.names {
		switch n := counts[name]; n {
		case 0:
		case 1:
			all = append(all, name)
		default:
			all = append(all, fmt.Sprintf("%s (%d times)", name, n))
		}
	}
	return strings.Join(all, " and ")
}
