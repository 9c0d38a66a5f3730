package sim

import (
	"fmt"
	"path/filepath"
	"time"

	"parallax/internal/agent"
	"parallax/internal/coord"
	"parallax/internal/sim/simnet"
	"parallax/internal/train"
	pb "parallax/proto/parallax/v1"
	"parallax/record"
)

// coordinator is one life of the coordinator.
type coordinator struct {
	*coord.Coordinator
	host   *simnet.Process
	ledger *record.Ledger
}

// The places that a coordinator comes to, just before it does what they are called
// after. Step is the one that the view begins behind, or that is told.
const (
	Keep  train.Phase = "keep"  // its state is about to be written
	Order train.Phase = "order" // a view is about to be sent to a member
	Tell  train.Phase = "tell"  // a step is about to be told and recorded
	End   train.Phase = "end"   // the same for the run's end
)

// coordinatorPort is the same in each life, so that nodes find it again.
const coordinatorPort = ":9000"

// begin starts the coordinator, or starts it again where a crash has left it.
func (w *world) begin() error {
	c := &coordinator{host: w.net.Start(nodeName(Coordinator), ip(Coordinator))}
	started, err := coord.Start(coord.Options{
		Listen: ip(Coordinator) + coordinatorPort, Gossip: ip(Coordinator) + ":0", Network: c.host,
		Nodes: w.Nodes, MinNodes: w.MinNodes, FailureTimeout: w.FailureTimeout, QuorumTimeout: w.QuorumTimeout,
		RunDir: w.Dir, Run: &coord.Submission{Spec: w.Spec}, Log: quiet,
		Ledger:  func() (_ *record.Ledger, err error) { c.ledger, err = w.openLedger(); return c.ledger, err },
		Observe: func(d coord.Decision) { w.decided(c, d) },
	})
	if err != nil {
		return err
	}
	c.Coordinator = started
	w.mu.Lock()
	defer w.mu.Unlock()
	w.coord = c
	return nil
}

func (w *world) openLedger() (*record.Ledger, error) {
	return record.Open(filepath.Join(w.Dir, "ledger.db"))
}

// decided has the faults happen that are due when the coordinator is about to do
// something.
func (w *world) decided(c *coordinator, d coord.Decision) {
	phase, step := place(d)
	w.mu.Lock()
	var due []Fault
	if phase != "" && w.coord == c {
		due = w.takeDue(Coordinator, agent.Place{Place: train.Place{Phase: phase, Step: step}})
	}
	w.mu.Unlock()
	w.begins(due, Coordinator, phase, step, nil)
}

// place says where a coordinator is that is about to carry a decision out; nowhere if
// the phase is empty.
func place(d coord.Decision) (train.Phase, int64) {
	switch d := d.(type) {
	case coord.Keep:
		return Keep, d.State.View.GetResumeStep()
	case coord.Send:
		if v := d.Message.GetView(); v != nil {
			return Order, v.ResumeStep
		}
	case coord.Publish:
		if s := d.Event.GetStep(); s != nil {
			return Tell, s.Step
		}
		if done := d.Event.GetDone(); done != nil {
			return End, done.Step
		}
	}
	return "", 0
}

// crash has the coordinator die, and come back after a while; 0: never.
func (w *world) crash(away time.Duration) {
	w.mu.Lock()
	c := w.coord
	if c == nil || w.over {
		w.mu.Unlock()
		w.story.say("the coordinator is away already")
		return
	}
	w.coord, w.out.Crashes = nil, w.out.Crashes+1
	w.lives.Go(func() { c.Wait() })
	w.mu.Unlock()
	c.host.Crash()
	_ = c.ledger.Abandon()
	c.Crash()
	if away > 0 {
		time.AfterFunc(away, w.comeBack)
	} else {
		close(w.back)
	}
}

// comeBack starts the coordinator again, if its run has not ended.
func (w *world) comeBack() {
	w.mu.Lock()
	over := w.over
	if !over {
		w.lives.Add(1)
		defer w.lives.Done()
	}
	w.mu.Unlock()
	if over || w.endedOnRecord() {
		return
	}
	w.story.say("the coordinator is started again")
	if err := w.begin(); err != nil {
		w.story.say("the coordinator cannot come back: %v", err)
		close(w.back)
		return
	}
	w.back <- struct{}{}
}

// endedOnRecord tells of a run's end that the coordinator had put on record before it
// crashed.
func (w *world) endedOnRecord() bool {
	ledger, err := w.openLedger()
	if err != nil {
		panic(fmt.Sprintf("sim: %v", err))
	}
	defer ledger.Close()
	runs, err := ledger.Runs()
	if err != nil || len(runs) != 1 || runs[0].Status == record.Running {
		return false
	}
	steps, err := ledger.Steps(runs[0].ID)
	if err != nil {
		panic(fmt.Sprintf("sim: %v", err))
	}
	done := &pb.Done{ExitCode: int32(runs[0].ExitCode), Reason: runs[0].Reason}
	if len(steps) > 0 {
		done.Step = steps[len(steps)-1].Step
	}
	w.mu.Lock()
	w.out.note(&pb.RunEvent{Kind: &pb.RunEvent_Done{Done: done}}, w.story.say)
	w.mu.Unlock()
	close(w.back)
	return true
}
