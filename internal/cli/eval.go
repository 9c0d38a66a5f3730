package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"parallax/internal/inference"
	"parallax/shard/corpus"
)

// modelFlags are the flags of commands that use a trained model.
type modelFlags struct {
	deviceFlags
	checkpoint string
}

func (f *modelFlags) add(cmd *cobra.Command) {
	f.deviceFlags.add(cmd.Flags(), "to compute on")
	cmd.Flags().StringVar(&f.checkpoint, "checkpoint", "", "`folder` of a checkpoint, or of a run for its newest one (required)")
	_ = cmd.MarkFlagDirname("checkpoint")
}

// with loads the model, in micro-batches of batch sequences, for use.
func (f *modelFlags) with(batch int, use func(*inference.Trained) error) error {
	if f.checkpoint == "" {
		return usageError("which model? give its folder with --checkpoint")
	}
	be, err := f.open()
	if err != nil {
		return err
	}
	defer be.Close()
	t, err := inference.Load(be, f.checkpoint, batch)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	defer t.Close()
	if len(t.Skipped) > 0 {
		fmt.Fprintf(os.Stderr, "%s; %s is used instead\n", t.Skipped[0], t.Path)
	}
	return use(t)
}

func evalCommand() *cobra.Command {
	var flags modelFlags
	var data, cache string
	var batch int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Measure a checkpoint's loss on a text",
		Long: `eval prints the mean loss in nats per token, and the perplexity, of a checkpoint's
model on all of a text file, folder or token file. Text is tokenised as it was for
training.`,
		Example: `  parallax eval --checkpoint runs/20261123-194946-7f3a --data held-out.txt
  parallax eval --checkpoint model/step-00000060 --data tokens.bin --json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if data == "" {
				return usageError("on which text? give it with --data")
			}
			return flags.with(batch, func(t *inference.Trained) error { return evaluate(cmd, t, data, cache, asJSON) })
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&data, "data", "", "text `file`, folder or token file (required)")
	addCache(cmd.Flags(), &cache)
	cmd.Flags().IntVar(&batch, "batch", 8, "sequences computed at a time")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func evaluate(cmd *cobra.Command, t *inference.Trained, data, cache string, asJSON bool) error {
	p, err := prepare(cmd, corpus.Request{Path: data, Tokenizer: t.Spec.Data.Tokenizer, CacheDir: cache})
	if err != nil {
		return err
	}
	defer p.File.Close()
	source, err := corpus.NewDataset(p.File, corpus.Options{SeqLen: t.Spec.Train.SeqLen,
		Vocabulary: t.Tokenizer.Vocabulary(), Documents: t.Spec.Data.Documents, EndOfText: t.Tokenizer.EndOfText()})
	if err != nil {
		return &exitError{exitUsage, err}
	}
	loss, err := t.Loss(cmd.Context(), source, evalProgress())
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{
			"checkpoint": t.Path, "step": t.Step, "data": data, "data_sha256": p.Manifest.SHA256, "tokens": loss.Tokens,
			"loss": jsonNumber(loss.NatsPerToken), "perplexity": jsonNumber(math.Exp(loss.NatsPerToken))})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s after step %d: %.4f nats per token, perplexity %.3f, over %d tokens of %s\n",
		t.Path, t.Step, loss.NatsPerToken, math.Exp(loss.NatsPerToken), loss.Tokens, data)
	return err
}

// evalProgress counts sequences on a terminal.
func evalProgress() func(done, total int) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	return func(done, total int) {
		fmt.Fprintf(os.Stderr, "\r\x1b[K%d of %d sequences", done, total)
		if done == total {
			fmt.Fprint(os.Stderr, "\r\x1b[K")
		}
	}
}
