package adder

import "golang.org/x/sys/cpu"

// vectorLoops are the assembly versions that cpuid allows.
func vectorLoops() (all []*loops) {
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512BW {
		all = append(all, &loops{64, addF32AVX512, addI32AVX512, addBF16AVX512, addWideAVX512, narrowAVX512, widenAVX512})
	}
	if cpu.X86.HasAVX2 {
		all = append(all, &loops{32, addF32AVX2, addI32AVX2, addBF16AVX2, addWideAVX2, narrowAVX2, widenAVX2})
	}
	return all
}
