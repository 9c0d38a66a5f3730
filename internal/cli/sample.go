package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"parallax/internal/inference"
)

func sampleCommand() *cobra.Command {
	var flags modelFlags
	var prompt string
	var tokens int
	var how inference.Sampling
	cmd := &cobra.Command{
		Use:   "sample",
		Short: "Let a checkpoint's model continue a text",
		Example: `  parallax sample --checkpoint runs/20261123-194946-7f3a --prompt 'func '
  parallax sample --checkpoint runs/20261123-194946-7f3a --temperature 0 --tokens 50`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if how.Temperature < 0 || how.TopK < 0 || tokens < 0 {
				return usageError("--temperature, --top-k and --tokens cannot be negative")
			}
			return flags.with(1, func(t *inference.Trained) error {
				out := cmd.OutOrStdout()
				fmt.Fprint(out, prompt)
				defer fmt.Fprintln(out)
				return t.Sample(cmd.Context(), prompt, tokens, how, func(piece string) error {
					_, err := fmt.Fprint(out, piece)
					return err
				})
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&prompt, "prompt", "", "`text` to continue")
	cmd.Flags().IntVar(&tokens, "tokens", 200, "how many tokens to add")
	cmd.Flags().Float64Var(&how.Temperature, "temperature", 0.8, "below 1 plays safe, 0 always takes the likeliest token")
	cmd.Flags().IntVar(&how.TopK, "top-k", 0, "draw among so many of the likeliest (default: all)")
	cmd.Flags().Uint64Var(&how.Seed, "seed", 1, "of the draw")
	return cmd
}
