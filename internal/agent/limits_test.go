package agent

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	pb "parallax/proto/parallax/v1"
)

// goodView deals 5 slots to 3 nodes.
func goodView() *pb.View {
	v := &pb.View{Generation: 4, ResumeStep: 7, SourceRank: 2, Reason: "test"}
	for _, m := range []struct {
		name  string
		slots []int32
	}{{"gpu00", []int32{0, 1}}, {"gpu01", []int32{2}}, {"gpu02", []int32{3, 4}}} {
		v.Members = append(v.Members, &pb.Member{NodeId: m.name, Incarnation: 1, RingAddress: m.name + ":7071", Host: m.name, Device: "cpu", Slots: m.slots})
	}
	return v
}

func goodWelcome() *pb.Welcome {
	return &pb.Welcome{
		RunId: "r", SpecToml: "x", SpecHash: "h", GossipAddress: "10.0.0.1:7946", GossipKey: make([]byte, 32), GossipOldKeys: [][]byte{make([]byte, 16)},
		Cluster: &pb.Cluster{FailureTimeoutNs: int64(time.Second), AbsenceTimeoutNs: int64(time.Minute), RunDir: "/runs/r"},
	}
}

func TestViewsAreChecked(t *testing.T) {
	if err := checkView(goodView(), 5, 3); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*pb.View){
		"generation 3 is over":         func(v *pb.View) { v.Generation = 3 },
		"0 members":                    func(v *pb.View) { v.Members = nil },
		"4097 members":                 func(v *pb.View) { v.Members = make([]*pb.Member, 4097) },
		"resumes at step -1":           func(v *pb.View) { v.ResumeStep = -1 },
		"state of rank 3":              func(v *pb.View) { v.SourceRank = 3 },
		"state of rank -1":             func(v *pb.View) { v.SourceRank = -1 },
		"has gpu01 twice":              func(v *pb.View) { v.Members[2].NodeId = "gpu01" },
		"rank 0: a node's name":        func(v *pb.View) { v.Members[0].NodeId = "../x" },
		"rank 1: a node's name":        func(v *pb.View) { v.Members[1] = nil },
		"is not HOST:PORT":             func(v *pb.View) { v.Members[1].RingAddress = "gpu01" },
		"a text has 20000 bytes":       func(v *pb.View) { v.Members[1].Host = strings.Repeat("x", 20000) },
		"1 of 5 slots are dealt to no": func(v *pb.View) { v.Members[1].Slots = nil },
		"slot 0 is dealt to rank":      func(v *pb.View) { v.Members[1].Slots[0] = 0 },
		"dealt slot 5":                 func(v *pb.View) { v.Members[1].Slots[0] = 5 },
		"fetch its own state":          func(v *pb.View) { v.Members[2].Fetch, v.SyncState = true, true },
		"says the opposite":            func(v *pb.View) { v.SyncState = true },
		"1 of its ranks fetch":         func(v *pb.View) { v.Members[0].Fetch = true },
		"a digest of 0 bytes":          func(v *pb.View) { v.Members[0].Fetch, v.SyncState = true, true },
		"a digest of 999 bytes":        func(v *pb.View) { v.Members[0].Fetch, v.SyncState, v.Digest = true, true, make([]byte, 999) },
		"dealt slot -1":                func(v *pb.View) { v.Members[1].Slots[0] = -1 },
	} {
		v := goodView()
		change(v)
		if err := checkView(v, 5, 3); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	if err := checkView(nil, 5, 0); err == nil {
		t.Error("no view was let through")
	}
}

func TestWelcomesAreChecked(t *testing.T) {
	if err := checkWelcome(goodWelcome()); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*pb.Welcome){
		"the spec has":            func(w *pb.Welcome) { w.SpecToml = strings.Repeat("x", maxSpec+1) },
		"failure timeout is 0s":   func(w *pb.Welcome) { w.Cluster = nil },
		"failure timeout is -1ns": func(w *pb.Welcome) { w.Cluster.FailureTimeoutNs = -1 },
		"failure timeout is 48h":  func(w *pb.Welcome) { w.Cluster.FailureTimeoutNs = int64(48 * time.Hour) },
		"absence timeout is 0s":   func(w *pb.Welcome) { w.Cluster.AbsenceTimeoutNs = 0 },
		"the gossip address":      func(w *pb.Welcome) { w.GossipAddress = "" },
		"a gossip key has 5":      func(w *pb.Welcome) { w.GossipKey = []byte("short") },
		"a gossip key has 6":      func(w *pb.Welcome) { w.GossipOldKeys[0] = []byte("shorts") },
		"0 bytes comes with 1":    func(w *pb.Welcome) { w.GossipKey = nil },
		"comes with 8":            func(w *pb.Welcome) { w.GossipOldKeys = make([][]byte, 8) },
		"a text has":              func(w *pb.Welcome) { w.Cluster.RunDir = strings.Repeat("x", maxText+1) },
	} {
		w := goodWelcome()
		change(w)
		if err := checkWelcome(w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestOrdersAreChecked(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for name, m := range map[string]*pb.CoordinatorMessage{
		"nothing":   nil,
		"no kind":   {},
		"refusal":   {Kind: &pb.CoordinatorMessage_Refusal{Refusal: &pb.Refusal{Reason: long}}},
		"exit code": {Kind: &pb.CoordinatorMessage_Stop{Stop: &pb.StopOrder{ExitCode: 256}}},
		"stop":      {Kind: &pb.CoordinatorMessage_Stop{Stop: &pb.StopOrder{Reason: long}}},
		"save":      {Kind: &pb.CoordinatorMessage_Save{Save: &pb.SaveOrder{Reason: long}}},
		"halt":      {Kind: &pb.CoordinatorMessage_Halt{Halt: &pb.HaltOrder{Reason: long}}},
		"view":      {Kind: &pb.CoordinatorMessage_View{View: &pb.View{Reason: long}}},
		"welcome":   {Kind: &pb.CoordinatorMessage_Welcome{Welcome: &pb.Welcome{}}},
	} {
		if err := checkOrder(m); err == nil {
			t.Errorf("%s was let through", name)
		}
	}
}

// TestGossipIsNotExposed: a node does not gossip in the clear beyond loopback.
func TestGossipIsNotExposed(t *testing.T) {
	for _, test := range []struct {
		gossip   string
		insecure bool
		welcome  *pb.Welcome
		keys     int
		refused  bool
	}{
		{"127.0.0.1:0", false, &pb.Welcome{}, 0, false},
		{"0.0.0.0:0", false, &pb.Welcome{}, 0, true},
		{"0.0.0.0:0", true, &pb.Welcome{}, 0, false},
		{"0.0.0.0:0", false, goodWelcome(), 2, false},
	} {
		a := &agent{o: Options{Gossip: test.gossip, Insecure: test.insecure}, welcome: test.welcome}
		keys, err := a.gossipKeys()
		if len(keys) != test.keys || (err != nil) != test.refused {
			t.Errorf("%+v: %d keys, %v", test, len(keys), err)
		}
	}
}

// FuzzOrders: whatever bytes a coordinator sends, an order that is let through can
// be obeyed.
func FuzzOrders(f *testing.F) {
	for _, m := range []*pb.CoordinatorMessage{
		{Kind: &pb.CoordinatorMessage_Welcome{Welcome: goodWelcome()}},
		{Kind: &pb.CoordinatorMessage_View{View: goodView()}},
		{Kind: &pb.CoordinatorMessage_Stop{Stop: &pb.StopOrder{Reason: "x", ExitCode: 75}}},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := new(pb.CoordinatorMessage)
		if proto.Unmarshal(data, m) != nil || checkOrder(m) != nil {
			return
		}
		if w := m.GetWelcome(); w != nil && (w.GetCluster().GetFailureTimeoutNs() <= 0 || len(w.GossipOldKeys) >= maxKeys) {
			t.Errorf("%v was let through", w)
		}
		v := m.GetView()
		if v == nil || checkView(v, 5, 3) != nil {
			return
		}
		dealt := 0
		for _, m := range v.Members {
			dealt += len(m.Slots)
		}
		if dealt != 5 || v.Generation <= 3 || int(v.SourceRank) >= len(v.Members) {
			t.Errorf("%v was let through", v)
		}
	})
}
