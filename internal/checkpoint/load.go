package checkpoint

import (
	"errors"
	"fmt"
	"path/filepath"

	"parallax/internal/safetensors"
)

// Want is what a checkpoint must be to be used. What is left empty is not asked.
type Want struct {
	SpecHash string
	// Explain says how the specification of a checkpoint, canonical TOML, differs
	// from the wanted one: "model.layers is 4, not 6".
	Explain    func(spec string) string
	Layout     string // as of LayoutDigest
	DataDigest string
}

// Checkpoint is a verified checkpoint, open for reading. Close it.
type Checkpoint struct {
	Manifest
	Path string

	model, optimizer *safetensors.File
}

// Load opens the checkpoint in dir after checking all of it, see the package
// comment. The error names the folder and says why it was refused.
func Load(dir string, want Want) (*Checkpoint, error) {
	c, err := load(dir, want)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s is refused: %w", dir, err)
	}
	return c, nil
}

func load(dir string, want Want) (*Checkpoint, error) {
	m, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	if err := want.check(m); err != nil {
		return nil, err
	}
	for _, f := range m.Files {
		if err := f.verify(dir); err != nil {
			return nil, err
		}
	}
	c := &Checkpoint{Manifest: *m, Path: dir}
	if err := c.open(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (w Want) check(m *Manifest) error {
	switch {
	case w.SpecHash != "" && w.SpecHash != m.SpecHash:
		return fmt.Errorf("it is of another specification: %s", w.explain(m))
	case w.Layout != "" && w.Layout != m.Layout:
		return errors.New("its tensors have other names or shapes than this program gives them")
	case w.DataDigest != "" && w.DataDigest != m.Data.Digest:
		return fmt.Errorf("it was trained on other data (digest %.12s, not %.12s)", m.Data.Digest, w.DataDigest)
	}
	return nil
}

func (w Want) explain(m *Manifest) string {
	if w.Explain != nil {
		if s := w.Explain(m.Spec); s != "" {
			return s
		}
	}
	return fmt.Sprintf("its hash is %.12s, not %.12s", m.SpecHash, w.SpecHash)
}

func (c *Checkpoint) open() (err error) {
	if c.model, err = safetensors.Open(filepath.Join(c.Path, modelFile)); err != nil {
		return err
	}
	if c.optimizer, err = safetensors.Open(filepath.Join(c.Path, optimizerFile)); err != nil {
		return err
	}
	if LayoutDigest(c.Model(), c.Optimizer()) != c.Layout {
		return fmt.Errorf("the tensors in its files are not those of %s", manifestFile)
	}
	return nil
}

// Close closes the files.
func (c *Checkpoint) Close() error {
	var errs []error
	for _, f := range []*safetensors.File{c.model, c.optimizer} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// Model lists the parameters, without their data.
func (c *Checkpoint) Model() []Tensor { return describe(c.model) }

// Optimizer lists the optimizer's state, without its data.
func (c *Checkpoint) Optimizer() []Tensor { return describe(c.optimizer) }

func describe(f *safetensors.File) []Tensor {
	var all []Tensor
	for _, t := range f.Tensors() {
		all = append(all, Tensor{Name: t.Name, Shape: t.Shape})
	}
	return all
}

// ReadModel fills dst with a parameter, which must have len(dst) elements.
func (c *Checkpoint) ReadModel(name string, dst []float32) error {
	return safetensors.Read(c.model, name, dst)
}

// ReadOptimizer fills dst with a tensor of the optimizer's state.
func (c *Checkpoint) ReadOptimizer(name string, dst []float32) error {
	return safetensors.Read(c.optimizer, name, dst)
}

// Refused is a checkpoint that was not used, and why.
type Refused struct {
	Path   string
	Reason error
}

// String is the sentence that a person is shown.
func (r Refused) String() string { return r.Reason.Error() }

// Latest opens the newest checkpoint in root that is as wanted, and lists the
// newer ones that it passed over. Without any it returns nil and no error.
func Latest(root string, want Want) (found *Checkpoint, skipped []Refused, err error) {
	all, _, err := folders(root)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot look for checkpoints in %s: %w", root, err)
	}
	for _, f := range all {
		c, err := Load(f.path, want)
		if err == nil && c.Step != f.step {
			err = fmt.Errorf("checkpoint %s is refused: it is of step %d", f.path, c.Step)
			err = errors.Join(err, c.Close())
		}
		if err == nil {
			return c, skipped, nil
		}
		skipped = append(skipped, Refused{Path: f.path, Reason: err})
	}
	return nil, skipped, nil
}
