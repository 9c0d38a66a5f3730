package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"parallax/kernels"
)

func kernelsCommand() *cobra.Command {
	return group("kernels", "Prepare the kernels of a device", kernelsBuildCommand())
}

// maxHeadDim is the largest head size that may be asked for.
const maxHeadDim = 256

func kernelsBuildCommand() *cobra.Command {
	var device, arch string
	var headDims []int
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Compile the kernels of a device into the cache",
		Long: `build compiles all kernels that models with heads of some sizes use, into the cache where
a run finds them ($PARALLAX_KERNEL_CACHE, or the user's cache folder). A run compiles
what it lacks by itself, at its first step; doing it before saves that time. For GPUs it
needs NVRTC and no GPU, so it can run where an image for GPU hosts is made.`,
		Example: `  parallax kernels build
  parallax kernels build --arch sm_90a --head-dims 64,128
  PARALLAX_KERNEL_CACHE=/image/kernels parallax kernels build --arch sm_80`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if i := slices.IndexFunc(headDims, func(d int) bool { return d < 1 || d > maxHeadDim }); i >= 0 || len(headDims) == 0 {
				return usageError("--head-dims %v: give sizes from 1 to %d, like 64,128", headDims, maxHeadDim)
			}
			return buildKernels(cmd, device, arch, headDims)
		},
	}
	cmd.Flags().StringVar(&device, "device", "cuda", "kind of `device` to compile for")
	cmd.Flags().StringVar(&arch, "arch", "", "`architecture`: sm_80 for an A100, sm_90a for an H100 or H200 (default: that of the GPU here)")
	cmd.Flags().IntSliceVar(&headDims, "head-dims", []int{64, 128}, "head `sizes` of the models to be trained")
	return cmd
}

func buildKernels(cmd *cobra.Command, device, arch string, headDims []int) error {
	t, err := kernels.ToolkitOf(device)
	if err != nil {
		return usageError("nothing to build: %w", err)
	}
	built, n, err := t.Prebuild(arch, headDims)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d kernels for %s, heads of %v, are in the cache\n", n, built, headDims)
	return err
}
