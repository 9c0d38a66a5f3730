package cli_test

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"parallax/internal/cli"
)

// commandsOf lists a command and all below it that a person can run.
func commandsOf(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			all = append(all, commandsOf(c)...)
		}
	}
	return all
}

func TestHelpOfEveryCommand(t *testing.T) {
	for _, cmd := range commandsOf(cli.Parallax()) {
		usage := cmd.UsageString()
		if cmd.Short == "" || !cmd.HasSubCommands() && !strings.Contains(usage, "\nExamples:\n  ") {
			t.Errorf("%s has no description, or no example", cmd.CommandPath())
		}
		for _, never := range []string{"`", "true|false", "stringArray", "(default all", "(default \""} {
			if strings.Contains(usage, never) {
				t.Errorf("the help of %s shows %q", cmd.CommandPath(), never)
			}
		}
		_, flags, _ := strings.Cut(usage, "\nFlags")
		for line := range strings.Lines(flags) {
			if len(line) > 112 || strings.Count(line, "(default") > 1 {
				t.Errorf("the help of %s has the line %q", cmd.CommandPath(), line)
			}
		}
	}
}

// Help shows how a flag is typed, the kind of its value, and its default once.
func TestHelpOfFlags(t *testing.T) {
	usage := newPlace(t).run("runs", "serve", "--help").want(0).stdout.String()
	for _, line := range []string{
		"Usage:\n  parallax runs serve [flags]\n",
		"\n  -h, --help            help for serve\n",
		"\n      --http HOST:PORT  HOST:PORT of the page, port 0 for a free one, empty for no page (default:\n                        127.0.0.1:8080)\n",
		"\n      --insecure        allow ",
		"\nFlags of all runs commands:\n      --ledger file  SQLite file of the record (default: runs/ledger.db)\n",
	} {
		if !strings.Contains(usage, line) {
			t.Errorf("help lacks %q:\n%s", line, usage)
		}
	}
	if usage := newPlace(t).run("--help").want(0).stdout.String(); strings.Index(usage, "\nTrain:\n") > strings.Index(usage, "\nCheck and measure:\n") ||
		strings.Contains(usage, "--member") {
		t.Errorf("help is\n%s", usage)
	}
}
