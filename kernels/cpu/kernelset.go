package cpu

import (
	"fmt"
	"strings"
)

//go:generate go run -C _asm .

// kernelSet is one instruction set's version of the inner loops. The portable
// version is the definition; every other one passes the same tests.
type kernelSet struct {
	key    string // names the set in the environment
	name   string // and to a person
	mr, nr int    // largest block that tile computes at once; nr is two vectors
	tile   func(t *tile)
	engine *engine // or nil: multiplies matrices in parts

	lanes     int // rows, and columns of each of the blocks, that transpose takes
	transpose func(dst []float32, dstStride int, src []float32, srcStride int, blocks int)
	scatter   func(dst []float32, panelStride int, src []float32, panels int)

	dot             func(x, y []float32) float32
	softmax         func(s []float32) (m, sum float32)
	parallaxWeights func(s, t []float32, shift float32) (m, sum, tbar float32)
	softmaxTerms    func(s []float32, stride, n int, m, sum, scale []float32)
	parallaxTerms   func(s, t []float32, stride, n int, shift, m, sum, dot, scale []float32)
	softmaxGrad     func(s, a []float32, stride, n int, lse, tau []float32)
	parallaxGrad    func(s, t, a []float32, stride, n int, lse, tbar, tau, beta []float32)
	parallaxRowGrad func(s, t, a []float32, lse, tbar, tau float32)

	maxInto   func(m, z []float32)
	addExp    func(sum, z, m []float32)
	scaledExp func(z, lse []float32, scale float32)

	addTo         func(y, x []float32)
	scaledProduct func(y, x, gain []float32, r float32)
	normDot       func(dgain, dy, x, gain []float32, r float32) float32
	normApply     func(dx, dy, x, gain, add []float32, a, b float32)
	rotate        func(y, x, cos, sin []float32, sign float32)
	headNorm      func(y, x, gain, angles, rstd []float32, eps float64, next int)
	headNormGrad  func(dx, dy, x, gain, dgain, angles, rstd []float32, nextDY, nextX int)
	swiglu        func(y, gate, up []float32)
	swigluGrad    func(dgate, dup, dy, gate, up []float32)
	adamw         func(p, grad, m, v []float32, s *adamwStep)
	momentum      func(u, m, grad []float32, scale, mu, a, b float32)
	combine       func(y, x, u []float32, a, b float32)
	toBF16        func(dst []uint16, src []float32)
	fromBF16      func(dst []float32, src []uint16)
	quantize      func(sum []int32, g []float32, scale, limit float32) (peak int32)
	dequantize    func(g []float32, sum []int32, unit float32)
}

var portable = kernelSet{
	key: "portable", name: "portable", mr: 4, nr: 16, tile: tilePortable,
	lanes: 1, transpose: transposePortable, scatter: scatterPortable,
	dot: dotPortable, softmax: softmaxPortable, parallaxWeights: parallaxWeightsPortable,
	softmaxTerms: softmaxTermsPortable, parallaxTerms: parallaxTermsPortable,
	softmaxGrad: softmaxGradPortable, parallaxGrad: parallaxGradPortable, parallaxRowGrad: parallaxRowGradPortable,
	maxInto: maxIntoPortable, addExp: addExpPortable, scaledExp: scaledExpPortable, addTo: addToPortable,
	scaledProduct: scaledProductPortable, normDot: normDotPortable, normApply: normApplyPortable,
	rotate: rotatePortable, headNorm: headNormPortable, headNormGrad: headNormGradPortable,
	swiglu: swigluPortable, swigluGrad: swigluGradPortable,
	adamw: adamwPortable, momentum: momentumPortable, combine: combinePortable,
	toBF16: toBF16Portable, fromBF16: fromBF16Portable,
	quantize: quantizePortable, dequantize: dequantizePortable,
}

// availableSets are the kernel sets that this machine can run, the fastest first.
func availableSets() []*kernelSet { return append(vectorSets(), &portable) }

// chooseKernels is the fastest set, or the one that the environment names.
func chooseKernels(override string) (*kernelSet, error) {
	var names []string
	for _, set := range availableSets() {
		if override == "" || override == set.key {
			return set, nil
		}
		names = append(names, set.key)
	}
	return nil, fmt.Errorf("device cpu: %s=%q: this machine has %s", kernelsVariable, override, strings.Join(names, ", "))
}

// kernelsVariable is the environment variable that overrides cpuid.
const kernelsVariable = "PARALLAX_CPU"
