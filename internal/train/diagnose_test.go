package train

import (
	"bytes"
	"context"
	"math"
	"slices"
	"testing"
)

// TestDiagnosisDoesNotChangeTraining trains with and without looks into the layers,
// alone and in a ring: all have the same state to the bit, and see the same.
func TestDiagnosisDoesNotChangeTraining(t *testing.T) {
	spec := testSpec(t, "train.reduction=sum-exact")
	looked := func(ranks int, every int) (Diagnosis, []byte) {
		t.Helper()
		c := newCluster(t, spec, ranks)
		var last Diagnosis
		var digest []byte
		c.each(t, func(rank int, trainer *Trainer) error {
			for step := 1; step <= 4; step++ {
				if _, err := trainer.Step(context.Background()); err != nil {
					return err
				}
				if rank != 0 || every == 0 || step%every != 0 {
					continue
				}
				d, err := trainer.Diagnose()
				if err != nil {
					return err
				}
				last = d
			}
			if rank == 0 {
				var err error
				digest, err = trainer.Digest()
				return err
			}
			return nil
		})
		return last, digest
	}
	_, plain := looked(1, 0)
	alone, one := looked(1, 2)
	shared, two := looked(2, 1)
	if !bytes.Equal(plain, one) || !bytes.Equal(plain, two) {
		t.Error("looking into the layers has changed the state")
	}
	if alone.Step != 4 || len(alone.Layers) != spec.Model.Layers || !slices.Equal(alone.Layers, shared.Layers) {
		t.Errorf("alone %+v, one of two %+v", alone, shared)
	}
	for i, l := range alone.Layers {
		if !(l.Correction > 0 && l.RankQ >= 1 && l.RankR >= 1 && l.RankK >= 1 && l.Entropy > 0 && l.Entropy < math.Log(24) && l.FirstToken > 0 && l.FirstToken < 1) {
			t.Errorf("layer %d: %+v", i, l)
		}
	}
}

func TestNothingToDiagnoseBeforeTheFirstStep(t *testing.T) {
	trainer := newTestTrainer(t, testSpec(t))
	enterAlone(t, trainer)
	if _, err := trainer.Diagnose(); err == nil {
		t.Error("no error")
	}
}
