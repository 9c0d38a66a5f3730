package train

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"parallax/internal/checkpoint"
	"parallax/kernels"
	"parallax/model"
)

// exact is what the reduction sum-exact needs: a gradient that does not depend on
// how many ranks compute it, nor on which one computes which slot.
//
// Every micro-batch's gradient is rounded on its own to integers, and only
// integers are added, on a rank and round the ring. A parameter's integers count
// multiples of 2^(E-bits), where E, its exponent, is shared by all ranks: in the
// step before, the magnitudes in all micro-batches were below 2^(E-headroom).
// Should one in this step not be below 2^E, all ranks see it in the exchange, raise
// E, and compute the step once more. That is how the first step finds its exponents
// too: it begins with the smallest.
type exact struct {
	be     kernels.Backend
	params []model.Param
	bits   int // of a micro-batch's integers: those of all slots add up to 31
	// exponents, by parameter, are part of the replicated state: they change with
	// the parameters, when a step is applied. pass are those of the pass at hand,
	// next those that follow from its magnitudes.
	exponents, pass, next []int32

	sum   kernels.Buffer // I32, as the flat gradient
	peaks kernels.Buffer // I32, by parameter: of this rank's micro-batches

	// Operations by parameter, but for exponent and Accumulate, and where the
	// peaks are read to.
	quantize   []kernels.Quantize
	dequantize []kernels.Dequantize
	hostPeaks  []byte
	magnitudes []float64
}

const (
	// headroom is how many bits a gradient's largest magnitude may grow by from
	// one step to the next. Gains have one more: a gain's gradient is what is left
	// of many terms of both signs, and jumps.
	headroom     = 3
	gainHeadroom = 4
	// Exponents below minExponent are not used: a gradient so small counts as 0
	// in part. Numbers of maxExponent or more are as good as infinite.
	minExponent = -95
	maxExponent = 96
	// exponentsTensor is the exponents' name in a checkpoint.
	exponentsTensor = "exact.exponents"
)

// newExact allocates for the gradients in grads, of a layout, that slots micro-batches
// add to.
func newExact(be kernels.Backend, l model.Layout, grads kernels.Buffer, slots int) (x *exact, err error) {
	x = &exact{be: be, params: l.Params, bits: 31 - bits.Len(uint(slots-1))}
	x.exponents = slices.Repeat([]int32{minExponent}, len(l.Params))
	x.pass, x.next = slices.Clone(x.exponents), slices.Clone(x.exponents)
	if x.sum, err = be.Alloc(kernels.I32, l.Size); err != nil {
		return nil, fmt.Errorf("sum-exact: %w", err)
	}
	if x.peaks, err = be.Alloc(kernels.I32, len(l.Params)); err != nil {
		x.sum.Free()
		return nil, fmt.Errorf("sum-exact: %w", err)
	}
	x.prepare(grads)
	return x, nil
}

// prepare makes the operations once, so that a step allocates nothing.
func (x *exact) prepare(grads kernels.Buffer) {
	x.hostPeaks, x.magnitudes = x.be.HostAlloc(4*len(x.params)), make([]float64, len(x.params))
	for i, p := range x.params {
		sum, g := x.sum.Slice(p.Offset, p.Offset+p.Len()), grads.Slice(p.Offset, p.Offset+p.Len())
		x.quantize = append(x.quantize, kernels.Quantize{Sum: sum, G: g, Peak: x.peaks.Slice(i, i+1)})
		x.dequantize = append(x.dequantize, kernels.Dequantize{G: g, Sum: sum})
	}
}

func (x *exact) free() {
	x.sum.Free()
	x.peaks.Free()
}

// begin starts a step with the exponents of the state.
func (x *exact) begin() { copy(x.pass, x.exponents) }

// clear begins a pass of so many micro-batches on this rank.
func (x *exact) clear(slots int) {
	x.be.Zero(x.peaks)
	if slots == 0 {
		x.be.Zero(x.sum) // else the first slot overwrites it
	}
}

// take adds the gradients of the parameters within [lo, hi), of one micro-batch, to
// the sum, which begins with the first slot, and clears them.
func (x *exact) take(lo, hi int, first bool) {
	for i, p := range x.params {
		if p.Offset < lo || p.Offset >= hi {
			continue
		}
		op := x.quantize[i]
		op.FixedPoint, op.Accumulate = x.scale(i), !first
		x.be.Quantize(op)
	}
}

// restore writes the reduced sum to the gradient.
func (x *exact) restore() {
	for i, op := range x.dequantize {
		op.FixedPoint = x.scale(i)
		x.be.Dequantize(op)
	}
}

func (x *exact) scale(param int) kernels.FixedPoint {
	return kernels.FixedPoint{Bits: x.bits, Exponent: int(x.pass[param])}
}

// readPeaks returns the exponents of this rank's largest magnitudes, until it is called
// again. It waits for the device.
func (x *exact) readPeaks() ([]float64, error) {
	if err := x.be.CopyOut(x.hostPeaks, x.peaks).Wait(); err != nil {
		return nil, err
	}
	for i, peak := range kernels.Cast[int32](x.hostPeaks) {
		x.magnitudes[i] = float64(kernels.PeakExponent(peak))
	}
	return x.magnitudes, nil
}

// judge hears the largest magnitudes of all ranks in a pass, and says whether one
// was beyond its exponent, so that the pass must be made again.
func (x *exact) judge(accounts []account) (beyond bool, err error) {
	for i, e := range x.pass {
		peak := accounts[0].peaks[i]
		for _, a := range accounts[1:] {
			peak = max(peak, a.peaks[i])
		}
		if peak > maxExponent {
			return false, errInfinite
		}
		beyond = beyond || peak > float64(e)
		x.next[i] = x.follow(i, int32(peak))
	}
	return beyond, nil
}

// follow is a parameter's exponent after a pass in which its largest magnitude was
// below 2^peak. It stays where the gradient was zero, and falls by one at most, so
// that magnitudes that go up and down seldom cost a second pass.
func (x *exact) follow(param int, peak int32) int32 {
	e, room := x.pass[param], int32(headroom)
	if x.params[param].Kind == model.Norm {
		room = gainHeadroom
	}
	if peak == kernels.MinPeak {
		return e
	}
	return min(max(peak+room, e-1, minExponent), maxExponent)
}

// raise makes the next pass of the same step one with exponents that fit.
func (x *exact) raise() { copy(x.pass, x.next) }

// apply makes the exponents for the next step part of the state.
func (x *exact) apply() { copy(x.exponents, x.next) }

var (
	errInfinite = errors.New("a gradient is infinite or not a number")
	errFickle   = errors.New("the same micro-batches have a larger gradient the second time: this device does not repeat its results, use another")
)

// tensor is the exponents as a checkpoint holds them: small integers, exact in
// float32.
func (x *exact) tensor() checkpoint.Tensor {
	t := checkpoint.Tensor{Name: exponentsTensor, Shape: []int{len(x.exponents)}}
	for _, e := range x.exponents {
		t.Data = append(t.Data, float32(e))
	}
	return t
}

// load takes the exponents of a checkpoint.
func (x *exact) load(c *checkpoint.Checkpoint) error {
	t := x.tensor()
	if err := c.ReadOptimizer(t.Name, t.Data); err != nil {
		return err
	}
	for i, e := range t.Data {
		if e != float32(int32(e)) {
			return fmt.Errorf("tensor %s has %v for %s: want a whole number", t.Name, e, x.params[i].Name)
		}
		x.exponents[i] = int32(e)
	}
	return x.check(x.exponents)
}

// check says which exponent from elsewhere cannot be one.
func (x *exact) check(exponents []int32) error {
	for i, e := range exponents {
		if e < minExponent || e > maxExponent {
			return fmt.Errorf("%s has %d for %s: want a whole number from %d to %d", exponentsTensor, e, x.params[i].Name, minExponent, maxExponent)
		}
	}
	return nil
}
