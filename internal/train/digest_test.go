package train

import (
	"bytes"
	"testing"

	"parallax/kernels"
)

// TestDigestIsOfEveryPiece has buffers of several pieces, hashed by one thread and by
// three, and changes the last element of each.
func TestDigestIsOfEveryPiece(t *testing.T) {
	spec := testSpec(t, "model.vocabulary=40000", "model.layers=1")
	var digests [][]byte
	var trainer *Trainer
	for _, threads := range []int{1, 3} {
		be, err := kernels.Open("cpu", kernels.Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		if trainer, err = New(be, spec, text{seqLen: spec.Train.SeqLen, sequences: 40}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { trainer.Close(); be.Close() })
		digests = append(digests, digest(t, trainer))
	}
	if !bytes.Equal(digests[0], digests[1]) {
		t.Error("the digest depends on the number of threads")
	}
	if n := len(trainer.digestPieces()); n <= len(trainer.buffers()) {
		t.Fatalf("only %d pieces", n)
	}
	for _, b := range trainer.buffers() {
		at := b.Len() - 1
		x := b.Slice(at, at+1)
		was, err := kernels.ReadFloats(trainer.be, x)
		if err == nil {
			err = kernels.WriteFloats(trainer.be, x, []float64{was[0] + 1})
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(digest(t, trainer), digests[0]) {
			t.Errorf("element %d of a buffer of %d may be anything", at, b.Len())
		}
		if err := kernels.WriteFloats(trainer.be, x, was); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(digest(t, trainer), digests[0]) {
		t.Error("the first state again has another digest")
	}
}

func digest(t *testing.T, trainer *Trainer) []byte {
	t.Helper()
	d, err := trainer.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}
