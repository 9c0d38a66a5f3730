package coord

import (
	"fmt"
	"math"
	"net"

	"parallax/internal/gossip"
	pb "parallax/proto/parallax/v1"
)

// Limits on what a node may send. gRPC refuses larger messages before memory is
// allocated for them.
const (
	maxMessage = 1 << 20 // bytes of a message
	maxHeaders = 1 << 14 // bytes of a call's metadata
	maxSpec    = 1 << 18 // bytes of a spec
	maxText    = 1 << 14 // bytes of a sentence or a path
	maxDigest  = 128     // bytes
	maxLayers  = 1 << 10 // of a diagnosis; the run spec allows no more
)

// checkHello says what is wrong with a node's introduction.
func checkHello(h *pb.Hello) error {
	if err := gossip.CheckID(h.NodeId); err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(h.RingAddress); err != nil {
		return fmt.Errorf("%s's ring address %q is not HOST:PORT", h.NodeId, truncate(h.RingAddress))
	}
	if h.WorldSize < 0 {
		return fmt.Errorf("%s's world size is %d", h.NodeId, h.WorldSize)
	}
	if len(h.SpecToml) > maxSpec {
		return fmt.Errorf("%s's spec has %d bytes, the limit is %d", h.NodeId, len(h.SpecToml), maxSpec)
	}
	if err := checkNumbers(h.PeakFlops); err != nil {
		return fmt.Errorf("%s's peak: %w", h.NodeId, err)
	}
	if r := h.Reattach; r != nil {
		if err := checkReattach(r); err != nil {
			return fmt.Errorf("%s attaches again, but %w", h.NodeId, err)
		}
	}
	return checkTexts(h.RingAddress, h.Device, h.DeviceSummary, h.Arithmetic, h.Host, h.Version)
}

// checkReattach says what is wrong with a node's claim to have been here before.
func checkReattach(r *pb.Reattach) error {
	if r.Ready == nil || r.Generation == 0 {
		return fmt.Errorf("does not say with what, or to which view")
	}
	if err := checkReady(r.Ready); err != nil {
		return err
	}
	if err := checkNumbers(float64(r.DroppedStep)); err != nil {
		return err
	}
	return checkTexts(r.RunId)
}

// checkMessage says what is wrong with a later message.
func checkMessage(m *pb.NodeMessage) error {
	switch kind := m.Kind.(type) {
	case *pb.NodeMessage_Progress:
		return checkTexts(kind.Progress.Doing)
	case *pb.NodeMessage_Ready:
		return checkReady(kind.Ready)
	case *pb.NodeMessage_Step:
		return checkStep(kind.Step)
	case *pb.NodeMessage_Eval:
		return checkNumbers(float64(kind.Eval.Step), float64(kind.Eval.Tokens), kind.Eval.Seconds)
	case *pb.NodeMessage_Diagnosis:
		return checkDiagnosis(kind.Diagnosis)
	case *pb.NodeMessage_Checkpoint:
		r := kind.Checkpoint
		if err := checkNumbers(float64(r.Step), float64(r.Bytes), r.Seconds); err != nil {
			return err
		}
		return checkTexts(r.Path, r.Error)
	case *pb.NodeMessage_Failure:
		f := kind.Failure
		if len(f.Digest) > maxDigest {
			return fmt.Errorf("a digest has %d bytes, the limit is %d", len(f.Digest), maxDigest)
		}
		if err := checkNumbers(float64(f.AppliedStep)); err != nil {
			return err
		}
		return checkTexts(f.Error, f.Suspect)
	case *pb.NodeMessage_Fetched:
		f := kind.Fetched
		if err := checkNumbers(float64(f.Step), float64(f.Bytes), f.Seconds, float64(f.Replayed)); err != nil {
			return err
		}
		return checkTexts(f.Error)
	case *pb.NodeMessage_Held:
		if len(kind.Held.Digest) > maxDigest {
			return fmt.Errorf("a digest has %d bytes, the limit is %d", len(kind.Held.Digest), maxDigest)
		}
		return checkNumbers(float64(kind.Held.AppliedStep))
	case *pb.NodeMessage_Heartbeat:
		return nil
	case *pb.NodeMessage_Leaving:
		if err := checkNumbers(float64(kind.Leaving.AppliedStep)); err != nil {
			return err
		}
		return checkTexts(kind.Leaving.Reason)
	default:
		return fmt.Errorf("a message of kind %T is not expected here; are both of one version?", m.Kind)
	}
}

func checkReady(r *pb.Ready) error {
	if len(r.Digest) > maxDigest || len(r.DataDigest) > maxDigest {
		return fmt.Errorf("digests of %d and %d bytes, the limit is %d", len(r.Digest), len(r.DataDigest), maxDigest)
	}
	if err := checkTexts(r.DataSummary); err != nil {
		return err
	}
	return checkNumbers(float64(r.Step), r.TokensPerSecond, float64(r.TrainTokens), float64(r.Parameters), r.FlopsPerToken, r.FlopsPerToken_6N)
}

// checkStep leaves the loss alone: it may well have become NaN.
func checkStep(r *pb.StepReport) error {
	return checkNumbers(float64(r.Step), float64(r.Tokens), r.Seconds, r.ComputeSeconds, r.ReduceSeconds,
		r.WaitSeconds, r.UpdateSeconds, float64(r.WireBytes), r.SendSeconds, r.ReceiveSeconds)
}

// checkDiagnosis leaves the layers' numbers alone: a run that goes wrong shows there.
func checkDiagnosis(d *pb.Diagnosis) error {
	if len(d.Layers) > maxLayers {
		return fmt.Errorf("a diagnosis has %d layers, the limit is %d", len(d.Layers), maxLayers)
	}
	return checkNumbers(float64(d.Step), d.Seconds)
}

// checkNumbers wants counts, times and rates: finite and not negative.
func checkNumbers(values ...float64) error {
	for _, v := range values {
		if !(v >= 0) || math.IsInf(v, 1) {
			return fmt.Errorf("a count, time or rate is %v", v)
		}
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

// truncate makes a stranger's text fit into an error.
func truncate(text string) string { return text[:min(len(text), 100)] }
