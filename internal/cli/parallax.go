package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"parallax/internal/config"
	"parallax/internal/version"
)

// Parallax is the tool that a person types.
func Parallax() *cobra.Command {
	root := newRoot("parallax", "Train language models with Parallax attention on one machine or many")
	root.Long = `Parallax trains language models with Parallax attention and Muon, data-parallel
over any number of hosts, and records what it takes to compare them fairly.

Begin with:  parallax sim        a cluster of four nodes on this machine`
	root.Args = subcommandArgs
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.AddCommand(simCommand(), chaosCommand(), trainCommand(), evalCommand(), sampleCommand(), runsCommand(), compareCommand(), estimateCommand(), verifyCommand(), doctorCommand(), kernelsCommand(), benchCommand(),
		configCommand(), dataCommand(), launchCommand(), certsCommand(), Coordinator(), Node())
	return root
}

// newRoot is what the three binaries have in common.
func newRoot(name, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use:           name,
		Short:         short,
		Version:       version.String(),
		SilenceErrors: true, // Main prints them
		SilenceUsage:  true,
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError("%w%s; see %s --help", err, nearestFlag(cmd, err), cmd.CommandPath())
	})
	return cmd
}

// nearestFlag suggests what a flag that the command does not have may have meant.
func nearestFlag(cmd *cobra.Command, err error) string {
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) {
		return ""
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near := config.Nearest(missing.GetSpecifiedName(), known); near != "" {
		return fmt.Sprintf(" (did you mean --%s?)", near)
	}
	return ""
}

// group is a command that only holds others.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  subcommandArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

func subcommandArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	cmd.SuggestionsMinimumDistance = 2 // letters
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf(" (did you mean %s?)", strings.Join(near, " or "))
	}
	return usageError("%s has no command %q%s; see %s --help", cmd.CommandPath(), args[0], hint, cmd.CommandPath())
}

// exactly checks the number of arguments, naming them.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usageError("%s takes %s, but %d came: %q; see %s --help", cmd.CommandPath(), countOf(names), len(args), args, cmd.CommandPath())
		}
		return nil
	}
}

func countOf(names []string) string {
	switch len(names) {
	case 0:
		return "no arguments"
	case 1:
		return "one argument, " + names[0]
	default:
		return fmt.Sprintf("%d arguments, %v", len(names), names)
	}
}
