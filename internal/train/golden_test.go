package train

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"parallax/kernels"
)

var rewrite = flag.Bool("rewrite", false, "write the golden losses anew: only for who can explain why they differ")

// TestGoldenLosses holds the losses of a small run to the last bit, for each
// instruction set that this machine has: what does not mean to change arithmetic
// must not change a bit of it.
func TestGoldenLosses(t *testing.T) {
	if testing.Short() {
		t.Skip("bits do not depend on how the tests are run")
	}
	for _, set := range []string{"amx", "avx512", "avx2", "portable"} {
		t.Run(set, func(t *testing.T) {
			t.Setenv("PARALLAX_CPU", set)
			got := goldenRuns(t, 1)
			if two := goldenRuns(t, 2); two != got {
				t.Errorf("two threads give other bits than one:\n%s\n%s", two, got)
			}
			if want := golden(t, runtime.GOARCH+"-"+set, got); got != want {
				t.Errorf("the losses are\n%s\nand were\n%s", got, want)
			}
		})
	}
}

// goldenRuns are a run of small shapes, and one large enough for every kernel: tiles
// of attention, and the tile engine.
func goldenRuns(t *testing.T, threads int) string {
	large := []string{"model.head_dim=64", "train.seq_len=160"}
	return goldenRun(t, "cpu", threads) + fmt.Sprintln(large) + goldenRun(t, "cpu", threads, large...)
}

// golden is what was recorded under a name, or is now; without any the test is skipped.
func golden(t *testing.T, name, got string) string {
	t.Helper()
	file := filepath.Join("testdata", "golden-"+name+".txt")
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		t.Skipf("no golden losses were recorded for %s", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(want)
}

// goldenRun writes a line for each step: loss and gradient norm, in hexadecimal and
// for people.
func goldenRun(t *testing.T, device string, threads int, set ...string) string {
	t.Helper()
	be, err := kernels.Open(device, kernels.Options{Threads: threads})
	if err != nil {
		t.Skipf("this machine lacks the device: %v", err)
	}
	defer be.Close()
	spec := testSpec(t, append([]string{"train.steps=8", "model.probe_init=unit"}, set...)...)
	trainer, err := New(be, spec, text{seqLen: spec.Train.SeqLen, sequences: 40})
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	enterAlone(t, trainer)
	var lines strings.Builder
	for range spec.Train.Steps {
		r, err := trainer.Step(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, "step %d  loss %x = %.6f  norm %x = %.6f\n", r.Step, r.Loss, r.Loss, r.GradNorm, r.GradNorm)
	}
	return lines.String()
}
