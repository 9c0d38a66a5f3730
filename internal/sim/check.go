package sim

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"parallax/internal/agent"
	"parallax/internal/coord"
	"parallax/internal/train"
	pb "parallax/proto/parallax/v1"
	"parallax/shard"
)

// Check says what is wrong with a run, nil if nothing: it must come to the end that
// its faults allow, with each step told and recorded once and each sample used
// once in it, at most one step made again for each view, and losses and state the
// bits of the undisturbed run's. That one must have a checkpoint of every step.
func Check(out, undisturbed Outcome) error {
	if out.Done == nil {
		return errors.New("the run hangs")
	}
	c := &checker{out: out, want: undisturbed, steps: map[int64]*pb.StepSummary{}}
	for _, check := range []func(){c.end, c.history, c.record, c.evals, c.views, c.samples, c.repeats, c.state, c.exits} {
		check()
	}
	return errors.Join(c.wrong...)
}

type checker struct {
	out, want Outcome
	steps     map[int64]*pb.StepSummary
	wrong     []error
}

func (c *checker) errorf(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Errorf(format, args...))
}

// touched are the nodes that a fault has hit so that they may be lost.
func (o *Outcome) touched() map[int]bool {
	hit := map[int]bool{}
	for _, f := range o.Fired {
		switch f.Do {
		case Kill, Freeze, Drain:
			hit[f.Node] = true
		case Cut:
			hit[f.Node], hit[f.Peer] = true, true
		}
	}
	delete(hit, Coordinator)
	return hit
}

// inPeace counts the nodes that no fault has hit, which have been there from the start.
func (c *checker) inPeace() int { return c.out.Scenario.Nodes - len(c.out.touched()) }

// end wants the run complete if enough nodes were left in peace. Otherwise it may have
// had too few, or have been asked to stop by one that was to leave.
func (c *checker) end() {
	s, done := c.out.Scenario, c.out.Done
	allowed := []int32{coord.ExitDone}
	if c.inPeace() < max(s.MinNodes, 1) {
		allowed = append(allowed, coord.ExitQuorumLost, coord.ExitRequeue)
	}
	if !slices.Contains(allowed, done.ExitCode) {
		c.errorf("it ended with code %d, want one of %v: %s", done.ExitCode, allowed, done.Reason)
	}
	if complete := done.Step == int64(s.Spec.Train.Steps); done.ExitCode == coord.ExitDone && !complete {
		c.errorf("it ended well after %d steps of %d", done.Step, s.Spec.Train.Steps)
	}
}

// history wants each step told once, in order, with the undisturbed loss.
func (c *checker) history() {
	due := int64(1)
	for _, s := range c.out.Steps {
		if s.Step != due && !(c.out.Lacks && s.Step > due) {
			c.errorf("step %d was told where %d was due", s.Step, due)
		}
		due = s.Step + 1
		c.steps[s.Step] = s
		if want := c.want.Steps[s.Step-1].Loss; math.Float64bits(s.Loss) != math.Float64bits(want) {
			c.errorf("step %d: loss %v, undisturbed %v", s.Step, s.Loss, want)
		}
	}
	told, made := due-1, c.out.Done.Step // by those who are left
	for _, v := range c.out.Views {
		made = max(made, v.ResumeStep)
	}
	if told > made && !c.out.Anew || told < made && !c.out.Lacks {
		c.errorf("%d steps were told, and %d made", told, made)
	}
}

// record wants in the ledger what was told. Where a crash and the loss of all who could
// have told it again come together, some steps may lack, and that must be said.
func (c *checker) record() {
	if len(c.out.ledger) != len(c.out.Steps) && !c.out.Lacks && !c.out.Anew {
		c.errorf("%d steps are recorded, and %d were told", len(c.out.ledger), len(c.out.Steps))
		return
	}
	for _, got := range c.out.ledger {
		if s := c.steps[got.step]; s == nil || got.loss != s.Loss || got.generation != s.Generation {
			c.errorf("step %d is recorded with loss %v by generation %d, and was told as %v", got.step, got.loss, got.generation, s)
		}
	}
}

func (c *checker) evals() {
	told := map[int64]bool{}
	for _, e := range c.out.Evals {
		i := slices.IndexFunc(c.want.Evals, func(w *pb.EvalReport) bool { return w.Step == e.Step })
		if told[e.Step] || i < 0 || e.Loss != c.want.Evals[i].Loss {
			c.errorf("evaluation after step %d: loss %v; undisturbed there are %v", e.Step, e.Loss, c.want.Evals)
		}
		told[e.Step] = true
	}
	if c.out.Done.ExitCode == coord.ExitDone && !c.out.Lacks && len(told) != len(c.want.Evals) {
		c.errorf("%d evaluations, undisturbed %d", len(told), len(c.want.Evals))
	}
}

// views wants each slot dealt once, and each step made in the view whose turn it was.
func (c *checker) views() {
	for i, v := range c.out.Views {
		deal := make([][]int, len(v.Members))
		for rank, m := range v.Members {
			for _, slot := range m.Slots {
				deal[rank] = append(deal[rank], int(slot))
			}
		}
		if err := shard.CheckDeal(deal, c.out.Scenario.Spec.Train.Slots); err != nil {
			c.errorf("generation %d: %v", v.Generation, err)
		}
		for step := v.ResumeStep + 1; step <= c.resumed(i+1); step++ {
			if s := c.steps[step]; s != nil && s.Generation != v.Generation {
				c.errorf("step %d was made in generation %d, but generation %d has steps %d to %d", step, s.Generation, v.Generation, v.ResumeStep+1, c.resumed(i+1))
			}
		}
	}
}

// resumed is the step that view i begins behind, or a later one that begins earlier, or
// the last one.
func (c *checker) resumed(i int) int64 {
	step := c.out.Done.Step
	for _, v := range c.out.Views[i:] {
		step = min(step, v.ResumeStep)
	}
	return step
}

// samples wants every slot of every step computed once, as the nodes saw it, in the
// view that made the step.
func (c *checker) samples() {
	type key struct {
		step       int64
		generation uint64
	}
	computed := map[key]map[string][]int{} // by node, which may compute a step twice: exponents rise
	for _, v := range c.out.Places {
		if v.Phase != train.Backward {
			continue
		}
		k := key{v.Step, v.Generation}
		if computed[k] == nil {
			computed[k] = map[string][]int{}
		}
		computed[k][v.Node] = v.Slots
	}
	for _, s := range c.out.Steps {
		var deal [][]int
		for _, slots := range computed[key{s.Step, s.Generation}] {
			deal = append(deal, slots)
		}
		if err := shard.CheckDeal(deal, c.out.Scenario.Spec.Train.Slots); err != nil {
			c.errorf("step %d: %v", s.Step, err)
		}
	}
}

// repeats wants those who go on to the next view to have begun at most one step
// that does not count. What the others were at is lost with them; but where all are who
// hold a view's state, the next one begins at most a step before that.
func (c *checker) repeats() {
	if c.out.Anew {
		return
	}
	for i, v := range c.out.Views[:max(len(c.out.Views)-1, 0)] {
		next, last := c.out.Views[i+1], int64(0)
		if next.ResumeStep < v.ResumeStep-1 && c.inPeace() > 0 {
			c.errorf("generation %d begins after step %d, and the one before after step %d", next.Generation, next.ResumeStep, v.ResumeStep)
		}
		for _, at := range c.out.Places {
			goesOn := slices.ContainsFunc(next.Members, func(m *pb.Member) bool { return m.NodeId == at.Node && !m.Fetch })
			if goesOn && at.Generation == v.Generation && at.Phase == train.Backward {
				last = max(last, at.Step)
			}
		}
		if lost := last - next.ResumeStep; lost > 1 {
			c.errorf("generation %d began step %d, and only %d count: %d steps were made again", v.Generation, last, next.ResumeStep, lost)
		}
	}
}

// state wants the last step saved, with the undisturbed bits, if anybody who held it
// was left in peace, and the one before if anybody was at all; and any checkpoint that is
// there to have its step's bits.
func (c *checker) state() {
	for step, path := range c.out.Checkpoints {
		got, err := stateBytes(path)
		if os.IsNotExist(err) && step != c.out.Done.Step {
			continue // newer ones have taken its place
		}
		want, wantErr := stateBytes(c.want.Checkpoints[step])
		if err := errors.Join(err, wantErr); err != nil {
			c.errorf("the checkpoint of step %d: %w", step, err)
		} else if got != want {
			c.errorf("the checkpoint of step %d has other bits than the undisturbed run's", step)
		}
	}
	switch last := c.out.Done.Step; {
	case last == 0 || c.saved(last):
	case c.holderInPeace():
		c.errorf("no checkpoint of step %d, the last", last)
	case last > 1 && !c.saved(last-1) && c.inPeace() > 0:
		c.errorf("no checkpoint of step %d, the last, nor of the one before", last)
	}
}

// saved reports whether there is a checkpoint of a step, be it that nobody could say so.
func (c *checker) saved(step int64) bool {
	_, err := os.Stat(filepath.Join(c.out.Scenario.Dir, "checkpoints", fmt.Sprintf("step-%08d", step)))
	return err == nil
}

// holderInPeace reports whether a node that holds the last view's state was left in
// peace: one that had no need to fetch it, or has.
func (c *checker) holderInPeace() bool {
	if len(c.out.Views) == 0 {
		return true
	}
	hit, last := c.out.touched(), c.out.Views[len(c.out.Views)-1]
	for _, m := range last.Members {
		stepped := slices.ContainsFunc(c.out.Places, func(v Visit) bool {
			return v.Node == m.NodeId && v.Generation == last.Generation && v.Phase == train.Load
		})
		if !hit[nodeIndex(m.NodeId)] && (!m.Fetch || stepped) {
			return true
		}
	}
	return false
}

// stateBytes is the files of a checkpoint that hold the state.
func stateBytes(path string) (string, error) {
	var all []byte
	for _, file := range []string{"model.safetensors", "optimizer.safetensors", "config.json"} {
		data, err := os.ReadFile(filepath.Join(path, file))
		if err != nil {
			return "", err
		}
		all = append(all, data...)
	}
	return string(all), nil
}

// exits wants the nodes that were left in peace to end as the run does.
func (c *checker) exits() {
	hit := c.out.touched()
	for i := range c.out.Scenario.Nodes {
		err, code := c.out.Exits[nodeName(i)], 0
		var exit *agent.Error
		if errors.As(err, &exit) {
			code = exit.Code
		} else if err != nil {
			code = coord.ExitBug
		}
		if !hit[i] && code != int(c.out.Done.ExitCode) {
			c.errorf("%s ended with code %d (%v), and the run with %d", nodeName(i), code, err, c.out.Done.ExitCode)
		}
	}
}
