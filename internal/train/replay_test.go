package train

import (
	"bytes"
	"strings"
	"testing"
)

// tape is a Recorder.
type tape struct {
	on      bool
	changes [][]byte
}

func (p *tape) Recording() bool { return p.on }

func (p *tape) Record(_ int64, change [][]byte) {
	p.changes = append(p.changes, bytes.Join(change, nil))
}

// fill hands a trainer an image in pieces of so many bytes.
func fill(t *testing.T, to *Trainer, image []byte, piece int) {
	t.Helper()
	for lo := 0; lo < len(image); lo += piece {
		if err := to.Fill(int64(lo), image[lo:min(lo+piece, len(image))]); err != nil {
			t.Fatal(err)
		}
	}
}

// A rank that fetches the image of a state and replays what the others have done since
// holds what they hold, to the bit, whatever their number.
func TestReplay(t *testing.T) {
	for name, set := range map[string][]string{
		"exact": {"train.reduction=sum-exact"}, "f32": nil, "bf16": {"train.reduction=sum-bf16"},
		"adamw": {"optimizer.name=adamw"}, "clipped": {"train.reduction=sum-exact", "optimizer.clip_norm=0.1"},
	} {
		for _, world := range []int{1, 3} {
			spec := testSpec(t, set...)
			c := newCluster(t, spec, world)
			record := new(tape)
			c[world-1].RecordTo(record)
			c.train(t, 2)
			if len(record.changes) > 0 {
				t.Fatal("changes are recorded that nobody asked for")
			}
			parts, err := c[world-1].Image()
			if err != nil {
				t.Fatal(err)
			}
			image := bytes.Join(parts, nil)
			if int64(len(image)) != c[0].StateBytes() {
				t.Fatalf("the image has %d bytes, want %d", len(image), c[0].StateBytes())
			}
			record.on = true
			c.train(t, 3)

			joiner := newTestTrainer(t, spec)
			fill(t, joiner, image, 1000)
			if err := joiner.Filled(2); err != nil {
				t.Fatal(err)
			}
			for i, change := range record.changes {
				if err := joiner.Replay(int64(3+i), change); err != nil {
					t.Fatal(err)
				}
			}
			if got, _ := joiner.Digest(); joiner.Applied() != 5 || !bytes.Equal(got, c.digest(t)) {
				t.Errorf("%s, %d ranks: the joiner holds other bits after step %d", name, world, joiner.Applied())
			}
		}
	}
}

func TestReplayRefuses(t *testing.T) {
	spec := testSpec(t, "train.reduction=sum-exact")
	a := newTestTrainer(t, spec)
	parts, err := a.Image()
	if err != nil {
		t.Fatal(err)
	}
	image := bytes.Join(parts, nil)
	change := make([]byte, a.ChangeBytes())
	for name, c := range map[string]struct {
		do   func(b *Trainer) error
		want string
	}{
		"half": {func(b *Trainer) error { _ = b.Fill(0, image[:100]); return b.Replay(1, change) }, "half fetched"},
		"long": {func(b *Trainer) error { return b.Fill(int64(len(image))-4, image[:8]) }, "left over"},
		"other step": {func(b *Trainer) error {
			fill(t, b, image, len(image))
			return b.Filled(4)
		}, "not the one after step 4"},
		"exponents": {func(b *Trainer) error {
			bad := bytes.Clone(image)
			copy(bad[8:], []byte{1, 2, 3, 4})
			fill(t, b, bad, len(image))
			return b.Filled(0)
		}, "whole number from"},
		"gap":    {func(b *Trainer) error { return b.Replay(2, change) }, "on the state after step 0"},
		"length": {func(b *Trainer) error { return b.Replay(1, change[4:]) }, "bytes, want"},
		"change": {func(b *Trainer) error {
			bad := bytes.Clone(change)
			bad[3] = 0x70
			return b.Replay(1, bad)
		}, "whole number from"},
	} {
		if err := c.do(newTestTrainer(t, spec)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
