//go:build cuda

package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"parallax/kernels"
)

// Prebuild compiles the kernels that a model with these head sizes needs, for an
// architecture such as "sm_90a", into the cache, so that the first step does not
// wait for the compiler. It needs NVRTC and no GPU.
func Prebuild(arch string, headDims ...int) error {
	return buildAll(arch, programsFor(arch, headDims...))
}

// programsFor lists what Prebuild compiles.
func programsFor(arch string, headDims ...int) []program {
	all := append(basicPrograms(), headPrograms(headDims)...)
	if arch == "sm_90a" {
		all = append(all, hopperPrograms(headDims)...)
	}
	return all
}

// buildAll compiles programs into the cache.
func buildAll(arch string, all []program) error {
	return onAllCores(all, func(p program) error {
		_, err := p.build(arch)
		return err
	})
}

// onAllCores calls f for each program and joins the errors.
func onAllCores(all []program, f func(program) error) error {
	work := make(chan program)
	errs := make([]error, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			for p := range work {
				errs[i] = errors.Join(errs[i], f(p))
			}
		})
	}
	for _, p := range all {
		work <- p
	}
	close(work)
	group.Wait()
	return errors.Join(errs...)
}

// variants pairs a kernel with each set of macros.
func variants(name string, defines ...string) []program {
	var out []program
	for _, d := range defines {
		out = append(out, program{name, d})
	}
	return out
}

// both writes a macro once off and once on, after each prefix.
func both(name string, prefixes ...string) []string {
	var out []string
	for _, p := range prefixes {
		if p != "" {
			p += " "
		}
		out = append(out, p+flag(name, false), p+flag(name, true))
	}
	return out
}

// basicPrograms are the kernels that do not depend on the head size.
func basicPrograms() []program {
	vec := []string{"VEC=8", "VEC=1"}
	var all []program
	for _, list := range [][]program{
		variants("convert", "DST=float SRC=bf16", "DST=bf16 SRC=float"),
		variants("gemm", both("TRANS_B", both("TRANS_A", "AB=bf16 CD=bf16", "AB=bf16 CD=float", "AB=float CD=float", "AB=float CD=bf16")...)...),
		variants("rmsnorm_forward", vec...), variants("rmsnorm_backward", both("SHARED", both("ADD", vec...)...)...),
		variants("swiglu_forward", vec...), variants("swiglu_backward", vec...), variants("embedding_forward", vec...),
		variants("reduce_rows", ""), variants("embedding_chain", ""), variants("embedding_backward", ""),
		variants("cross_entropy", both("GRAD", "WIDE=1", "WIDE=4")...), variants("sum_squares", "SRC=float", "SRC=bf16"),
		variants("sum_partials", ""), variants("attention_starts", ""), variants("clip_scale", ""), variants("normalize", ""),
		variants("adamw", both("WORK", both("SCALE", "")...)...), variants("momentum", both("NESTEROV", both("SCALE", "")...)...),
		variants("quantize", both("ACCUMULATE", "")...), variants("dequantize", ""),
		variants("update", "WORK=0 SRC=float", "WORK=1 SRC=float", "WORK=0 SRC=bf16", "WORK=1 SRC=bf16"),
	} {
		all = append(all, list...)
	}
	return all
}

// headPrograms are the kernels for some head sizes: rotation and attention, with
// and without probe and first keys.
func headPrograms(dims []int) []program {
	var all []program
	for _, dim := range dims {
		size := fmt.Sprintf("DIM=%d", dim)
		for _, norm := range []bool{false, true} {
			if dim%2 == 0 {
				all = append(all, rotary("rotary_forward", dim, norm), rotary("rotary_backward", dim, norm))
			}
		}
		all = append(all, variants("attention_stats", both("PROBE", size)...)...)
		for i := range 4 {
			plan := planAttention(kernels.AttentionShape{HeadDim: dim, Window: i & 1}, i&2 != 0, dim%8 == 0)
			all = append(all, plan.programs(plan.forward, plan.backwardQ, plan.backwardK)...)
		}
	}
	return all
}

// hopperPrograms are the kernels for Hopper alone, for the head sizes that it has.
func hopperPrograms(dims []int) []program {
	var all []program
	for _, dim := range dims {
		if dim != 64 && dim != 128 {
			continue
		}
		all = append(all, variants("attention_stats_hopper", both("STARTS", both("PROBE", fmt.Sprintf("DIM=%d", dim))...)...)...)
		for i := range 4 {
			plan := planAttention(kernels.AttentionShape{HeadDim: dim, Window: i & 1}, i&2 != 0, true)
			all = append(all, plan.programs(plan.forwardHopper, plan.backwardQHopper, plan.backwardKHopper)...)
		}
	}
	return all
}

func (p attentionPlan) programs(find ...func() (program, int)) []program {
	var all []program
	for _, f := range find {
		q, _ := f()
		all = append(all, q)
	}
	return all
}
