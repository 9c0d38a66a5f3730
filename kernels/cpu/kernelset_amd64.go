package cpu

import "golang.org/x/sys/cpu"

// vectorSets are the assembly versions that cpuid allows.
func vectorSets() (sets []*kernelSet) {
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasBMI2 {
		sets = append(sets, &avx512)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2 {
		sets = append(sets, &avx2)
	}
	return sets
}

var avx512 = kernelSet{
	key: "avx512", name: "AVX-512", mr: 12, nr: 32, tile: tileAVX512,
	dot: dotPortable, softmax: softmaxAVX512, parallaxWeights: parallaxWeightsAVX512,
	softmaxGrad: softmaxGradAVX512, parallaxGrad: parallaxGradAVX512,
	maxInto: maxIntoPortable, addExp: addExpPortable, scaledExp: scaledExpPortable,
	scaledProduct: scaledProductPortable, normGrad: normGradPortable, rotate: rotatePortable,
	swiglu: swigluPortable, swigluGrad: swigluGradPortable,
	adamw: adamwPortable, momentum: momentumPortable, combine: combinePortable,
	toBF16: toBF16Portable, fromBF16: fromBF16Portable,
}

var avx2 = kernelSet{
	key: "avx2", name: "AVX2", mr: 6, nr: 16, tile: tileAVX2,
	dot: dotPortable, softmax: softmaxAVX2, parallaxWeights: parallaxWeightsAVX2,
	softmaxGrad: softmaxGradAVX2, parallaxGrad: parallaxGradAVX2,
	maxInto: maxIntoPortable, addExp: addExpPortable, scaledExp: scaledExpPortable,
	scaledProduct: scaledProductPortable, normGrad: normGradPortable, rotate: rotatePortable,
	swiglu: swigluPortable, swigluGrad: swigluGradPortable,
	adamw: adamwPortable, momentum: momentumPortable, combine: combinePortable,
	toBF16: toBF16Portable, fromBF16: fromBF16Portable,
}
