package agent

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"parallax/internal/gossip"
	pb "parallax/proto/parallax/v1"
	"parallax/shard"
)

// Limits on what a coordinator may send. gRPC refuses larger messages before
// memory is allocated for them.
const (
	maxMessage = 4 << 20 // bytes of a message
	maxMembers = 4096    // of a view
	maxSpec    = 1 << 18 // bytes of a spec
	maxText    = 1 << 14 // bytes of a sentence, a path or an address
	maxKeys    = 8       // of the gossip cluster
	maxDigest  = 128     // bytes of a state's digest
)

// longestTimeout bounds the failure timeout: more is an error in a unit.
const longestTimeout = 24 * time.Hour

// longestAbsence bounds the absence timeout, which is many failure timeouts or what
// a person has set.
const longestAbsence = 100 * longestTimeout

// checkOrder says what is wrong with an order, apart from what only the state of
// this node can tell about a view.
func checkOrder(m *pb.CoordinatorMessage) error {
	switch k := m.GetKind().(type) {
	case *pb.CoordinatorMessage_Welcome:
		if err := checkWelcome(k.Welcome); err != nil {
			return fmt.Errorf("its welcome cannot be: %w", err)
		}
		return nil
	case *pb.CoordinatorMessage_View:
		return checkTexts(k.View.GetReason())
	case *pb.CoordinatorMessage_Refusal:
		return errors.Join(checkExit(k.Refusal.GetExitCode()), checkTexts(k.Refusal.GetReason()))
	case *pb.CoordinatorMessage_Stop:
		return errors.Join(checkExit(k.Stop.GetExitCode()), checkTexts(k.Stop.GetReason()))
	case *pb.CoordinatorMessage_Fetch:
		return checkFetchOrder(k.Fetch)
	case *pb.CoordinatorMessage_Serve:
		return checkServe(k.Serve)
	case *pb.CoordinatorMessage_Save:
		return checkTexts(k.Save.GetReason())
	case *pb.CoordinatorMessage_Halt:
		return checkTexts(k.Halt.GetReason())
	case *pb.CoordinatorMessage_Recorded:
		return nil
	}
	return fmt.Errorf("an order of kind %T is not known here: are both of one version?", m.GetKind())
}

func checkFetchOrder(f *pb.FetchOrder) error {
	if err := gossip.CheckID(f.GetNodeId()); err != nil {
		return fmt.Errorf("the source: %w", err)
	}
	if err := checkAddress(f.GetAddress()); err != nil {
		return fmt.Errorf("the source's %w", err)
	}
	return checkTexts(f.GetReason())
}

func checkServe(s *pb.ServeOrder) error {
	if len(s.GetNodeIds()) > maxMembers {
		return fmt.Errorf("%d nodes are to be served, the limit is %d", len(s.NodeIds), maxMembers)
	}
	for _, name := range s.GetNodeIds() {
		if err := gossip.CheckID(name); err != nil {
			return err
		}
	}
	return nil
}

func checkWelcome(w *pb.Welcome) error {
	if len(w.GetSpecToml()) > maxSpec {
		return fmt.Errorf("the spec has %d bytes, the limit is %d", len(w.SpecToml), maxSpec)
	}
	if timeout := time.Duration(w.GetCluster().GetFailureTimeoutNs()); timeout <= 0 || timeout > longestTimeout {
		return fmt.Errorf("the failure timeout is %v, want more than 0 and at most %v", timeout, longestTimeout)
	}
	if timeout := time.Duration(w.GetCluster().GetAbsenceTimeoutNs()); timeout <= 0 || timeout > longestAbsence {
		return fmt.Errorf("the absence timeout is %v, want more than 0 and at most %v", timeout, longestAbsence)
	}
	if err := checkAddress(w.GetGossipAddress()); err != nil {
		return fmt.Errorf("the gossip %w", err)
	}
	if err := checkKeys(w.GetGossipKey(), w.GetGossipOldKeys()); err != nil {
		return err
	}
	return checkTexts(w.GetRunId(), w.GetSpecHash(), w.GetCluster().GetRunDir())
}

func checkKeys(key []byte, old [][]byte) error {
	if len(old) >= maxKeys || len(old) > 0 && len(key) == 0 {
		return fmt.Errorf("the gossip key of %d bytes comes with %d old ones, want 1 key and at most %d old ones", len(key), len(old), maxKeys-1)
	}
	if len(key) == 0 {
		return nil
	}
	for _, k := range append([][]byte{key}, old...) {
		if !slices.Contains([]int{16, 24, 32}, len(k)) {
			return fmt.Errorf("a gossip key has %d bytes, want 16, 24 or 32", len(k))
		}
	}
	return nil
}

// checkView says what is wrong with a view in itself: slots is how many each step
// has, last the generation of the view before.
func checkView(v *pb.View, slots int, last uint64) error {
	n := len(v.GetMembers())
	switch {
	case v.GetGeneration() <= last:
		return fmt.Errorf("generation %d is over, this node has been in %d", v.GetGeneration(), last)
	case n == 0 || n > maxMembers:
		return fmt.Errorf("generation %d has %d members, want 1 to %d", v.Generation, n, maxMembers)
	case v.ResumeStep < 0:
		return fmt.Errorf("generation %d resumes at step %d", v.Generation, v.ResumeStep)
	case v.SourceRank < 0 || int(v.SourceRank) >= n:
		return fmt.Errorf("generation %d has the state of rank %d, of %d ranks", v.Generation, v.SourceRank, n)
	}
	names := make(map[string]bool, n)
	for rank, m := range v.Members {
		if err := checkMember(m); err != nil {
			return fmt.Errorf("generation %d, rank %d: %w", v.Generation, rank, err)
		}
		if names[m.NodeId] {
			return fmt.Errorf("generation %d has %s twice", v.Generation, m.NodeId)
		}
		names[m.NodeId] = true
	}
	if err := checkFetch(v); err != nil {
		return err
	}
	if err := shard.CheckDeal(deal(v), slots); err != nil {
		return fmt.Errorf("generation %d: %w", v.Generation, err)
	}
	return nil
}

// checkFetch says why states cannot be made equal as a view wants it.
func checkFetch(v *pb.View) error {
	fetchers := 0
	for _, m := range v.Members {
		if m.Fetch {
			fetchers++
		}
	}
	switch {
	case v.Members[v.SourceRank].Fetch:
		return fmt.Errorf("generation %d has rank %d fetch its own state", v.Generation, v.SourceRank)
	case v.SyncState != (fetchers > 0):
		return fmt.Errorf("generation %d has %d of its ranks fetch a state, but says the opposite", v.Generation, fetchers)
	case fetchers > 0 && (len(v.Digest) == 0 || len(v.Digest) > maxDigest):
		return fmt.Errorf("generation %d has a digest of %d bytes for the state to fetch, want 1 to %d", v.Generation, len(v.Digest), maxDigest)
	}
	return nil
}

func checkMember(m *pb.Member) error {
	if err := gossip.CheckID(m.GetNodeId()); err != nil {
		return err
	}
	if err := checkAddress(m.GetRingAddress()); err != nil {
		return fmt.Errorf("the ring %w", err)
	}
	return checkTexts(m.GetHost(), m.GetDevice(), m.GetDeviceSummary())
}

// deal is a view's slots by rank.
func deal(v *pb.View) [][]int {
	slots := make([][]int, len(v.Members))
	for rank, m := range v.Members {
		for _, s := range m.Slots {
			slots[rank] = append(slots[rank], int(s))
		}
	}
	return slots
}

func checkAddress(address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil || len(address) > maxText {
		return fmt.Errorf("address %.100q is not HOST:PORT", address)
	}
	return nil
}

func checkExit(code int32) error {
	if code < 0 || code > 255 {
		return fmt.Errorf("%d is not an exit code", code)
	}
	return nil
}

func checkTexts(texts ...string) error {
	for _, text := range texts {
		if len(text) > maxText {
			return fmt.Errorf("a text has %d bytes, the limit is %d", len(text), maxText)
		}
	}
	return nil
}
