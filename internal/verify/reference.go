package verify

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"parallax/internal/safetensors"
	"parallax/kernels"
)

// Reference is a checked file of inputs and expected outputs.
type Reference struct {
	Shape   kernels.AttentionShape // DocStart left out
	Probe   bool                   // r is given: Parallax attention
	tensors map[string][]float64
	docs    []int32 // per position, nil for whole sequences
}

var (
	queryLike = []string{"q", "r", "o", "grad_o", "grad_q", "grad_r"}
	keyLike   = []string{"k", "v", "grad_k", "grad_v"}
)

// Open reads a reference file.
func Open(path string) (*Reference, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &Reference{tensors: map[string][]float64{}}
	for _, read := range []func(*safetensors.File) error{r.readShape, r.readMetadata, r.readTensors} {
		if err := read(f); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return r, nil
}

// readShape takes the sizes from q and k and checks that they can be served.
func (r *Reference) readShape(f *safetensors.File) error {
	q, err := shapeOf(f, "q")
	if err != nil {
		return err
	}
	k, err := shapeOf(f, "k")
	if err != nil {
		return err
	}
	if q[0] != k[0] || q[1] != k[1] || q[3] != k[3] {
		return fmt.Errorf("q is %v and k is %v: batch, length and head size must agree", q, k)
	}
	r.Shape = kernels.AttentionShape{Batch: q[0], SeqLen: q[1], QHeads: q[2], KVHeads: k[2], HeadDim: q[3],
		Scale: 1 / math.Sqrt(float64(q[3]))}
	return r.Shape.Check()
}

func shapeOf(f *safetensors.File, name string) ([]int, error) {
	t, found := f.Lookup(name)
	if !found {
		return nil, fmt.Errorf("tensor %s is missing; a reference has q, k, v, usually r, and the outputs to compare", name)
	}
	if len(t.Shape) != 4 || slices.Min(t.Shape) < 1 {
		return nil, fmt.Errorf("tensor %s has shape %v, want [batch, length, heads, head size]", name, t.Shape)
	}
	return t.Shape, nil
}

func (r *Reference) readMetadata(f *safetensors.File) (err error) {
	meta := f.Metadata()
	if text, given := meta["scale"]; given {
		if r.Shape.Scale, err = strconv.ParseFloat(text, 64); err != nil || math.IsNaN(r.Shape.Scale) || math.IsInf(r.Shape.Scale, 0) {
			return fmt.Errorf("metadata scale %q is not a number", text)
		}
	}
	if text, given := meta["window"]; given {
		if r.Shape.Window, err = strconv.Atoi(text); err != nil || r.Shape.Window < 0 {
			return fmt.Errorf("metadata window %q is not a number of tokens", text)
		}
	}
	if text, given := meta["cu_seqlens"]; given {
		return r.readDocuments(text)
	}
	return nil
}

func (r *Reference) readDocuments(text string) (err error) {
	var cu []int
	for _, field := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil {
			return fmt.Errorf("metadata cu_seqlens: %q is not an integer", field)
		}
		cu = append(cu, n)
	}
	r.docs, err = kernels.DocStarts(cu, r.Shape.Batch, r.Shape.SeqLen)
	return err
}

func (r *Reference) readTensors(f *safetensors.File) error {
	q := []int{r.Shape.Batch, r.Shape.SeqLen, r.Shape.QHeads, r.Shape.HeadDim}
	k := []int{r.Shape.Batch, r.Shape.SeqLen, r.Shape.KVHeads, r.Shape.HeadDim}
	for _, name := range queryLike {
		if err := r.readTensor(f, name, q); err != nil {
			return err
		}
	}
	for _, name := range keyLike {
		if err := r.readTensor(f, name, k); err != nil {
			return err
		}
	}
	_, r.Probe = r.tensors["r"]
	return r.checkComplete()
}

func (r *Reference) readTensor(f *safetensors.File, name string, shape []int) (err error) {
	t, found := f.Lookup(name)
	if !found {
		return nil
	}
	if !slices.Equal(t.Shape, shape) {
		return fmt.Errorf("tensor %s has shape %v, want %v", name, t.Shape, shape)
	}
	r.tensors[name], err = safetensors.ReadAll[float64](f, name)
	return err
}

func (r *Reference) checkComplete() error {
	if r.tensors["v"] == nil {
		return fmt.Errorf("tensor v is missing")
	}
	gradients := 0
	for _, output := range []string{"grad_q", "grad_r", "grad_k", "grad_v"} {
		if r.tensors[output] != nil {
			gradients++
		}
	}
	switch {
	case gradients > 0 && r.tensors["grad_o"] == nil:
		return fmt.Errorf("gradients are given but not grad_o, from which they follow")
	case r.tensors["grad_r"] != nil && !r.Probe:
		return fmt.Errorf("grad_r is given but not r")
	case gradients == 0 && r.tensors["o"] == nil:
		return fmt.Errorf("there is nothing to compare with: neither o nor a gradient is given")
	}
	return nil
}
