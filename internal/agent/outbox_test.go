package agent

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"

	pb "parallax/proto/parallax/v1"
)

func stepMessage(step int64) *pb.NodeMessage {
	return &pb.NodeMessage{Kind: &pb.NodeMessage_Step{Step: &pb.StepReport{Step: step}}}
}

func evalMessage(step int64) *pb.NodeMessage {
	return &pb.NodeMessage{Kind: &pb.NodeMessage_Eval{Eval: &pb.EvalReport{Step: step}}}
}

// drained is what a stream would be given: steps, and evaluations as negatives.
func drained(o *outbox) []int64 {
	var all []int64
	for m := o.next(); m != nil; m = o.next() {
		all = append(all, m.GetStep().GetStep()-m.GetEval().GetStep())
	}
	return all
}

// What was sent and not recorded is sent again on the next stream, in order.
func TestOutboxResends(t *testing.T) {
	o := newOutbox(slog.New(slog.DiscardHandler), 100)
	for step := int64(1); step <= 4; step++ {
		o.add(stepMessage(step))
		o.add(evalMessage(step))
	}
	if got := drained(o); !slices.Equal(got, []int64{1, -1, 2, -2, 3, -3, 4, -4}) {
		t.Errorf("the first stream was given %v", got)
	}
	o.recorded(2)
	o.add(stepMessage(5))
	if got := drained(o); !slices.Equal(got, []int64{5}) {
		t.Errorf("then it was given %v", got)
	}
	o.resend(3)
	if got := drained(o); !slices.Equal(got, []int64{-3, 4, -4, 5}) {
		t.Errorf("a coordinator that knows step 3 was given %v", got)
	}
	o.resend(0)
	if got := drained(o); !slices.Equal(got, []int64{-2, 3, -3, 4, -4, 5}) {
		t.Errorf("one that knows what is recorded was given %v", got)
	}
	o.clear()
	o.resend(0)
	if got := drained(o); got != nil {
		t.Errorf("a new beginning was given %v", got)
	}
}

// A full outbox drops the oldest, and says so once.
func TestOutboxIsBounded(t *testing.T) {
	var said bytes.Buffer
	o := newOutbox(slog.New(slog.NewTextHandler(&said, nil)), 3)
	for step := int64(1); step <= 5; step++ {
		o.add(stepMessage(step))
	}
	if got := drained(o); !slices.Equal(got, []int64{3, 4, 5}) || o.lost() != 2 {
		t.Errorf("it kept %v and dropped those up to %d", got, o.lost())
	}
	if n := strings.Count(said.String(), "3 reports wait"); n != 1 {
		t.Errorf("it said so %d times: %s", n, &said)
	}
}
