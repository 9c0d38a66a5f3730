package coord

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"parallax/internal/config"
	pb "parallax/proto/parallax/v1"
)

// TestScripts plays the scripts in testdata: each line is an event, and below it
// stands what the core decides. With -rewrite the decisions are written anew;
// do that only with an explanation for every difference.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{conns: make(map[string]Conn)}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return s.run(t, d)
		})
	})
}

// script drives a core. Nodes are called by their names; a second connection
// under the same name is called NAME/2, and so on: with attach it is that of
// another process, with reattach of the same one.
type script struct {
	core     *Core
	config   Config
	kept     []byte   // the state that the core had written last
	progress Progress // what was published
	now      time.Time
	conns    map[string]Conn
	next     Conn
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	if d.Cmd == "coordinator" {
		s.begin(t, d)
		return ""
	}
	if d.Cmd == "training" {
		s.training(t, d)
		return ""
	}
	if d.Cmd == "steps" {
		return s.steps(t, d)
	}
	decisions, err := s.step(t, d)
	if err != nil {
		return "error: " + err.Error()
	}
	return s.showAll(decisions)
}

func (s *script) showAll(decisions []Decision) string {
	var lines strings.Builder
	for _, decision := range decisions {
		lines.WriteString(s.show(decision) + "\n")
	}
	if lines.Len() == 0 {
		return "(nothing)"
	}
	return lines.String()
}

func (s *script) begin(t *testing.T, d *datadriven.TestData) {
	c := Config{GossipAddress: "10.0.0.1:7946", FailureTimeout: 10 * time.Second}
	var join, quorum string
	d.ScanArgs(t, "nodes", &c.Nodes)
	d.MaybeScanArgs(t, "min-nodes", &c.MinNodes)
	if d.MaybeScanArgs(t, "join-timeout", &join) {
		c.JoinTimeout = duration(t, join)
	}
	if d.MaybeScanArgs(t, "quorum-timeout", &quorum) {
		c.QuorumTimeout = duration(t, quorum)
	}
	var factor string
	if d.MaybeScanArgs(t, "straggler-factor", &factor) {
		c.StragglerFactor, _ = strconv.ParseFloat(factor, 64)
	}
	s.core, s.config = New(c), c
	s.kept, s.progress = nil, Progress{}
	s.now = time.Unix(1_700_000_000, 0)
	s.core.Step(tickAt(s.now))
}

// steps is a shorthand for the reports of several steps: NODE=SECONDS is what a node
// takes to compute one. What is published of the steps is left out.
func (s *script) steps(t *testing.T, d *datadriven.TestData) string {
	var from, to int64
	generation := uint64(1)
	d.ScanArgs(t, "from", &from)
	d.ScanArgs(t, "to", &to)
	d.MaybeScanArgs(t, "generation", &generation)
	var out []Decision
	for step := from; step <= to; step++ {
		for _, arg := range d.CmdArgs {
			if arg.Key == "from" || arg.Key == "to" || arg.Key == "generation" {
				continue
			}
			line := fmt.Sprintf("step %s step=%d generation=%d compute=%s", arg.Key, step, generation, arg.Vals[0])
			cmd, args, err := datadriven.ParseLine(line)
			if err != nil {
				t.Fatal(err)
			}
			decisions, _ := s.step(t, &datadriven.TestData{Cmd: cmd, CmdArgs: args})
			out = append(out, slices.DeleteFunc(decisions, isStep)...)
		}
	}
	return s.showAll(out)
}

func isStep(d Decision) bool {
	p, published := d.(Publish)
	return published && p.Event.GetStep() != nil
}

// training is a shorthand for a submitted run, the nodes that are named, and their
// reports of so many steps.
func (s *script) training(t *testing.T, d *datadriven.TestData) {
	play := func(line string) {
		t.Helper()
		cmd, args, err := datadriven.ParseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.step(t, &datadriven.TestData{Cmd: cmd, CmdArgs: args}); err != nil {
			t.Fatal(err)
		}
	}
	var nodes []string
	steps := 0
	d.MaybeScanArgs(t, "steps", &steps)
	submit := "submit"
	for _, arg := range d.CmdArgs {
		if arg.Key == "slots" || arg.Key == "reduction" {
			submit += " " + arg.String()
		}
		if len(arg.Vals) == 0 {
			nodes = append(nodes, arg.Key)
		}
	}
	play(submit)
	for _, n := range nodes {
		play("attach " + n)
	}
	for _, n := range nodes {
		play("ready " + n)
	}
	for i := range steps {
		for _, n := range nodes {
			play(fmt.Sprintf("step %s step=%d", n, i+1))
		}
	}
}

// step feeds the core with an event, and writes what it wants to be written.
func (s *script) step(t *testing.T, d *datadriven.TestData) ([]Decision, error) {
	decisions, err := s.event(t, d)
	for _, decision := range decisions {
		switch decision := decision.(type) {
		case Keep:
			s.kept = decision.State.encode()
		case Publish:
			s.progress.add(decision.Event)
		}
	}
	return decisions, err
}

// crash replaces the core by what comes back from the state that was written last. With
// untold, what stood behind that did not come about.
func (s *script) crash(t *testing.T, d *datadriven.TestData) ([]Decision, error) {
	d.MaybeScanArgs(t, "recorded", &s.progress.Step)
	state, err := decodeState(s.kept, s.progress.encode())
	if err != nil {
		return nil, err
	}
	s.conns = make(map[string]Conn)
	s.core = Restore(s.config, state)
	s.core.Step(tickAt(s.now))
	return s.core.Step(CameBack{ViewTold: !d.HasArg("untold")}), nil
}

func (s *script) event(t *testing.T, d *datadriven.TestData) ([]Decision, error) {
	switch d.Cmd {
	case "crash":
		return s.crash(t, d)
	case "recorded":
		r := Recorded{Generation: 1}
		d.ScanArgs(t, "step", &r.Step)
		d.MaybeScanArgs(t, "generation", &r.Generation)
		return s.core.Step(r), nil
	case "submit":
		job := scriptJob(t, d)
		if err := s.core.CheckJob(job); err != nil {
			return nil, err
		}
		submitted := Submitted{Job: job}
		d.MaybeScanArgs(t, "reached", &submitted.Reached)
		return s.core.Step(submitted), nil
	case "attach", "reattach":
		return s.core.Step(s.attach(t, d)), nil
	case "lost":
		return s.core.Step(Lost{s.conn(d), rest(d, 1)}), nil
	case "gossip":
		return s.core.Step(gossipEvent(t, d)), nil
	case "stop":
		code := 0
		d.MaybeScanArgs(t, "code", &code)
		return s.core.Step(StopRequested{Reason: "Ctrl-C", Code: code, AtOnce: d.HasArg("at-once")}), nil
	case "after":
		s.now = s.now.Add(duration(t, d.CmdArgs[0].Key))
		return s.core.Step(tickAt(s.now)), nil
	default:
		return s.core.Step(Received{s.conn(d), message(t, d)}), nil
	}
}

func (s *script) attach(t *testing.T, d *datadriven.TestData) Event {
	label := d.CmdArgs[0].Key
	name, again, _ := strings.Cut(label, "/")
	s.next++
	s.conns[label] = s.next
	hello := &pb.Hello{NodeId: name, Incarnation: 1, RingAddress: name + ":4000", Host: "host-of-" + name, Pid: 100 + int64(s.next), Device: "cpu"}
	var rank int32
	if d.MaybeScanArgs(t, "rank", &rank) {
		hello.Rank = &rank
	}
	d.MaybeScanArgs(t, "world", &hello.WorldSize)
	d.MaybeScanArgs(t, "arithmetic", &hello.Arithmetic)
	d.MaybeScanArgs(t, "device", &hello.Device)
	if again != "" && d.Cmd == "attach" { // another process
		hello.Incarnation++
	}
	if d.Cmd == "reattach" {
		hello.Reattach = &pb.Reattach{RunId: "r1", Generation: 1, Ready: ready(t, d)}
		d.MaybeScanArgs(t, "generation", &hello.Reattach.Generation)
		d.MaybeScanArgs(t, "dropped", &hello.Reattach.DroppedStep)
		d.MaybeScanArgs(t, "run", &hello.Reattach.RunId)
	}
	if d.HasArg("lr") || d.HasArg("spec") {
		hello.SpecToml = string(config.Canonical(scriptJob(t, d).Spec))
	}
	return Attached{s.next, hello}
}

// scriptJob is a run of 100 steps of 8 micro-batches.
func scriptJob(t *testing.T, d *datadriven.TestData) Job {
	loaded, err := config.Load(config.Sources{Preset: "tiny", Set: []string{"train.steps=100", "train.slots=8"}})
	if err != nil {
		t.Fatal(err)
	}
	job := Job{ID: "r1", Dir: "/runs/r1", Submission: Submission{Resume: d.HasArg("resume"), Spec: loaded.Spec}}
	d.MaybeScanArgs(t, "slots", &job.Spec.Train.Slots)
	d.MaybeScanArgs(t, "reduction", &job.Spec.Train.Reduction)
	d.MaybeScanArgs(t, "lr", &job.Spec.Optimizer.LR)
	return job
}

func gossipEvent(t *testing.T, d *datadriven.TestData) Event {
	incarnation := 1
	d.MaybeScanArgs(t, "incarnation", &incarnation)
	name := d.CmdArgs[0].Key
	if d.CmdArgs[1].Key == "joined" {
		return GossipJoined{name, uint64(incarnation)}
	}
	return GossipFailed{name, uint64(incarnation)}
}

// message builds what a node says.
func message(t *testing.T, d *datadriven.TestData) *pb.NodeMessage {
	switch d.Cmd {
	case "progress":
		return &pb.NodeMessage{Kind: &pb.NodeMessage_Progress{Progress: &pb.Progress{Doing: rest(d, 1)}}}
	case "ready":
		return &pb.NodeMessage{Kind: &pb.NodeMessage_Ready{Ready: ready(t, d)}}
	case "step":
		return &pb.NodeMessage{Kind: &pb.NodeMessage_Step{Step: report(t, d)}}
	case "eval":
		e := &pb.EvalReport{Generation: 1, Tokens: 4096}
		d.MaybeScanArgs(t, "generation", &e.Generation)
		d.ScanArgs(t, "step", &e.Step)
		d.ScanArgs(t, "loss", &e.Loss)
		return &pb.NodeMessage{Kind: &pb.NodeMessage_Eval{Eval: e}}
	case "checkpoint":
		r := &pb.CheckpointReport{}
		d.ScanArgs(t, "step", &r.Step)
		if !d.MaybeScanArgs(t, "error", &r.Error) {
			r.Path = fmt.Sprintf("/runs/r1/step-%d", r.Step)
		}
		return &pb.NodeMessage{Kind: &pb.NodeMessage_Checkpoint{Checkpoint: r}}
	case "failure":
		f := &pb.Failure{Generation: 1, Fatal: d.HasArg("fatal")}
		d.MaybeScanArgs(t, "generation", &f.Generation)
		d.MaybeScanArgs(t, "applied", &f.AppliedStep)
		d.MaybeScanArgs(t, "suspect", &f.Suspect)
		d.MaybeScanArgs(t, "error", &f.Error)
		d.MaybeScanArgs(t, "code", &f.ExitCode)
		state := "s1"
		d.MaybeScanArgs(t, "state", &state)
		if f.Digest = []byte(state); d.HasArg("nothing") {
			f.Digest = nil
		}
		return &pb.NodeMessage{Kind: &pb.NodeMessage_Failure{Failure: f}}
	case "held":
		h := &pb.Held{Generation: 1, Digest: []byte("s1")}
		d.MaybeScanArgs(t, "generation", &h.Generation)
		d.ScanArgs(t, "applied", &h.AppliedStep)
		if d.HasArg("state") {
			var state string
			d.ScanArgs(t, "state", &state)
			h.Digest = []byte(state)
		}
		return &pb.NodeMessage{Kind: &pb.NodeMessage_Held{Held: h}}
	case "fetched":
		f := &pb.Fetched{Number: 1, Bytes: 6e6, Seconds: 0.25, Replayed: 3}
		d.MaybeScanArgs(t, "number", &f.Number)
		d.MaybeScanArgs(t, "step", &f.Step)
		d.MaybeScanArgs(t, "error", &f.Error)
		return &pb.NodeMessage{Kind: &pb.NodeMessage_Fetched{Fetched: f}}
	case "heartbeat":
		return &pb.NodeMessage{Kind: &pb.NodeMessage_Heartbeat{Heartbeat: &pb.Heartbeat{}}}
	case "leaving":
		l := &pb.Leaving{Done: d.HasArg("done"), Drain: d.HasArg("drain")}
		d.MaybeScanArgs(t, "applied", &l.AppliedStep)
		d.MaybeScanArgs(t, "reason", &l.Reason)
		return &pb.NodeMessage{Kind: &pb.NodeMessage_Leaving{Leaving: l}}
	}
	d.Fatalf(t, "unknown event %s", d.Cmd)
	return nil
}

func ready(t *testing.T, d *datadriven.TestData) *pb.Ready {
	r := &pb.Ready{Parameters: 1000, FlopsPerToken: 6000, DataSummary: "book.txt", DataDigest: "d1", Digest: []byte("s1")}
	d.MaybeScanArgs(t, "step", &r.Step)
	d.MaybeScanArgs(t, "speed", &r.TokensPerSecond)
	d.MaybeScanArgs(t, "data", &r.DataDigest)
	if d.HasArg("state") {
		var state string
		d.ScanArgs(t, "state", &state)
		r.Digest = []byte(state)
	}
	return r
}

func report(t *testing.T, d *datadriven.TestData) *pb.StepReport {
	r := &pb.StepReport{Generation: 1, Tokens: 1000, Seconds: 0.5, ComputeSeconds: 0.4, Loss: 2.5, WireBytes: 10}
	d.ScanArgs(t, "step", &r.Step)
	d.MaybeScanArgs(t, "loss", &r.Loss)
	d.MaybeScanArgs(t, "seconds", &r.Seconds)
	d.MaybeScanArgs(t, "compute", &r.ComputeSeconds)
	d.MaybeScanArgs(t, "generation", &r.Generation)
	return r
}

func (s *script) conn(d *datadriven.TestData) Conn { return s.conns[d.CmdArgs[0].Key] }

func (s *script) label(conn Conn) string {
	for label, c := range s.conns {
		if c == conn {
			return label
		}
	}
	return hex.EncodeToString([]byte{byte(conn)})
}

// rest joins the words from the i-th on.
func rest(d *datadriven.TestData, i int) string {
	var words []string
	for _, arg := range d.CmdArgs[i:] {
		words = append(words, arg.Key)
	}
	return strings.Join(words, " ")
}

// tickAt tells the time of a coordinator that missed nothing of it.
func tickAt(now time.Time) Tick { return Tick{Now: now, Wall: now} }

func duration(t *testing.T, text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
