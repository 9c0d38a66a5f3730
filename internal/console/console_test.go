package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	pb "parallax/proto/parallax/v1"
)

func started() *pb.RunEvent {
	return &pb.RunEvent{UnixNanos: 1_700_000_000_123_456_789, Kind: &pb.RunEvent_Started{Started: &pb.RunStarted{
		RunId: "r1", RunDir: "/runs/r1", SpecHash: "abc", Steps: 200, Parameters: 1_234_567, FlopsPerToken: 6e6, DataSummary: "book.txt"}}}
}

func view() *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_View{View: &pb.View{Generation: 2, Reason: "generation 2: 2 of 2 nodes are ready",
		Members: []*pb.Member{{NodeId: "a", Host: "h", Device: "cpu", Slots: []int32{0, 1}}, {NodeId: "b", Host: "h", Device: "cpu", Slots: []int32{2}}}}}}
}

func step(n int64, loss float64) *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_Step{Step: &pb.StepSummary{Step: n, Steps: 200, Loss: loss, GradNorm: 1.5, LearningRate: 0.02,
		Tokens: 4096, TokensPerSecond: 41_234, FlopsPerSecond: 62e9, Seconds: 0.5, ComputeSeconds: 0.4, ReduceSeconds: 0.05,
		WaitSeconds: 0.01, UpdateSeconds: 0.04, WireBytes: 7, Generation: 2, World: 2}}}
}

func eval(loss float64) *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_Eval{Eval: &pb.EvalReport{Step: 20, Loss: loss, Tokens: 2048, Seconds: 0.1}}}
}

func checkpoint(failure string) *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_Checkpoint{Checkpoint: &pb.CheckpointReport{Step: 20, Path: "/c/20", Seconds: 0.25, Bytes: 12_000_000, Error: failure}}}
}

func notice(text, node string, warning bool) *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_Notice{Notice: &pb.Notice{Text: text, NodeId: node, Warning: warning}}}
}

func done(code int32, reason string) *pb.RunEvent {
	loss := 1.25
	return &pb.RunEvent{Kind: &pb.RunEvent_Done{Done: &pb.Done{Step: 200, ExitCode: code, Reason: reason, Seconds: 61, FinalLoss: &loss}}}
}

// all is one event of every kind.
func all() []*pb.RunEvent {
	return []*pb.RunEvent{started(), view(), step(20, 2.5), eval(1), checkpoint(""), checkpoint("disk full"),
		notice("looks <odd>", "a", true), notice("a: loads", "a", false), done(0, "trained 200 steps")}
}

func TestPlain(t *testing.T) {
	var out bytes.Buffer
	p := NewPlain(&out)
	for _, e := range append(all(), &pb.RunEvent{}) {
		p.Event(e)
	}
	p.Close()
	want := `run r1  1.23 M parameters  book.txt
generation 2: 2 of 2 nodes are ready
step  20/200  loss 2.5000  41.2 k tokens/s  62.0 GFLOP/s  ring 10 %  0.5 s
step 20  validation loss 1.0000 (perplexity 2.72 over 2.05 k tokens)
step 20  checkpoint /c/20 (12.0 MB in 0.2 s)
step 20  checkpoint FAILED: disk full
warning: a: looks <odd>
a: loads
ended after step 200 in 61 s: trained 200 steps
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

// fields decodes one line of JSON.
func fields(t *testing.T, e *pb.RunEvent) map[string]any {
	t.Helper()
	var out bytes.Buffer
	NewJSON(&out).Event(e)
	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("%q is not one line", out.String())
	}
	var object map[string]any
	if err := json.Unmarshal(out.Bytes(), &object); err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	return object
}

func TestJSON(t *testing.T) {
	kinds := []string{"started", "view", "step", "eval", "checkpoint", "checkpoint", "notice", "notice", "done"}
	for i, e := range all() {
		o := fields(t, e)
		if o["event"] != kinds[i] || o["time"] == nil {
			t.Errorf("event %d is %v, want a %s with a time", i, o, kinds[i])
		}
	}
	if o := fields(t, started()); o["time"] != "2023-11-14T22:13:20.123456789Z" {
		t.Errorf("the time is %v", o["time"])
	}
	s := fields(t, step(20, 2.5))
	for key, want := range map[string]any{"step": 20.0, "steps": 200.0, "loss": 2.5, "grad_norm": 1.5, "learning_rate": 0.02, "tokens": 4096.0,
		"tokens_per_s": 41_234.0, "flops_per_s": 62e9, "wire_bytes": 7.0, "generation": 2.0, "world": 2.0} {
		if s[key] != want {
			t.Errorf("a step's %s is %v, want %v", key, s[key], want)
		}
	}
	if parts, ok := s["seconds"].(map[string]any); !ok || parts["total"] != 0.5 || parts["compute"] != 0.4 || parts["reduce"] != 0.05 || parts["wait"] != 0.01 || parts["update"] != 0.04 {
		t.Errorf("a step's seconds are %v", s["seconds"])
	}
	if _, given := fields(t, checkpoint(""))["error"]; given {
		t.Error("a checkpoint that was written has an error")
	}
	if o := fields(t, checkpoint("disk full")); o["error"] != "disk full" {
		t.Errorf("a failed checkpoint is %v", o)
	}
	members, _ := fields(t, view())["members"].([]any)
	if len(members) != 2 || members[1].(map[string]any)["node"] != "b" || members[1].(map[string]any)["rank"] != 1.0 {
		t.Errorf("a view's members are %v", members)
	}
	if o := fields(t, done(69, "lost")); o["exit_code"] != 69.0 || o["loss"] != 1.25 || o["validation_loss"] != nil {
		t.Errorf("done is %v", o)
	}
}

// What JSON has no number for is null, and no event of an unknown kind is printed.
func TestJSONOfStrangeEvents(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if o := fields(t, step(1, x)); o["loss"] != nil {
			t.Errorf("a loss of %v is %v", x, o["loss"])
		}
	}
	if o := fields(t, eval(1e4)); o["perplexity"] != nil {
		t.Errorf("a perplexity beyond all numbers is %v", o["perplexity"])
	}
	var out bytes.Buffer
	NewJSON(&out).Event(&pb.RunEvent{})
	if out.Len() > 0 {
		t.Errorf("an event of no kind is %q", out.String())
	}
}

func TestFollow(t *testing.T) {
	events := all()
	var out bytes.Buffer
	receive := func() (*pb.RunEvent, error) {
		if len(events) == 0 {
			return nil, io.EOF
		}
		e := events[0]
		events = events[1:]
		return e, nil
	}
	d, err := Follow(receive, NewPlain(&out))
	if err != nil || d.GetReason() != "trained 200 steps" || !strings.HasSuffix(out.String(), "trained 200 steps\n") {
		t.Errorf("got %v, %v", d, err)
	}
	if d, err = Follow(receive, NewPlain(&out)); d != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a stream that ends before the run gives %v, %v", d, err)
	}
}

// Whoever reads only the end of a run learns that something has happened on the way.
func TestEndSumsUp(t *testing.T) {
	events := []*pb.RunEvent{inView(1, "a", "b"), step(1, 2), inView(2, "a"), done(0, "trained 200 steps")}
	var out bytes.Buffer
	p := NewPlain(&out)
	for _, e := range events {
		p.Event(e)
	}
	for form, said := range map[string]string{"plain": out.String(), "live": screen(t, events...)} {
		if !strings.HasSuffix(said, ": trained 200 steps\non the way: 2 generations, b dropped out\n") {
			t.Errorf("%s: it ends with %q", form, said[max(0, len(said)-120):])
		}
	}
}

func TestFormIsChosen(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if p, ok := New(file, false).(*plainPrinter); !ok {
		t.Errorf("a file gets a %T", p)
	}
	if p, ok := New(file, true).(jsonPrinter); !ok {
		t.Errorf("a script gets a %T", p)
	}
}

// screen is what a live view writes.
func screen(t *testing.T, events ...*pb.RunEvent) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "screen"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	l := newLive(file)
	for _, e := range events {
		l.Event(e)
	}
	l.Close()
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLiveBlock(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	l := newLive(os.Stderr)
	if block := l.lines(80); block != nil {
		t.Errorf("before the first step the block is %q", block)
	}
	for _, e := range []*pb.RunEvent{view(), step(99, 4), eval(1), step(100, 2)} {
		l.remember(e)
	}
	want := []string{
		"step  100/200 ██████████░░░░░░░░░░  1.0 s in steps, about 50 s to go",
		"loss  2.0000 █▁  validation 1.0000 at step 20",
		"rate  41.2 k tokens/s   62.0 GFLOP/s",
		"time  ring 10 %   compute 80 %   wait 2 %   update 8 %   of 0.5 s a step",
		"ring  a → b   generation 2",
	}
	if got := l.lines(80); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the block is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The block is redrawn in its place, and gives way to the sentence at the end.
func TestLiveRedraws(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	got := screen(t, view(), step(1, 4), step(2, 3), done(0, "trained 200 steps"))
	if n := strings.Count(got, "\x1b[5A\x1b[J"); n != 2 {
		t.Errorf("5 lines were erased %d times, want 2: %q", n, got)
	}
	if !strings.HasPrefix(got, "generation 2: ") || !strings.HasSuffix(got, "\x1b[Jended after step 200 in 61 s: trained 200 steps\n") {
		t.Errorf("the screen got %q", got)
	}
	if rest := strings.ReplaceAll(strings.ReplaceAll(got, "\x1b[5A", ""), "\x1b[J", ""); strings.Contains(rest, "\x1b") {
		t.Errorf("with NO_COLOR there are other escape sequences: %q", rest)
	}
	for line := range strings.Lines(got) {
		if n := utf8.RuneCountInString(line); n > 80+len("\x1b[5A\x1b[J") {
			t.Errorf("a line has %d columns: %q", n, line)
		}
	}
}

func TestLiveColours(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	if got := screen(t, view(), step(1, 4)); strings.Count(got, "\x1b[36m") != 5 || strings.Count(got, "\x1b[0m") != 5 {
		t.Errorf("five labels are to be coloured: %q", got)
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		line  string
		width int
		want  string
	}{
		{"short", 10, "short"},
		{"exactly", 7, "exactly"},
		{"too long", 3, "too"},
		{"", 3, ""},
		{"\x1b[36mstep\x1b[0m  1", 4, "\x1b[36mstep\x1b[0m"},
		{"\x1b[36mstep\x1b[0m  1", 6, "\x1b[36mstep\x1b[0m  "},
		{"█▁→", 2, "█▁"},
	} {
		if got := cut(c.line, c.width); got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.line, c.width, got, c.want)
		}
	}
}
