package coord

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"parallax/internal/config"
	pb "parallax/proto/parallax/v1"
)

// someState is of a run of 3 slots on 2 nodes, in its seventh view.
func someState(tb testing.TB) *State {
	tb.Helper()
	loaded, err := config.Load(config.Sources{Preset: "tiny", Set: []string{"train.slots=3", "train.steps=9"}})
	if err != nil {
		tb.Fatal(err)
	}
	return &State{
		Config:   Config{Nodes: 2, MinNodes: 1, QuorumTimeout: time.Minute, FailureTimeout: time.Second},
		Job:      Job{Submission{"a name", false, loaded.Spec}, "r1", "/runs/r1"},
		Restarts: 3,
		View: &pb.View{Generation: 7, ResumeStep: 4, Members: []*pb.Member{
			{NodeId: "a", Slots: []int32{0, 1}}, {NodeId: "b", Slots: []int32{2}}}},
		Facts:    &pb.Ready{DataDigest: "d", Parameters: 5},
		Began:    2,
		Started:  time.Unix(1_700_000_000, 0).UTC(),
		Stop:     &StopRequested{Reason: "enough", Code: ExitDone},
		Recorded: Progress{Generation: 7, Step: 5, Last: &pb.StepSummary{Step: 5}},
	}
}

// What a state cannot have is refused, with the reason, though its checksum fits.
func TestDecodeStateRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*State)
		want  string
	}{
		"nothing":              {func(*State) {}, ""},
		"no nodes":             {func(s *State) { s.Config.Nodes = 0 }, "--nodes is 0"},
		"a million nodes":      {func(s *State) { s.Config.Nodes = 1e6 }, "--nodes is 1000000"},
		"more than its slots":  {func(s *State) { s.Config.Nodes = 4 }, "4 nodes cannot share"},
		"a short failure":      {func(s *State) { s.Config.FailureTimeout = 1 }, "--failure-timeout is 1ns"},
		"a long failure":       {func(s *State) { s.Config.FailureTimeout = 25 * time.Hour }, "--failure-timeout is 25h"},
		"a negative join":      {func(s *State) { s.Config.JoinTimeout = -1 }, "--join-timeout is -1ns"},
		"an impatient quorum":  {func(s *State) { s.Config.QuorumTimeout = time.Millisecond }, "--quorum-timeout is 1ms"},
		"negative restarts":    {func(s *State) { s.Restarts = -1 }, "come back -1 times"},
		"endless restarts":     {func(s *State) { s.Restarts = 1 << 40 }, "times"},
		"a late beginning":     {func(s *State) { s.Began = 10 }, "the run began at step 10, of 9"},
		"a late view":          {func(s *State) { s.View.ResumeStep = 10 }, "it begins at step 10, of 9"},
		"a view before any":    {func(s *State) { s.View.ResumeStep = -1 }, "step -1"},
		"no members":           {func(s *State) { s.View.Members = nil }, "0 members"},
		"too many members":     {func(s *State) { s.Config.Nodes = 1 }, "2 members, of 1 nodes"},
		"a member twice":       {func(s *State) { s.View.Members[1].NodeId = "a" }, "a is in it twice"},
		"a foreign source":     {func(s *State) { s.View.SourceRank = 2 }, "rank 2, of 2 ranks"},
		"a negative source":    {func(s *State) { s.View.SourceRank = -1 }, "rank -1"},
		"a source without it":  {func(s *State) { s.View.Members[0].Fetch = true }, "fetches its own state"},
		"a slot twice":         {func(s *State) { s.View.Members[1].Slots[0] = 1 }, "slot 1 is dealt"},
		"a foreign exit code":  {func(s *State) { s.Stop.Code = 300 }, "exit code 300"},
		"a record of no run":   {func(s *State) { s.Recorded.Step = 10 }, "the record ends at step 10"},
		"a record of no view":  {func(s *State) { s.Recorded.Generation = 8 }, "generation 8"},
		"a checkpoint of none": {func(s *State) { s.Recorded.Checkpoint = &pb.CheckpointReport{Step: -3} }, "its checkpoint is at step -3"},
	} {
		t.Run(name, func(t *testing.T) {
			s := someState(t)
			c.spoil(s)
			_, err := decodeState(s.encode(), s.Recorded.encode())
			if c.want == "" && err == nil {
				return
			}
			if err == nil || c.want == "" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says %v, want %q", err, c.want)
			}
		})
	}
}

// resealed puts the checksum before a state that fits it.
func resealed(text []byte) []byte {
	sum := sha256.Sum256(text)
	return append([]byte(hex.EncodeToString(sum[:])+"\n"), text...)
}

// FuzzState: whatever lies in the ledger behind a checksum that fits, a state that is
// let through can be gone on with, and is written as it was read.
func FuzzState(f *testing.F) {
	unbegun := &State{Config: someState(f).Config, Job: someState(f).Job}
	for _, s := range []*State{someState(f), unbegun} {
		_, state, _ := bytes.Cut(s.encode(), []byte("\n"))
		_, progress, _ := bytes.Cut(s.Recorded.encode(), []byte("\n"))
		f.Add(state, progress)
	}
	f.Fuzz(func(t *testing.T, state, progress []byte) {
		s, err := decodeState(resealed(state), resealed(progress))
		if err != nil {
			return
		}
		again, err := decodeState(s.encode(), s.Recorded.encode())
		if err != nil || !bytes.Equal(again.encode(), s.encode()) || !bytes.Equal(again.Recorded.encode(), s.Recorded.encode()) {
			t.Fatalf("read %+v, and written and read again %+v, %v", s, again, err)
		}
		c := Restore(s.Config, s)
		c.Step(tickAt(time.Unix(1_700_000_000, 0)))
		c.Step(CameBack{})
		waits := 0
		for deadline := c.wait(); !deadline.IsZero(); deadline = c.wait() {
			c.Step(tickAt(deadline))
			if waits++; waits > 3 {
				t.Fatalf("it waits for ever: %+v", s)
			}
		}
	})
}

// wait is until when a core that nobody attaches to waits; zero: for ever, or no more.
func (c *Core) wait() time.Time {
	switch c.phase {
	case returning:
		return c.deadline
	case waiting:
		return c.joinDeadline
	}
	return time.Time{}
}
