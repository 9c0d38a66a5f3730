package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"parallax/internal/safetensors"
)

// Saved is what [Save] did.
type Saved struct {
	Path    string
	Bytes   int64    // of all its files but the manifest
	Removed []string // older checkpoints
}

// Save writes a snapshot to root/step-00000050, replacing one of that step, and
// then removes all but the last keep (at least 1). When it fails, the
// checkpoints that were there still are, and no part of the new one is; except
// that an error of removing an old one comes with the new one's path.
func Save(root string, s Snapshot, keep int) (Saved, error) {
	saved, err := save(root, s, max(keep, 1))
	if err != nil {
		return saved, fmt.Errorf("cannot save the checkpoint of step %d to %s: %w", s.Step, root, err)
	}
	return saved, nil
}

func save(root string, s Snapshot, keep int) (Saved, error) {
	if err := s.check(); err != nil {
		return Saved{}, err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return Saved{}, err
	}
	if err := removeLeftovers(root); err != nil {
		return Saved{}, err
	}
	tmp, err := os.MkdirTemp(root, Name(s.Step)+".tmp-")
	if err != nil {
		return Saved{}, err
	}
	bytes, err := s.write(tmp)
	path := filepath.Join(root, Name(s.Step))
	if err == nil {
		err = publish(root, tmp, path)
	}
	if err != nil {
		return Saved{}, errors.Join(err, os.RemoveAll(tmp))
	}
	removed, err := prune(root, s.Step, keep)
	return Saved{Path: path, Bytes: bytes, Removed: removed}, err
}

func removeLeftovers(root string) error {
	_, leftovers, err := folders(root)
	if err != nil {
		return err
	}
	for _, path := range leftovers {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// write fills a folder and syncs it.
func (s *Snapshot) write(dir string) (bytes int64, err error) {
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}
	m := Manifest{
		Format: formatVersion, RunID: s.RunID, Step: s.Step, SpecHash: s.SpecHash, Spec: s.Spec,
		Data: s.Data, SavedAt: time.Now().UTC().Truncate(time.Millisecond), Layout: LayoutDigest(s.Model, s.Optimizer),
	}
	for _, name := range payload {
		sum, err := s.writeFile(dir, name)
		if err != nil {
			return 0, err
		}
		m.Files = append(m.Files, sum)
		bytes += sum.Bytes
	}
	text, err := m.encode()
	if err != nil {
		return 0, err
	}
	if err := renameio.WriteFile(filepath.Join(dir, manifestFile), text, 0o644); err != nil {
		return 0, err
	}
	return bytes, syncFolder(dir)
}

func (s *Snapshot) writeFile(dir, name string) (FileSum, error) {
	path := filepath.Join(dir, name)
	switch name {
	case modelFile:
		return writeTensors(path, s.Model)
	case optimizerFile:
		return writeTensors(path, s.Optimizer)
	}
	sum := sha256.Sum256(s.Config)
	err := renameio.WriteFile(path, s.Config, 0o644)
	return FileSum{Name: name, Bytes: int64(len(s.Config)), SHA256: hex.EncodeToString(sum[:])}, err
}

// torchFormat marks the layout of the matrices, [outputs, inputs]; transformers
// wants to see it.
var torchFormat = map[string]string{"format": "pt"}

func writeTensors(path string, tensors []Tensor) (FileSum, error) {
	declared := make([]safetensors.Tensor, len(tensors))
	for i, t := range tensors {
		declared[i] = safetensors.Tensor{Name: t.Name, DType: safetensors.F32, Shape: t.Shape}
	}
	sum, err := safetensors.WriteFile(path, declared, torchFormat, func(w *safetensors.Writer) error {
		for _, t := range tensors {
			if err := safetensors.Write(w, t.Name, t.Data); err != nil {
				return err
			}
		}
		return nil
	})
	return FileSum{Name: filepath.Base(path), Bytes: sum.Bytes, SHA256: sum.SHA256}, err
}

// publish gives a complete folder its final name. One that already has the name
// is moved aside, under a name that [Latest] knows too, so that there is no
// moment without either.
func publish(root, tmp, path string) error {
	aside := path + replacedSuffix
	if _, err := os.Lstat(path); err == nil {
		if err := os.RemoveAll(aside); err != nil {
			return err
		}
		if err := os.Rename(path, aside); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncFolder(root)
}
