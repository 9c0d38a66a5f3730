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
	return group("data", "Prepare training data", dataPrepareCommand())
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
	p, err := prepare(cmd, corpus.Request{Path: s.Data.Path, Tokenizer: s.Data.Tokenizer, CacheDir: cache})
	if err != nil {
		return err
	}
	defer p.File.Close()
	if _, err := train.Dataset(s, p.File); err != nil {
		return &exitError{exitUsage, err}
	}
	return nil
}

// prepare shows its progress on a terminal.
func prepare(cmd *cobra.Command, r corpus.Request) (*corpus.Prepared, error) {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		r.Progress = func(p corpus.Progress) { fmt.Fprintf(os.Stderr, "\r\x1b[K%s", p) }
		defer fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
	p, err := corpus.Prepare(cmd.Context(), r)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return p, nil
}
