package coord

import (
	"errors"
	"fmt"

	"parallax/internal/gossip"
	pb "parallax/proto/parallax/v1"
	"parallax/shard"
)

// maxRestarts keeps the numbers of events apart, see restartBits.
const maxRestarts = 1 << 30

// check says why a state cannot be one that a coordinator has written, though its
// checksum fits.
func (s *State) check() error {
	if err := s.Config.check(); err != nil {
		return fmt.Errorf("its settings: %w", err)
	}
	if err := New(s.Config).CheckJob(s.Job); err != nil {
		return fmt.Errorf("its run: %w", err)
	}
	if s.Restarts < 0 || s.Restarts > maxRestarts {
		return fmt.Errorf("its coordinator has come back %d times", s.Restarts)
	}
	if err := s.checkStop(); err != nil {
		return err
	}
	if err := s.checkStep("the run began", s.Began); err != nil {
		return err
	}
	if s.View != nil {
		if err := s.checkView(); err != nil {
			return fmt.Errorf("its view of generation %d: %w", s.View.Generation, err)
		}
	}
	return s.checkRecorded()
}

// checkStep wants a number of steps that the run can have.
func (s *State) checkStep(what string, step int64) error {
	if steps := int64(s.Job.Spec.Train.Steps); step < 0 || step > steps {
		return fmt.Errorf("%s at step %d, of %d", what, step, steps)
	}
	return nil
}

func (s *State) checkStop() error {
	if s.Stop == nil {
		return nil
	}
	if s.Stop.Code < 0 || s.Stop.Code > 255 {
		return fmt.Errorf("it is to stop with exit code %d", s.Stop.Code)
	}
	return checkTexts(s.Stop.Reason)
}

func (s *State) checkView() error {
	v := s.View
	switch n := len(v.Members); {
	case v.Generation == 0:
		return fmt.Errorf("views are numbered from 1")
	case n == 0 || n > s.Config.Nodes:
		return fmt.Errorf("it has %d members, of %d nodes", n, s.Config.Nodes)
	case v.SourceRank < 0 || int(v.SourceRank) >= n:
		return fmt.Errorf("it has the state of rank %d, of %d ranks", v.SourceRank, n)
	case v.Members[v.SourceRank].GetFetch():
		return fmt.Errorf("rank %d fetches its own state", v.SourceRank)
	case len(v.Digest) > maxDigest:
		return fmt.Errorf("a digest has %d bytes, the limit is %d", len(v.Digest), maxDigest)
	}
	if err := s.checkStep("it begins", v.ResumeStep); err != nil {
		return err
	}
	if err := checkReady(s.Facts); err != nil {
		return err
	}
	if err := s.checkMembers(); err != nil {
		return err
	}
	return checkTexts(v.Reason)
}

// checkMembers wants each member once, and each slot.
func (s *State) checkMembers() error {
	known := map[string]bool{}
	for rank, m := range s.View.Members {
		if err := gossip.CheckID(m.GetNodeId()); err != nil {
			return fmt.Errorf("rank %d: %w", rank, err)
		}
		if known[m.NodeId] {
			return fmt.Errorf("%s is in it twice", m.NodeId)
		}
		known[m.NodeId] = true
		if err := checkTexts(m.RingAddress, m.Host, m.Device, m.DeviceSummary); err != nil {
			return fmt.Errorf("rank %d: %w", rank, err)
		}
	}
	return shard.CheckDeal(dealOf(s.View), s.Job.Spec.Train.Slots)
}

// dealOf is a view's slots by rank.
func dealOf(v *pb.View) [][]int {
	deal := make([][]int, len(v.Members))
	for rank, m := range v.Members {
		for _, slot := range m.Slots {
			deal[rank] = append(deal[rank], int(slot))
		}
	}
	return deal
}

// checkRecorded holds how far the record reaches against the run.
func (s *State) checkRecorded() error {
	r := &s.Recorded
	if newest := s.View.GetGeneration(); r.Generation > newest {
		return fmt.Errorf("the record ends in generation %d, and the newest is %d", r.Generation, newest)
	}
	return errors.Join(
		s.checkStep("the record ends", r.Step),
		s.checkStep("its last step is", r.Last.GetStep()),
		s.checkStep("its evaluation is", r.Evaluation.GetStep()),
		s.checkStep("its checkpoint is", r.Checkpoint.GetStep()),
		s.checkStep("its diagnosis is", r.LookedAt),
		checkTexts(r.Checkpoint.GetPath(), r.Checkpoint.GetError()))
}
