package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is how long a line about a flag may be, in characters.
const helpWidth = 110

// printUsage is the part of a command's help below its description. It is laid out
// as cobra's own, but for flags, which are shown as they are typed, with the default
// once, and in lines that fit a terminal.
func printUsage(cmd *cobra.Command) error {
	var b strings.Builder
	line := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		line = cmd.CommandPath() + " COMMAND"
	}
	fmt.Fprintf(&b, "Usage:\n  %s\n", line)
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	for _, g := range cmd.Groups() {
		writeCommands(&b, g.Title, cmd, g.ID)
	}
	others := "Commands:"
	if len(cmd.Groups()) > 0 {
		others = "Other:"
	}
	writeCommands(&b, others, cmd, "")
	writeFlags(&b, "Flags:", cmd.LocalFlags())
	writeFlags(&b, "Flags of all "+parentName(cmd)+" commands:", cmd.InheritedFlags())
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\nMore about each: %s COMMAND --help\n", cmd.CommandPath())
	}
	_, err := io.WriteString(cmd.OutOrStderr(), b.String())
	return err
}

func parentName(cmd *cobra.Command) string {
	if cmd.HasParent() {
		return cmd.Parent().Name()
	}
	return ""
}

// writeCommands lists a group's commands, if it has any.
func writeCommands(w io.Writer, title string, parent *cobra.Command, group string) {
	commands := slices.DeleteFunc(slices.Clone(parent.Commands()), func(c *cobra.Command) bool {
		return c.GroupID != group || !c.IsAvailableCommand() && c.Name() != "help"
	})
	if len(commands) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, c := range commands {
		fmt.Fprintf(w, "  %-*s  %s\n", c.NamePadding(), c.Name(), c.Short)
	}
}

// writeFlags is two columns, how each flag is typed and what it means, if there are
// any.
func writeFlags(w io.Writer, title string, flags *pflag.FlagSet) {
	var shown []*pflag.Flag
	column := 0
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			shown = append(shown, f)
			column = max(column, len(typed(f)))
		}
	})
	if len(shown) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, f := range shown {
		left := typed(f)
		for _, line := range wrap(meaning(f), helpWidth-column-2) {
			fmt.Fprintf(w, "%-*s  %s\n", column, left, line)
			left = ""
		}
	}
}

// typed is a flag as a person types it: "  -n, --nodes int".
func typed(f *pflag.Flag) string {
	short := "    "
	if f.Shorthand != "" {
		short = "-" + f.Shorthand + ", "
	}
	value, _ := pflag.UnquoteUsage(f)
	return strings.TrimRight("  "+short+"--"+f.Name+" "+value, " ")
}

// meaning is what a flag is for, and its default where that says something.
func meaning(f *pflag.Flag) string {
	_, usage := pflag.UnquoteUsage(f)
	standard := strings.Trim(f.DefValue, "[]")
	if whole, isDuration := strings.CutSuffix(standard, "m0s"); isDuration {
		standard = whole + "m"
	}
	told := strings.Contains(usage, "(default: ") || strings.Contains(usage, "(required")
	if told || slices.Contains([]string{"", "0", "0s", "false"}, standard) {
		return usage
	}
	return fmt.Sprintf("%s (default: %s)", usage, standard)
}

// wrap breaks a text into lines of at most width characters, where its words allow.
func wrap(text string, width int) (lines []string) {
	for _, word := range strings.Fields(text) {
		if n := len(lines) - 1; n >= 0 && len(lines[n])+1+len(word) <= width {
			lines[n] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}
