package cpu

import "golang.org/x/sys/cpu"

// vectorSets are the assembly versions that cpuid allows.
func vectorSets() (sets []*kernelSet) {
	hasAVX512 := cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasBMI2
	if hasAVX512 && cpu.X86.HasAVX512BW && cpu.X86.HasAMXTile && cpu.X86.HasAMXBF16 && allowAMX() {
		sets = append(sets, amx)
	}
	if hasAVX512 {
		sets = append(sets, &avx512)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2 {
		sets = append(sets, &avx2)
	}
	return sets
}

var avx512 = kernelSet{
	key: "avx512", name: "AVX-512", mr: 12, nr: 32, tile: tileAVX512,
	lanes: 16, transpose: transposeAVX512, scatter: scatterAVX512,
	dot: dotAVX512, softmax: softmaxAVX512, parallaxWeights: parallaxWeightsAVX512,
	softmaxTerms: softmaxTermsAVX512, parallaxTerms: parallaxTermsAVX512,
	softmaxGrad: softmaxGradAVX512, parallaxGrad: parallaxGradAVX512, parallaxRowGrad: parallaxRowGradAVX512,
	maxInto: maxIntoAVX512, addExp: addExpAVX512, scaledExp: scaledExpAVX512, addTo: addToAVX512,
	scaledProduct: scaledProductAVX512, normDot: normDotAVX512, normApply: normApplyAVX512,
	rotate: rotateAVX512, headNorm: headNormAVX512, headNormGrad: headNormGradAVX512,
	swiglu: swigluAVX512, swigluGrad: swigluGradAVX512,
	adamw: adamwAVX512, momentum: momentumAVX512, combine: combineAVX512,
	toBF16: toBF16AVX512, fromBF16: fromBF16AVX512,
	quantize: quantizeAVX512, dequantize: dequantizeAVX512,
}

// amx is avx512 with products on the tile registers.
var amx = func() *kernelSet {
	set := avx512
	set.key, set.name = "amx", "AMX and AVX-512"
	set.engine = &engine{multiply: multiplyPartsAMX, multiplyLeading: multiplyLeadingAMX, split: splitUnitsAMX, rows: splitRowsAMX, pairs: splitPairsAMX}
	return &set
}()

var avx2 = kernelSet{
	key: "avx2", name: "AVX2", mr: 6, nr: 16, tile: tileAVX2,
	lanes: 8, transpose: transposeAVX2, scatter: scatterAVX2,
	dot: dotAVX2, softmax: softmaxAVX2, parallaxWeights: parallaxWeightsAVX2,
	softmaxTerms: softmaxTermsAVX2, parallaxTerms: parallaxTermsAVX2,
	softmaxGrad: softmaxGradAVX2, parallaxGrad: parallaxGradAVX2, parallaxRowGrad: parallaxRowGradAVX2,
	maxInto: maxIntoAVX2, addExp: addExpAVX2, scaledExp: scaledExpAVX2, addTo: addToAVX2,
	scaledProduct: scaledProductAVX2, normDot: normDotAVX2, normApply: normApplyAVX2,
	rotate: rotateAVX2, headNorm: headNormAVX2, headNormGrad: headNormGradAVX2,
	swiglu: swigluAVX2, swigluGrad: swigluGradAVX2,
	adamw: adamwAVX2, momentum: momentumAVX2, combine: combineAVX2,
	toBF16: toBF16AVX2, fromBF16: fromBF16AVX2,
	quantize: quantizeAVX2, dequantize: dequantizeAVX2,
}
