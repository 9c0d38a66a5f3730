package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// Tensor is a named view of host memory.
type Tensor struct {
	Name  string
	Shape []int     // row-major
	Data  []float32 // as many as the shape has; a copy that stays as it is while it is saved
}

// Snapshot is the state of a run after a step. [Save] only reads it, so that it
// can be written in the background while training goes on in other memory.
type Snapshot struct {
	RunID    string
	Spec     string // canonical TOML
	SpecHash string
	Step     int64 // steps applied
	Data     Position
	Config   []byte // config.json
	Model    []Tensor
	// Optimizer may be empty, for a model that is published and not trained on.
	Optimizer []Tensor
}

// Position is the place in the data that the next step begins at.
type Position struct {
	Epoch  int64  `json:"epoch"`
	Sample int64  `json:"sample"` // within the epoch
	Digest string `json:"digest"` // of the data
}

func (s *Snapshot) check() error {
	switch {
	case s.Step < 0:
		return fmt.Errorf("step %d is negative", s.Step)
	case s.RunID == "" || s.Spec == "" || s.SpecHash == "":
		return errors.New("the run's id, specification or specification hash is missing")
	case len(s.Model) == 0:
		return errors.New("the model has no tensors")
	case !json.Valid(s.Config):
		return errors.New("config.json is no JSON")
	}
	return nil
}

// LayoutDigest names a set of tensors by their names and shapes, in order: the
// SHA-256 in hexadecimal. It does not look at the data.
func LayoutDigest(model, optimizer []Tensor) string {
	h := sha256.New()
	for _, group := range [][]Tensor{model, optimizer} {
		for _, t := range group {
			fmt.Fprintf(h, "%q %v\n", t.Name, t.Shape)
		}
		fmt.Fprintln(h)
	}
	return hex.EncodeToString(h.Sum(nil))
}
