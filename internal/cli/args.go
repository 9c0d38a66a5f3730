package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// What may stand on a command's line besides its flags. Whatever is refused is a
// [usageError].

// subcommandArgs refuses what is no command of a group.
func subcommandArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "there are " + strings.Join(commandsOf(cmd), ", ")
	cmd.SuggestionsMinimumDistance = min(2, max(1, len(args[0])/2)) // letters: of three, two make another name
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %s?", strings.Join(near, " or "))
	}
	return usageError("%s has no command %q (%s); see %s --help", cmd.Name(), args[0], hint, cmd.CommandPath())
}

// commandsOf are the names of a group's commands.
func commandsOf(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// exactly checks the number of arguments, naming them.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return wrongArgs(cmd, countOf(names), args)
		}
		return nil
	}
}

// atMostOne checks that there is no more than one argument, of that name.
func atMostOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return wrongArgs(cmd, "at most one argument, "+name, args)
		}
		return nil
	}
}

// oneOf checks that there is one argument, which is one of the words.
func oneOf(words ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 || !slices.Contains(words, args[0]) {
			return wrongArgs(cmd, "one argument, "+strings.Join(words, " or "), args)
		}
		return nil
	}
}

func wrongArgs(cmd *cobra.Command, want string, args []string) error {
	came := "none came"
	if len(args) > 0 {
		came = fmt.Sprintf("%d came: %s", len(args), quoted(args))
	}
	return usageError("%s takes %s, but %s; see %s --help", cmd.Name(), want, came, cmd.CommandPath())
}

// quoted are arguments as they were typed, each in quotes.
func quoted(args []string) string {
	var each []string
	for _, arg := range args {
		each = append(each, strconv.Quote(arg))
	}
	return strings.Join(each, " ")
}

func countOf(names []string) string {
	switch len(names) {
	case 0:
		return "no arguments"
	case 1:
		return "one argument, " + names[0]
	default:
		return fmt.Sprintf("%d arguments, %s", len(names), strings.Join(names, " and "))
	}
}
