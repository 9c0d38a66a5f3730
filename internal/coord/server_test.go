package coord

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"parallax/internal/config"
	"parallax/internal/gossip"
	pb "parallax/proto/parallax/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second // a test that waits longer has failed

// testSpec is a run of 2 steps of 4 micro-batches.
func testSpec(t *testing.T) config.Spec {
	t.Helper()
	loaded, err := config.Load(config.Sources{Preset: "tiny", Set: []string{"train.steps=2", "train.slots=4"}})
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Spec
}

// options are those of a coordinator on loopback.
func options(t *testing.T, nodes int) Options {
	t.Helper()
	return Options{
		Listen:         "127.0.0.1:0",
		Gossip:         "127.0.0.1:0",
		Nodes:          nodes,
		FailureTimeout: 10 * time.Second,
		RunDir:         t.TempDir(),
		Run:            &Submission{Name: "test", Spec: testSpec(t)},
		Log:            slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func begin(t *testing.T, o Options) *Coordinator {
	t.Helper()
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Kill("the test is over")
		c.Wait()
	})
	return c
}

// client talks to a coordinator.
func client(t *testing.T, c *Coordinator) (pb.CoordinatorClient, *grpc.ClientConn) {
	t.Helper()
	conn, err := grpc.NewClient(c.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return pb.NewCoordinatorClient(conn), conn
}

// cluster is a coordinator and nodes in the first view.
func cluster(t *testing.T, o Options) (*Coordinator, []*fakeNode) {
	t.Helper()
	c := begin(t, o)
	var nodes []*fakeNode
	for i := range o.Nodes {
		nodes = append(nodes, attach(t, c, hello(fmt.Sprintf("node-%d", i))))
	}
	for _, n := range nodes {
		n.ready()
	}
	for _, n := range nodes {
		if v := n.hear().GetView(); v == nil || len(v.Members) != o.Nodes {
			t.Fatalf("got %v, want a view", v)
		}
	}
	return c, nodes
}

// happened names the kinds of a coordinator's events.
func happened(c *Coordinator) string {
	var kinds []string
	for e := range c.Events(context.Background(), 0) {
		kinds = append(kinds, kindOf(e))
	}
	return strings.Join(kinds, " ")
}

func kindOf(e *pb.RunEvent) string {
	kind := fmt.Sprintf("%T", e.Kind)
	return strings.ToLower(kind[strings.LastIndex(kind, "_")+1:])
}

// await returns when n events have happened.
func await(c *Coordinator, n int64) {
	for e := range c.Events(context.Background(), 0) {
		if e.Sequence == n {
			return
		}
	}
}

func TestRunFromStartToEnd(t *testing.T) {
	c, nodes := cluster(t, options(t, 2))
	for step := int64(1); step <= 2; step++ {
		for _, n := range nodes {
			n.step(step, 3-float64(step))
		}
	}
	await(c, 4)
	nodes[0].saved(2)
	for _, n := range nodes {
		n.leave(true, "", 2)
		if err := n.ended(); err != io.EOF {
			t.Errorf("the stream ended with %v", err)
		}
	}
	if got := c.Wait(); got.Code != ExitDone || got.Reason != "trained 2 steps" {
		t.Errorf("got %+v", got)
	}
	if got := happened(c); got != "started view step step checkpoint done" {
		t.Errorf("events: %s", got)
	}
}

func TestDeathOfANode(t *testing.T) {
	c, nodes := cluster(t, options(t, 2))
	for _, n := range nodes {
		n.step(1, 2)
	}
	nodes[1].conn.Close()
	halt := nodes[0].hear().GetHalt()
	if halt.GetGeneration() != 1 || !strings.Contains(halt.GetReason(), "node-1 died") {
		t.Fatalf("got %v, want a halt", halt)
	}
	nodes[0].say(&pb.NodeMessage{Kind: &pb.NodeMessage_Failure{Failure: &pb.Failure{Generation: 1, AppliedStep: 1, Error: "halted"}}})
	if save := nodes[0].hear().GetSave(); save == nil {
		t.Fatal("no order to save")
	}
	nodes[0].saved(1)
	stop := nodes[0].hear().GetStop()
	want := "node-1 died after step 1 (its stream to the coordinator broke: the connection was closed); checkpoint of step 1 is in /c/1; run again with --resume"
	if stop.GetExitCode() != ExitQuorumLost || !stop.GetAtOnce() || stop.GetReason() != want {
		t.Errorf("got %v, want %q", stop, want)
	}
	if err := nodes[0].stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if got := c.Wait(); got.Code != ExitQuorumLost || got.Reason != want {
		t.Errorf("got %+v", got)
	}
}

// TestHungNode has a node that keeps its stream and says nothing, while its
// gossip dies.
func TestHungNode(t *testing.T) {
	o := options(t, 2)
	o.FailureTimeout, o.MinNodes = time.Second, 1 // so that a busy machine lets the other one be heard
	c := begin(t, o)
	nodes := []*fakeNode{attach(t, c, hello("node-0")), attach(t, c, hello("node-1"))}
	tuning, err := gossip.TuningFor(o.FailureTimeout)
	if err != nil {
		t.Fatal(err)
	}
	member, err := gossip.Start(gossip.Config{Bind: "127.0.0.1:0", Tuning: tuning, Log: o.Log,
		Meta: gossip.Meta{ID: "node-1", Incarnation: 1, Role: gossip.Node, Address: "127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer member.Shutdown()
	if err := member.Join(c.gossip.Address()); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		n.ready()
	}
	for _, n := range nodes {
		n.hear()
	}
	if err := member.Shutdown(); err != nil {
		t.Fatal(err)
	}
	nodes[0].beat(o.FailureTimeout / 4)
	if halt := nodes[0].hear().GetHalt(); !strings.Contains(halt.GetReason(), "node-1 died after step 0 (it answers neither gossip nor, for 1s, the coordinator)") {
		t.Errorf("got %v", halt)
	}
}

func TestRefusedNode(t *testing.T) {
	c := begin(t, options(t, 2))
	attach(t, c, hello("node-0")).hear()
	stranger := hello("node-0")
	stranger.Incarnation = 2
	other := attach(t, c, stranger)
	if r := other.hear().GetRefusal(); r.GetExitCode() != ExitUsage || !strings.Contains(r.GetReason(), "--name") {
		t.Errorf("got %v, want a refusal", r)
	}
	if err := other.ended(); err != io.EOF {
		t.Errorf("the stream ended with %v", err)
	}
}

// TestLateNode introduces itself when the run is over: it is told how that ended.
func TestLateNode(t *testing.T) {
	c := begin(t, options(t, 1))
	api, conn := client(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := api.Attach(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.Stop(ctx, &pb.StopRequest{Reason: "enough"}); err != nil {
		t.Fatal(err)
	}
	happened(c) // to the end
	late := &fakeNode{t, conn, stream}
	late.say(&pb.NodeMessage{Kind: &pb.NodeMessage_Hello{Hello: hello("node-0")}})
	if stop := late.hear().GetStop(); stop == nil || !stop.AtOnce || !strings.Contains(stop.Reason, "enough") {
		t.Errorf("it heard %v", stop)
	}
	if err := late.ended(); err != io.EOF {
		t.Errorf("its stream ended with %v", err)
	}
}

func TestInvalidMessages(t *testing.T) {
	c := begin(t, options(t, 2))
	for name, n := range map[string]*fakeNode{
		"bad name":    attach(t, c, hello("../etc")),
		"bad address": attach(t, c, &pb.Hello{NodeId: "a", RingAddress: "nowhere"}),
		"long text":   attach(t, c, &pb.Hello{NodeId: "a", RingAddress: "a:1", Device: strings.Repeat("x", maxText+1)}),
	} {
		if err := n.ended(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: the stream ended with %v", name, err)
		}
	}
	n := attach(t, c, hello("node-0"))
	n.ready()
	n.say(&pb.NodeMessage{Kind: &pb.NodeMessage_Step{Step: &pb.StepReport{Seconds: -1}}})
	if err := n.ended(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestSubmitFollowStop(t *testing.T) {
	o := options(t, 1)
	o.Run = nil
	c := begin(t, o)
	n := attach(t, c, hello("node-0"))
	api, _ := client(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	if _, err := api.Submit(ctx, &pb.SubmitRequest{SpecToml: "no spec"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("nonsense was submitted: %v", err)
	}
	spec := string(config.Canonical(testSpec(t)))
	submitted, err := api.Submit(ctx, &pb.SubmitRequest{SpecToml: spec, Name: "mine"})
	if err != nil || submitted.RunDir != o.RunDir {
		t.Fatalf("got %v, %v", submitted, err)
	}
	if _, err := api.Submit(ctx, &pb.SubmitRequest{SpecToml: spec}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a second run was submitted: %v", err)
	}
	other, err := api.Follow(ctx, &pb.FollowRequest{RunId: "another"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Recv(); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), submitted.RunId) {
		t.Errorf("following a run that is not there gave %v", err)
	}

	n.ready()
	n.hear()
	n.step(1, 2.5)
	follow, err := api.Follow(ctx, &pb.FollowRequest{After: 2})
	if err != nil {
		t.Fatal(err)
	}
	e, err := follow.Recv()
	if err != nil || e.Sequence != 3 || e.GetStep().GetLoss() != 2.5 {
		t.Errorf("got %v, %v; want the first step as event 3", e, err)
	}
	if _, err := api.Stop(ctx, &pb.StopRequest{Reason: "enough", Requeue: true}); err != nil {
		t.Fatal(err)
	}
	if stop := n.hear().GetStop(); stop.GetExitCode() != ExitRequeue || stop.GetAtOnce() || stop.GetReason() != "enough" {
		t.Errorf("got %v", stop)
	}
	n.saved(1)
	n.leave(false, "stopped", 1)
	var last *pb.RunEvent
	for e, err = follow.Recv(); err == nil; e, err = follow.Recv() {
		last = e
	}
	if err != io.EOF || last.GetDone().GetExitCode() != ExitRequeue {
		t.Errorf("the events ended with %v and %v", last, err)
	}
	if got := c.Wait(); got.Code != ExitRequeue {
		t.Errorf("got %+v", got)
	}
}

func TestJoinTimeoutInRealTime(t *testing.T) {
	o := options(t, 2)
	o.JoinTimeout = time.Millisecond
	if got := begin(t, o).Wait(); got.Code != ExitQuorumLost || !strings.Contains(got.Reason, "only 0 of 2 nodes") {
		t.Errorf("got %+v", got)
	}
}

func TestAddressFile(t *testing.T) {
	o := options(t, 1)
	o.AddressFile = filepath.Join(t.TempDir(), "address")
	c := begin(t, o)
	data, err := os.ReadFile(o.AddressFile)
	if err != nil || string(data) != c.Address()+"\n" {
		t.Errorf("the file has %q, %v; want %s", data, err, c.Address())
	}
	o.AddressFile = filepath.Join(t.TempDir(), "nowhere", "address")
	if _, err := Start(o); exitCodeOf(err) != ExitUsage {
		t.Errorf("got %v", err)
	}
}

func exitCodeOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.ExitCode()
	}
	return -1
}

func TestOptionsAreChecked(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, test := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no nodes":           {func(o *Options) { o.Nodes = 0 }, "--nodes is 0"},
		"minimum":            {func(o *Options) { o.MinNodes = 3 }, "--min-nodes is 3"},
		"no patience":        {func(o *Options) { o.QuorumTimeout = -1 }, "--quorum-timeout is -1ns"},
		"little patience":    {func(o *Options) { o.QuorumTimeout = o.FailureTimeout / 2 }, "--quorum-timeout is "},
		"an early start":     {func(o *Options) { o.JoinTimeout = -time.Second }, "--join-timeout is -1s"},
		"a day of silence":   {func(o *Options) { o.FailureTimeout = 25 * time.Hour }, "--failure-timeout is 25h0m0s"},
		"no folder":          {func(o *Options) { o.RunDir = "" }, "--run-dir"},
		"no port":            {func(o *Options) { o.Listen = "127.0.0.1" }, "want HOST:PORT"},
		"all addresses":      {func(o *Options) { o.Listen = "0.0.0.0:0" }, "--insecure"},
		"a name":             {func(o *Options) { o.Listen = "gpu01:0" }, "--insecure"},
		"gossip everywhere":  {func(o *Options) { o.Gossip = "0.0.0.0:0" }, "--gossip-key-file"},
		"port in use":        {func(o *Options) { o.Listen = taken.Addr().String() }, "is in use by another process"},
		"gossip port in use": {func(o *Options) { o.Gossip = taken.Addr().String() }, "is in use by another process"},
		"too impatient":      {func(o *Options) { o.FailureTimeout = time.Millisecond }, "--failure-timeout is 1ms"},
		"slots":              {func(o *Options) { o.Run.Spec.Train.Slots = 1 }, "train.slots = 2"},
		"spec":               {func(o *Options) { o.Run.Spec.Train.Steps = -1 }, "train.steps"},
	} {
		o := options(t, 2)
		test.change(&o)
		if _, err := Start(o); exitCodeOf(err) != ExitUsage || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
}

func TestInsecureIsPossible(t *testing.T) {
	o := options(t, 1)
	o.Listen, o.Insecure, o.Advertise = "0.0.0.0:0", true, "127.0.0.1"
	c := begin(t, o)
	if !strings.HasPrefix(c.Address(), "127.0.0.1:") {
		t.Errorf("advertised as %s", c.Address())
	}
	attach(t, c, hello("node-0")).ready()
}
