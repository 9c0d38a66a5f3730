// Package inference uses a trained model: it loads one from a checkpoint
// (load.go), measures its loss on a source (loss.go) and continues text
// (sample.go). It runs on one device and knows no cluster.
package inference

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"parallax/internal/checkpoint"
	"parallax/internal/config"
	"parallax/internal/train"
	"parallax/kernels"
	"parallax/model"
	"parallax/shard/tokenizer"
)

// Trained is a model from a checkpoint, on a device.
type Trained struct {
	Path      string
	Step      int64
	Skipped   []checkpoint.Refused // newer ones in the folder, which cannot be used
	Spec      config.Spec
	Tokenizer tokenizer.Tokenizer

	be    kernels.Backend
	model *model.Model
	batch model.Batch
}

// Load loads the model of a checkpoint, or of the newest one in a folder of
// them, for micro-batches of batch sequences of the spec's length. The backend
// is borrowed.
func Load(be kernels.Backend, dir string, batch int) (t *Trained, err error) {
	c, skipped, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	t = &Trained{Path: c.Path, Step: c.Step, Skipped: skipped, be: be}
	if t.Spec, err = config.Parse([]byte(c.Spec)); err != nil {
		return nil, fmt.Errorf("%s: its run spec cannot be read: %w", c.Path, err)
	}
	if task := t.Spec.Data.Task; task != "none" {
		return nil, fmt.Errorf("%s: it was trained on the task %s, and knows no text", c.Path, task)
	}
	if t.Tokenizer, err = tokenizer.New(t.Spec.Data.Tokenizer); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	if err := t.build(c, batch); err != nil {
		t.Close()
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	return t, nil
}

// open takes dir itself for a checkpoint, or looks for the newest in it, and lists
// the newer ones that it passed over.
func open(dir string) (found *checkpoint.Checkpoint, skipped []checkpoint.Refused, err error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, nil, fmt.Errorf("there is no checkpoint at %s", dir)
	}
	for _, root := range []string{dir, filepath.Join(dir, "checkpoints")} {
		found, skipped, err := checkpoint.Latest(root, checkpoint.Want{})
		if err == nil && found != nil {
			return found, skipped, nil
		}
		if len(skipped) > 0 {
			return nil, nil, fmt.Errorf("no checkpoint in %s can be used: %s", root, skipped[0])
		}
	}
	if !isCheckpoint(dir) {
		return nil, nil, fmt.Errorf("%s holds no checkpoint: name a run's folder or a checkpoint%s", dir, examples(dir))
	}
	found, err = checkpoint.Load(dir, checkpoint.Want{})
	return found, nil, err
}

// isCheckpoint tells a checkpoint, be it damaged, from another folder.
func isCheckpoint(dir string) bool {
	_, noManifest := os.Stat(filepath.Join(dir, "manifest.json"))
	_, noModel := os.Stat(filepath.Join(dir, "model.safetensors"))
	return noManifest == nil || noModel == nil
}

// examples names some of the runs with checkpoints in dir, if there are any.
func examples(dir string) string {
	runs, _ := filepath.Glob(filepath.Join(dir, "*", "checkpoints"))
	if len(runs) == 0 {
		return ""
	}
	runs = runs[max(0, len(runs)-3):]
	for i, r := range runs {
		runs[i] = filepath.Dir(r)
	}
	return ", such as " + strings.Join(runs, ", ")
}

func (t *Trained) build(c *checkpoint.Checkpoint, batch int) error {
	cfg, err := train.ModelConfig(t.Spec, t.Tokenizer.Vocabulary())
	if err != nil {
		return err
	}
	if t.model, err = model.New(t.be, cfg, batch, t.Spec.Train.SeqLen); err != nil {
		return err
	}
	positions := batch * t.Spec.Train.SeqLen
	for _, b := range []*kernels.Buffer{&t.batch.Tokens, &t.batch.Targets, &t.batch.DocStart} {
		if *b, err = t.be.Alloc(kernels.I32, positions); err != nil {
			return err
		}
	}
	return train.RestoreModel(t.be, t.model, c)
}

// Close frees the model.
func (t *Trained) Close() {
	if t.model != nil {
		t.model.Close()
	}
	for _, b := range []kernels.Buffer{t.batch.Tokens, t.batch.Targets, t.batch.DocStart} {
		if b != nil {
			b.Free()
		}
	}
}

// upload fills the batch on the device. Positions' documents begin at docStart.
func (t *Trained) upload(tokens, targets, docStart []int32) error {
	for _, c := range []struct {
		dst kernels.Buffer
		src []int32
	}{{t.batch.Tokens, tokens}, {t.batch.Targets, targets}, {t.batch.DocStart, docStart}} {
		if err := t.be.CopyIn(c.dst, kernels.Bytes(c.src)).Wait(); err != nil {
			return err
		}
	}
	return nil
}
