package tensorboard

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"parallax/record"
)

// Export writes a run, found as [record.Ledger.Run] does, into a folder of its
// name under dir, and returns the file. An export of the same run there is
// replaced. Point TensorBoard's --logdir at dir.
func Export(l *record.Ledger, run, dir string) (path string, err error) {
	r, err := l.Run(run)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(dir, r.ID)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("the export needs a folder: %w", err)
	}
	path = filepath.Join(folder, fmt.Sprintf("events.out.tfevents.%d.parallax", r.Started.Unix()))
	f, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("cannot write the export: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriter(f)
	if err := write(l, r, out); err != nil {
		return path, fmt.Errorf("export of run %s to %s: %w", r.ID, path, err)
	}
	return path, out.Flush()
}

func write(l *record.Ledger, r record.Run, w io.Writer) error {
	if err := writeRecord(w, event(r.Started, 0, version, nil)); err != nil {
		return err
	}
	if err := writeText(l, r, w); err != nil {
		return err
	}
	var failed error
	err := l.EachStep(r.ID, func(s record.Step) {
		if failed == nil {
			failed = writeRecord(w, event(s.Time, s.Step, "", stepSummary(s)))
		}
	})
	if err := errors.Join(failed, err); err != nil {
		return err
	}
	evals, err := l.Evals(r.ID)
	if err != nil {
		return err
	}
	for _, e := range evals {
		if err := writeRecord(w, event(e.Time, e.Step, "", scalars(scalar{"loss/validation", e.Loss}))); err != nil {
			return err
		}
	}
	layers, err := l.Layers(r.ID)
	if err != nil {
		return err
	}
	for _, d := range layers {
		if err := writeRecord(w, event(d.Time, d.Step, "", layerSummary(d))); err != nil {
			return err
		}
	}
	return nil
}

// writeText writes what was run, and what happened, as the text of step 0.
func writeText(l *record.Ledger, r record.Run, w io.Writer) error {
	events, err := l.Events(r.ID)
	if err != nil {
		return err
	}
	var happened strings.Builder
	for _, e := range events {
		fmt.Fprintf(&happened, "- %s %s\n", e.Time.UTC().Format("2006-01-02 15:04:05"), e.Text)
	}
	about := fmt.Sprintf("%s\n\n%d parameters, %.6g FLOPs a token, on %s; by %s\n\n", r.ID, r.Parameters, r.FLOPsPerToken, r.DataSummary, r.Versions)
	summary := appendText(nil, "run", about+indented(r.Spec))
	return writeRecord(w, event(r.Started, 0, "", appendText(summary, "events", happened.String())))
}

// indented is text as Markdown's code.
func indented(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
}

type scalar struct {
	tag   string
	value float64
}

func stepSummary(s record.Step) []byte {
	return scalars(
		scalar{"loss/train", s.Loss},
		scalar{"rate/tokens_per_second", s.TokensPerSecond},
		scalar{"rate/flops_per_second", s.FLOPsPerSecond},
		scalar{"step_seconds/whole", s.Seconds},
		scalar{"step_seconds/compute", s.Compute},
		scalar{"step_seconds/ring", s.Reduce},
		scalar{"step_seconds/wait", s.Wait},
		scalar{"step_seconds/update", s.Update},
		scalar{"optimizer/grad_norm", s.GradNorm},
		scalar{"optimizer/learning_rate", s.LR},
		scalar{"ring/wire_bytes", float64(s.WireBytes)},
		scalar{"ring/members", float64(s.World)},
	)
}

// layerSummary leaves out what the layer does not have.
func layerSummary(d record.Layer) []byte {
	var has []scalar
	for _, s := range []scalar{
		{"correction", d.Correction},
		{"stable_rank_q", d.RankQ},
		{"stable_rank_r", d.RankR},
		{"stable_rank_k", d.RankK},
		{"attention_entropy", d.Entropy},
		{"first_token_weight", d.FirstToken},
	} {
		if !math.IsNaN(s.value) {
			has = append(has, scalar{fmt.Sprintf("%s/layer_%02d", s.tag, d.Layer), s.value})
		}
	}
	return scalars(has...)
}

// scalars encodes a Summary.
func scalars(all ...scalar) []byte {
	var summary []byte
	for _, s := range all {
		summary = appendScalar(summary, s.tag, s.value)
	}
	return summary
}
