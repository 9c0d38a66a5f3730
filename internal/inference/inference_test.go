package inference_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"parallax/collective"
	"parallax/internal/checkpoint"
	"parallax/internal/config"
	"parallax/internal/inference"
	"parallax/internal/train"
	"parallax/internal/train/traintest"
	"parallax/kernels"
	_ "parallax/kernels/cpu"
	"parallax/shard"
	"parallax/shard/corpus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// trained is a small model after some steps: what it learnt from, what the
// trainer's evaluation says of it, and where its checkpoint lies.
type trained struct {
	be     kernels.Backend
	source *corpus.Dataset
	loss   train.Evaluation
	root   string
}

const steps = 60

// sentence is all that the model's text says. No letter comes twice, so that even a
// small model knows what follows.
const sentence = "jumping_wolves,"

func newTrained(t *testing.T, set ...string) trained {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(data, []byte(strings.Repeat(sentence, 400)), 0o644); err != nil {
		t.Fatal(err)
	}
	spec := traintest.Spec(t, data, append([]string{"train.seq_len=24", "train.micro_batch=2", "train.slots=2", "train.steps=60",
		"eval.batches=1000", "data.validation=0.3"}, set...)...)
	text, err := corpus.Prepare(context.Background(), corpus.Request{Path: data, Tokenizer: "bytes", CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { text.File.Close() })
	source, err := train.Dataset(spec, text.File)
	if err != nil {
		t.Fatal(err)
	}
	return trained{open(t, 1), source, train.Evaluation{}, filepath.Join(dir, "checkpoints")}.train(t, spec)
}

func open(t *testing.T, threads int) kernels.Backend {
	t.Helper()
	be, err := kernels.Open("cpu", kernels.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { be.Close() })
	return be
}

// train makes the steps, evaluates, and saves.
func (m trained) train(t *testing.T, spec config.Spec) trained {
	t.Helper()
	trainer, err := train.New(m.be, spec, m.source)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	ring, err := collective.New(collective.Config{Generation: 1, Members: []collective.Member{{Name: "alone"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	if err := trainer.Enter(train.View{Comm: ring, Slots: [][]int{{0, 1}}}); err != nil {
		t.Fatal(err)
	}
	for range steps {
		if _, err := trainer.Step(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if m.loss, err = trainer.Evaluate(context.Background()); err != nil {
		t.Fatal(err)
	}
	s, err := trainer.Snapshot(&train.HostState{})
	if err != nil {
		t.Fatal(err)
	}
	s.RunID, s.Spec, s.SpecHash = "r1", string(config.Canonical(spec)), config.Hash(spec)
	if _, err := checkpoint.Save(m.root, s, 3); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m trained) load(t *testing.T, dir string, batch int) *inference.Trained {
	t.Helper()
	loaded, err := inference.Load(m.be, dir, batch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(loaded.Close)
	return loaded
}

// heldOut shows a source's validation sequences as those to measure on.
type heldOut struct{ shard.Source }

func (h heldOut) Sequences(shard.Split) int { return h.Source.Sequences(shard.Validation) }

func (h heldOut) Fill(_ shard.Split, indices []int, tokens, targets, docStart []int32) int {
	return h.Source.Fill(shard.Validation, indices, tokens, targets, docStart)
}

// The loss of a loaded model is the one that the trainer measured, whatever the
// batch and the number of threads, and wherever the checkpoint is looked for.
func TestLossIsTheTrainers(t *testing.T) {
	for _, set := range [][]string{{"model.mixer=parallax"}, {"model.mixer=softmax", "data.documents=true", "model.tied_head=false"}} {
		m := newTrained(t, set...)
		step := filepath.Join(m.root, checkpoint.Name(steps))
		for batch, dir := range map[int]string{1: step, 2: m.root, 7: filepath.Dir(m.root)} {
			loaded := m.load(t, dir, batch)
			if loaded.Step != steps || loaded.Path != step {
				t.Errorf("from %s it loaded step %d, %s", dir, loaded.Step, loaded.Path)
			}
			told := 0
			loss, err := loaded.Loss(context.Background(), heldOut{m.source}, func(done, total int) { told = done })
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(loss.NatsPerToken-m.loss.Loss) > 1e-6*m.loss.Loss || loss.Tokens != m.loss.Tokens {
				t.Errorf("%v, batches of %d: loss %v over %d tokens, the trainer's is %v over %d", set, batch, loss.NatsPerToken, loss.Tokens, m.loss.Loss, m.loss.Tokens)
			}
			if want := m.source.Sequences(shard.Validation); told != want {
				t.Errorf("progress ended at %d of %d sequences", told, want)
			}
		}
		if m.loss.Loss > 1 {
			t.Errorf("%v: after %d steps the loss is still %v", set, steps, m.loss.Loss)
		}
	}
}

func TestLossIsInterruptible(t *testing.T) {
	m := newTrained(t)
	ended, end := context.WithCancel(context.Background())
	end()
	if _, err := m.load(t, m.root, 2).Loss(ended, m.source, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func sample(t *testing.T, m *inference.Trained, prompt string, how inference.Sampling) string {
	t.Helper()
	var text strings.Builder
	err := m.Sample(context.Background(), prompt, 40, how, func(piece string) error {
		text.WriteString(piece)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestSample(t *testing.T) {
	m := newTrained(t)
	one, four := m.load(t, m.root, 1), m.load(t, m.root, 4)
	prompt := sentence[:9]
	likeliest := sample(t, one, prompt, inference.Sampling{Seed: 1})
	if want := strings.Repeat(sentence, 4)[9:49]; likeliest != want {
		t.Errorf("the likeliest text is %q, want %q", likeliest, want)
	}
	for _, same := range []inference.Sampling{{Seed: 2}, {Temperature: 5, TopK: 1, Seed: 3}, {Temperature: 1e-3, Seed: 4}} {
		if got := sample(t, four, prompt, same); got != likeliest {
			t.Errorf("%+v gives %q, want the likeliest, %q", same, got, likeliest)
		}
	}
	hot := inference.Sampling{Temperature: 3, Seed: 1}
	first := sample(t, one, prompt, hot)
	if again := sample(t, four, prompt, hot); again != first {
		t.Errorf("the same seed gives %q and %q", first, again)
	}
	hot.Seed = 2
	if other := sample(t, one, prompt, hot); other == first {
		t.Errorf("two seeds give %q", other)
	}
	if got := sample(t, one, "", inference.Sampling{Temperature: 1}); len(got) == 0 {
		t.Error("without a prompt nothing comes")
	}
}

func TestSampleEnds(t *testing.T) {
	m := newTrained(t)
	one := m.load(t, m.root, 1)
	full := errors.New("the disk is full")
	if err := one.Sample(context.Background(), "the", 5, inference.Sampling{}, func(string) error { return full }); !errors.Is(err, full) {
		t.Errorf("a failing reader gets %v", err)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if err := one.Sample(ended, "the", 5, inference.Sampling{}, func(string) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted one gets %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	m := newTrained(t)
	step := filepath.Join(m.root, checkpoint.Name(steps))
	refused := func(dir string, words ...string) {
		t.Helper()
		loaded, err := inference.Load(m.be, dir, 1)
		if err == nil {
			loaded.Close()
			t.Fatalf("%s was loaded", dir)
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %q in it", dir, err, w)
			}
		}
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	refused(nowhere, "no checkpoint at "+nowhere)
	empty := t.TempDir()
	refused(empty, empty+" holds no checkpoint", "name a run's folder")
	for _, name := range []string{"a", "b"} {
		if err := os.MkdirAll(filepath.Join(empty, name, "checkpoints"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	refused(empty, "such as "+filepath.Join(empty, "a")+", "+filepath.Join(empty, "b"))
	if err := os.Truncate(filepath.Join(step, "model.safetensors"), 1000); err != nil {
		t.Fatal(err)
	}
	refused(step, step, "model.safetensors is damaged")
	refused(m.root, "no checkpoint in "+m.root, "model.safetensors is damaged")
}
