package web

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	pb "parallax/proto/parallax/v1"
	"parallax/record"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

var start = time.Date(2026, 11, 23, 19, 49, 46, 0, time.UTC)

// feed is a run made by a test.
type feed struct {
	mu     sync.Mutex
	events []*pb.RunEvent
	more   chan struct{}
	over   bool
}

func newFeed() *feed { return &feed{more: make(chan struct{})} }

func (f *feed) add(kinds ...*pb.RunEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range kinds {
		e.Sequence = int64(len(f.events)) + 1
		e.UnixNanos = start.Add(time.Duration(e.Sequence) * time.Second).UnixNano()
		f.events = append(f.events, e)
	}
	close(f.more)
	f.more = make(chan struct{})
}

func (f *feed) end() {
	f.mu.Lock()
	f.over = true
	f.mu.Unlock()
	f.add()
}

func (f *feed) next(after int64) (events []*pb.RunEvent, over bool, more chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.events[min(after, int64(len(f.events))):], f.over, f.more
}

func (f *feed) Events(ctx context.Context, after int64) iter.Seq[*pb.RunEvent] {
	return func(yield func(*pb.RunEvent) bool) {
		for {
			events, over, more := f.next(after)
			for _, e := range events {
				after = e.Sequence
				if ctx.Err() != nil || !yield(e) {
					return
				}
			}
			if len(events) > 0 {
				continue
			}
			if over {
				return
			}
			select {
			case <-more:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Events of a run of two nodes on 1000 tokens a step, of 10 FLOPs each.
func started() *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_Started{Started: &pb.RunStarted{RunId: "20261123-194946-7f3a", Name: "<first>", Steps: 1000, Parameters: 886272, FlopsPerToken: 10, SpecHash: "9ba6"}}}
}

func view() *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_View{View: &pb.View{Generation: 3, Reason: "generation 3: 2 of 2 nodes are ready",
		Members: []*pb.Member{{NodeId: "a", Host: "h", Device: "cpu", Slots: []int32{0, 1}, DeviceSummary: "AVX-512, 2 threads", PeakFlops: 2e11}, {NodeId: "b", Host: "h", Device: "cpu", Slots: []int32{2}}}}}}
}

// look is into two layers, the first of which has no probe.
func look(n int64) *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_Diagnosis{Diagnosis: &pb.Diagnosis{Step: n, Seconds: 0.1, Layers: []*pb.LayerDiagnosis{
		{Correction: math.NaN(), RankQ: 3, RankR: math.NaN(), RankK: 4, Entropy: 1, FirstToken: 0.25},
		{Correction: 0.5, RankQ: 3, RankR: 5, RankK: 4, Entropy: 2, FirstToken: 0.75}}}}}
}

func step(n int64) *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_Step{Step: &pb.StepSummary{Step: n, Steps: 1000, Loss: 5 - float64(n)/1000, Tokens: 1000, TokensPerSecond: 2000, FlopsPerSecond: 20000,
		Seconds: 0.5, ComputeSeconds: 0.25, ReduceSeconds: 0.125, WaitSeconds: 0.0625, UpdateSeconds: 0.03125, WireBytes: 4096, Generation: 3, World: 2,
		RankSeconds: []float64{0.25, 0.5},
		Links:       []*pb.Link{{Bytes: 1024, SendSeconds: 0.25, ReceiveSeconds: 0.5}, {Rank: 1, Bytes: 3072, SendSeconds: 0.125}}}}}
}

func eval(n int64) *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_Eval{Eval: &pb.EvalReport{Step: n, Loss: 4.5, Tokens: 100}}}
}

func notice(node, text string, warning bool) *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_Notice{Notice: &pb.Notice{NodeId: node, Text: text, Warning: warning}}}
}

func done() *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_Done{Done: &pb.Done{Step: 1000, Reason: "trained 1000 steps"}}}
}

// serve starts a server on a free port of loopback.
func serve(t *testing.T, o Options) (s *Server, url string) {
	t.Helper()
	l, err := Listen("127.0.0.1:0", false)
	must(t, err)
	s = New(o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if run, is := o.Run.(*feed); is {
			run.end()
		}
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s, strings.TrimSuffix(URL(l), "/")
}

// await waits until the server has counted the first n events in.
func (s *Server) await(t *testing.T, n int64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		s.status.mu.Lock()
		counted := s.status.sequence
		s.status.mu.Unlock()
		if counted >= n {
			return
		}
	}
	t.Fatalf("event %d was not counted in", n)
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	answer, err := http.Get(url)
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, string(text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newLedger(t *testing.T) *record.Ledger {
	t.Helper()
	l, err := record.Open(filepath.Join(t.TempDir(), "ledger.db"))
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}

// recordRun records a run of so many steps.
func recordRun(t *testing.T, l *record.Ledger, id string, steps int64) {
	t.Helper()
	must(t, l.StartRun(record.Run{ID: id, Started: start, Status: record.Running, Parameters: 886272, FLOPsPerToken: 10}))
	for n := range steps {
		must(t, l.AppendStep(id, record.Step{Step: n + 1, World: 8, Loss: 5, Tokens: 1000, Seconds: 0.5, Compute: 0.25, Time: start}))
	}
}

func TestListen(t *testing.T) {
	for address, want := range map[string]string{
		"8080":            "is not HOST:PORT",
		"0.0.0.0:0":       "could be read from other hosts",
		"[::]:0":          "could be read from other hosts",
		"example.org:0":   "could be read from other hosts",
		"127.0.0.1:99999": "cannot be served",
	} {
		if l, err := Listen(address, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v", address, l, err)
		}
	}
	for address, insecure := range map[string]bool{"127.0.0.1:0": false, "localhost:0": false, "0.0.0.0:0": true} {
		l, err := Listen(address, insecure)
		must(t, err)
		if _, port, _ := net.SplitHostPort(l.Addr().String()); !strings.HasSuffix(URL(l), fmt.Sprintf(":%s/", port)) {
			t.Errorf("%s: the URL is %s", address, URL(l))
		}
		must(t, l.Close())
	}
}

// Two coordinators on one host each have a page.
func TestTheDefaultAddressMayBeTaken(t *testing.T) {
	a, err := Listen(DefaultAddress, false)
	must(t, err)
	defer a.Close()
	b, err := Listen(DefaultAddress, false)
	must(t, err)
	defer b.Close()
	taken := a.Addr().String()
	if b.Addr().String() == taken {
		t.Errorf("both at %s", taken)
	}
	if taken != DefaultAddress {
		if l, err := Listen(taken, false); err == nil {
			l.Close()
			t.Errorf("%s was given twice", taken)
		}
	}
}
