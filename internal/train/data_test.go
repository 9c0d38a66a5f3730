package train

import (
	"slices"
	"strings"
	"testing"

	"parallax/internal/config"
	"parallax/internal/train/traintest"
	"parallax/shard"
	"parallax/shard/task"
)

// The specification's choices are the tasks that there are.
func TestTasksOfTheSpec(t *testing.T) {
	for _, k := range config.Keys() {
		if want := append([]string{"none"}, task.Names()...); k.Name == "data.task" && !slices.Equal(k.Choices, want) {
			t.Errorf("data.task is one of %v, and the tasks are %v", k.Choices, want)
		}
	}
}

func TestTaskAsData(t *testing.T) {
	spec := traintest.Spec(t, "", "data.task=associative-recall", "train.seq_len=48", "data.validation=0.25")
	d, err := OpenData(t.Context(), spec, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if held, all := d.Sequences(shard.Validation), d.Sequences(shard.Train); held != 1<<18 || held+all != 1<<20 || d.SeqLen() != 48 {
		t.Errorf("%d problems to train on and %d held out, of %d tokens", all, held, d.SeqLen())
	}
	if !strings.HasPrefix(d.Summary, "task associative-recall, 1048576 problems of 48 tokens") {
		t.Errorf("the data is %q", d.Summary)
	}
	m, err := ModelOf(spec)
	if err != nil || m.Vocabulary != d.Vocabulary() {
		t.Errorf("a model of %d ids for data of %d, %v", m.Vocabulary, d.Vocabulary(), err)
	}
	for name, set := range map[string]string{"task": "data.task=noisy-recall", "length": "train.seq_len=64", "split": "data.validation=0", "seed": "seed=2"} {
		other, err := OpenData(t.Context(), traintest.Spec(t, "", "data.task=associative-recall", "train.seq_len=48", "data.validation=0.25", set), "", nil)
		if err != nil || other.Digest == d.Digest {
			t.Errorf("another %s: %v, or the same digest", name, err)
		}
	}
}

func TestTaskThatDoesNotFit(t *testing.T) {
	short := traintest.Spec(t, "", "data.task=associative-recall", "train.seq_len=8")
	if _, err := OpenData(t.Context(), short, "", nil); err == nil || !strings.Contains(err.Error(), "need sequences of at least 17") {
		t.Errorf("problems that are longer than sequences: %v", err)
	}
	small := traintest.Spec(t, "", "data.task=associative-recall", "model.vocabulary=100")
	if _, err := ModelOf(small); err == nil || !strings.Contains(err.Error(), "the data has 128 ids") {
		t.Errorf("a model of too few ids: %v", err)
	}
}
