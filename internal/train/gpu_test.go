//go:build cuda

package train

import (
	"regexp"
	"strings"
	"testing"

	"parallax/kernels"
	_ "parallax/kernels/cuda"
)

// gpu opens the first GPU and says what it is; where there is none, the test is skipped.
func gpu(t *testing.T) (summary string) {
	t.Helper()
	be, err := kernels.Open("cuda:0", kernels.Options{})
	if err != nil {
		t.Skipf("needs a GPU: %v", err)
	}
	defer be.Close()
	return be.Info().Summary
}

// TestGoldenLossesOnGPU holds small runs to the bits that this kind of GPU gave
// before, with heads for the portable kernels and for Hopper's. The first line names
// the libraries: others may sum in another order.
func TestGoldenLossesOnGPU(t *testing.T) {
	summary := gpu(t)
	all := summary + "\n"
	for _, set := range []string{"model.head_dim=16", "model.head_dim=64", "model.head_dim=128", "train.reduction=sum-exact"} {
		got := goldenRun(t, "cuda:0", 0, set)
		if again := goldenRun(t, "cuda:0", 0, set); again != got {
			t.Errorf("%s: a second run gives other bits than the first:\n%s\n%s", set, again, got)
		}
		all += set + "\n" + got
	}
	model, _, _ := strings.Cut(summary, ",")
	name := "cuda-" + strings.Trim(regexp.MustCompile("[^a-z0-9]+").ReplaceAllString(strings.ToLower(model), "-"), "-")
	want := golden(t, name, all)
	if then, _, _ := strings.Cut(want, "\n"); then != summary {
		t.Skipf("golden losses were recorded on %s, and this is %s", then, summary)
	}
	if all != want {
		t.Errorf("the losses are\n%s\nand were\n%s", all, want)
	}
}

// TestRecomputationOnGPU holds whole runs with recomputation against those without it,
// to the bit.
func TestRecomputationOnGPU(t *testing.T) {
	gpu(t)
	for _, set := range []string{"model.head_dim=16", "model.head_dim=64", "train.reduction=sum-exact", "optimizer.name=adamw"} {
		want, got := goldenRun(t, "cuda:0", 0, set), goldenRun(t, "cuda:0", 0, set, "train.recompute=layer")
		if got != want {
			t.Errorf("%s: with recomputation the losses are\n%s\nand without\n%s", set, got, want)
		}
	}
}
