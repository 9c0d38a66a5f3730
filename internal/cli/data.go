package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"parallax/internal/config"
	"parallax/internal/train"
	"parallax/shard/corpus"
	"parallax/shard/tokenizer"
)

func dataCommand() *cobra.Command {
	return group("data", "Prepare training data, and clean its cache", dataPrepareCommand(), dataPruneCommand())
}

func dataPrepareCommand() *cobra.Command {
	var r corpus.Request
	cmd := &cobra.Command{
		Use:   "prepare [FILE|DIR]",
		Short: "Tokenise text into the cache, or check a token file",
		Long: `prepare tokenises a text file or a folder once, into the cache where a run will find
it, and prints where the token file lies. Runs do this by themselves; doing it before
saves the nodes' time. Without an argument it takes the Go installation's source tree.`,
		Example: `  parallax data prepare corpus/ --tokenizer gpt2
  parallax data prepare tokens.bin`,
		Args: atMostOne("a file or a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				r.Path = args[0]
			}
			return prepareData(cmd, r)
		},
	}
	cmd.Flags().StringVar(&r.Tokenizer, "tokenizer", "bytes", "`name` of the tokenizer: "+strings.Join(tokenizer.Names(), ", "))
	addCache(cmd.Flags(), &r.CacheDir)
	return cmd
}

func prepareData(cmd *cobra.Command, r corpus.Request) error {
	p, err := prepare(cmd, r)
	if err != nil {
		return err
	}
	defer p.File.Close()
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", p.Summary(), p.File.Path())
	return err
}

// checkData refuses data that a run cannot use, and leaves what it can use in the
// cache, where its nodes find it.
func checkData(cmd *cobra.Command, s config.Spec, cache string) error {
	progress, done := dataProgress()
	defer done()
	data, err := train.OpenData(cmd.Context(), s, cache, progress)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	data.Close()
	return nil
}

// dataProgress shows on a terminal how far data is prepared, until done is called.
func dataProgress() (show func(corpus.Progress), done func()) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil, func() {}
	}
	return func(p corpus.Progress) { fmt.Fprintf(os.Stderr, "\r\x1b[K%s", p) }, func() { fmt.Fprint(os.Stderr, "\r\x1b[K") }
}

// prepare shows its progress on a terminal.
func prepare(cmd *cobra.Command, r corpus.Request) (*corpus.Prepared, error) {
	var done func()
	r.Progress, done = dataProgress()
	defer done()
	p, err := corpus.Prepare(cmd.Context(), r)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return p, nil
}
