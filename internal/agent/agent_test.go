package agent_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parallax/internal/agent"
	"parallax/internal/config"
	"parallax/internal/coord"
	"parallax/internal/train/traintest"
	_ "parallax/kernels/cpu"
	pb "parallax/proto/parallax/v1"
)

// memberlist's probe of a member that has died outlives its shutdown, by one probe
// interval at most, and so does one for another member.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).handleIndirectPing.func2"))
}

// rig is a coordinator and nodes in this process, on loopback.
type rig struct {
	t          *testing.T
	coord      *coord.Coordinator
	dir        string // the run's
	cache      string
	unwritable bool // no checkpoint can be saved
	results    chan error
	drain      context.CancelFunc // interrupts the nodes
}

func testSpec(t *testing.T, data string, set ...string) config.Spec {
	t.Helper()
	return traintest.Spec(t, data, append([]string{"train.seq_len=16", "train.micro_batch=2", "train.slots=4", "train.steps=8",
		"eval.batches=2", "eval.every=4", "checkpoint.every=4"}, set...)...)
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// newRig starts a coordinator for a spec and n nodes, as many as it waits for unless change
// says otherwise.
func newRig(t *testing.T, spec config.Spec, n int, dir string, resume bool, change ...func(*coord.Options)) *rig {
	t.Helper()
	r := &rig{t: t, dir: dir, cache: t.TempDir(), results: make(chan error, n)}
	o := coord.Options{
		Listen: "127.0.0.1:0", Gossip: "127.0.0.1:0", Nodes: n, FailureTimeout: 5 * time.Second,
		RunDir: dir, Run: &coord.Submission{Spec: spec, Resume: resume}, Log: quiet,
	}
	for _, c := range change {
		c(&o)
	}
	var err error
	if r.coord, err = coord.Start(o); err != nil {
		t.Fatal(err)
	}
	ctx, drain := context.WithCancel(context.Background())
	t.Cleanup(drain)
	r.drain = drain
	for i := range n {
		go func() { r.results <- agent.Run(ctx, r.options(i, r.coord.Address())) }()
	}
	return r
}

// options are those of node i.
func (r *rig) options(i int, coordinator string) agent.Options {
	return agent.Options{
		Name: fmt.Sprintf("node-%d", i), Coordinator: coordinator, Listen: "127.0.0.1:0", Gossip: "127.0.0.1:0",
		Device: "cpu", Threads: 1, CacheDir: r.cache, Patience: 10 * time.Second, Log: quiet,
	}
}

// history is what a run told.
type history struct {
	dir         string // the run's
	losses      map[int64]float64
	evals       map[int64]float64
	checkpoints map[int64]string
	unsaved     []string
	notices     []string
	done        *pb.Done
}

// watch follows the run to its end. on, which may be nil, is told each event.
func (r *rig) watch(on func(*pb.RunEvent)) history {
	h := history{dir: r.dir, losses: map[int64]float64{}, evals: map[int64]float64{}, checkpoints: map[int64]string{}}
	for e := range r.coord.Events(context.Background(), 0) {
		if on != nil {
			on(e)
		}
		switch k := e.Kind.(type) {
		case *pb.RunEvent_Step:
			h.losses[k.Step.Step] = k.Step.Loss
		case *pb.RunEvent_Eval:
			h.evals[k.Eval.Step] = k.Eval.Loss
		case *pb.RunEvent_Checkpoint:
			if k.Checkpoint.Error == "" {
				h.checkpoints[k.Checkpoint.Step] = k.Checkpoint.Path
				continue
			}
			h.unsaved = append(h.unsaved, k.Checkpoint.Error)
			if !r.unwritable {
				r.t.Errorf("checkpoint of step %d: %s", k.Checkpoint.Step, k.Checkpoint.Error)
			}
		case *pb.RunEvent_Notice:
			h.notices = append(h.notices, k.Notice.Text)
		case *pb.RunEvent_Done:
			h.done = k.Done
		}
	}
	r.coord.Wait()
	return h
}

func (r *rig) wantNodes(n int) {
	r.t.Helper()
	for range n {
		if err := <-r.results; err != nil {
			r.t.Errorf("a node ended with: %v", err)
		}
	}
}

func checkpointBytes(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	for _, file := range []string{"model.safetensors", "optimizer.safetensors"} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}

// state is that after the last step, be it that who has saved it died before it could say so.
func (h history) state(t *testing.T) string {
	t.Helper()
	return checkpointBytes(t, filepath.Join(h.dir, "checkpoints", fmt.Sprintf("step-%08d", h.done.Step)))
}

func TestTrainsToTheEnd(t *testing.T) {
	spec := testSpec(t, traintest.WriteWords(t, 20000))
	r := newRig(t, spec, 3, t.TempDir(), false)
	h := r.watch(nil)
	r.wantNodes(3)
	if h.done == nil || h.done.ExitCode != 0 || h.done.Step != 8 {
		t.Fatalf("the run ended with %v", h.done)
	}
	if len(h.losses) != 8 || len(h.evals) != 2 || len(h.checkpoints) != 2 {
		t.Errorf("%d steps, %d evaluations and %d checkpoints, want 8, 2, 2", len(h.losses), len(h.evals), len(h.checkpoints))
	}
	if h.losses[8] > h.losses[1]-0.1 {
		t.Errorf("the loss went from %v to %v", h.losses[1], h.losses[8])
	}
}

// A run that is stopped and resumed ends with the same bits as one that is not.
func TestStopAndResume(t *testing.T) {
	spec := testSpec(t, traintest.WriteWords(t, 20000), fmt.Sprintf("train.steps=%d", lasting), "schedule.name=constant", "eval.every=0", "checkpoint.every=0")
	dir := t.TempDir()
	part := func(resume bool, until int64) history {
		r := newRig(t, spec, 2, dir, resume)
		h := r.watch(at(until, func() { r.coord.Stop("test", 0) }))
		r.wantNodes(2)
		if h.done.ExitCode != 0 || h.done.Step < until || h.done.Step == lasting {
			t.Fatalf("the run that was to stop after step %d ended with %v", until, h.done)
		}
		return h
	}
	first := part(false, 3)
	second := part(true, first.done.Step+3)
	steps := second.done.Step
	spec.Train.Steps = int(steps)
	straight := newRig(t, spec, 2, t.TempDir(), false).watch(nil)
	for step := first.done.Step + 1; step <= steps; step++ {
		if second.losses[step] != straight.losses[step] {
			t.Errorf("step %d: loss %v after resuming, %v without stopping", step, second.losses[step], straight.losses[step])
		}
	}
	if second.state(t) != straight.state(t) {
		t.Error("the resumed run's last checkpoint has other bits")
	}
}
