package cli

import (
	"errors"
	"fmt"
	"strconv"
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
	addGroup(root, "Train:", simCommand(), compareCommand(), trainCommand(), Coordinator(), Node())
	addGroup(root, "Prepare:", configCommand(), estimateCommand(), dataCommand(), kernelsCommand(), launchCommand(), certsCommand())
	addGroup(root, "Look at runs, and use models:", runsCommand(), sampleCommand(), evalCommand())
	addGroup(root, "Check and measure:", doctorCommand(), verifyCommand(), benchCommand(), chaosCommand())
	return root
}

// addGroup adds commands that help lists together.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, c := range commands {
		c.GroupID = title
	}
	root.AddCommand(commands...)
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
	cmd.SetUsageFunc(printUsage)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError("%s%s; see %s --help", inWords(err), nearestFlag(cmd, err), cmd.CommandPath())
	})
	return cmd
}

// inWords is an error of a flag's, without what Go says of a number that it cannot read.
func inWords(err error) string {
	var number *strconv.NumError
	if !errors.As(err, &number) {
		return err.Error()
	}
	flaw := "must be an integer"
	if errors.Is(number, strconv.ErrRange) {
		flaw = "is out of range"
	}
	return strings.Replace(err.Error(), number.Error(), fmt.Sprintf("%q %s", number.Num, flaw), 1)
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
