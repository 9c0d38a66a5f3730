package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLayersAndOrigins(t *testing.T) {
	file := writeFile(t, "preset = \"tiny\"\nseed = 7\n\n[model]\nlayers = 3\nwidth = 64\nffn = 96\n[data]\npath = \"a.txt\"\n")
	l, err := Load(Sources{
		Default: "sim",
		File:    file,
		Environ: []string{"HOME=/", "PARALLAX_MODEL_LAYERS=4", "PARALLAX_MODEL_FFN=128", "PARALLAX_COORDINATOR=h:1", "PARALLAX_FAILURE_TIMEOUT=3s"},
		Set:     []string{"model.ffn=160", "model.mixer = softmax", "optimizer.lr=1e-2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key       string
		got, want any
		origin    string
	}{
		{"seed", l.Spec.Seed, uint64(7), file + ":2"},
		{"model.layers", l.Spec.Model.Layers, 4, "environment PARALLAX_MODEL_LAYERS"},
		{"model.width", l.Spec.Model.Width, 64, file + ":6"},
		{"model.ffn", l.Spec.Model.FFN, 160, "--set"},
		{"model.mixer", l.Spec.Model.Mixer, "softmax", "--set"},
		{"model.q_heads", l.Spec.Model.QHeads, 4, "preset tiny"},
		{"model.norm_eps", l.Spec.Model.NormEps, 1e-6, "default"},
		{"optimizer.lr", l.Spec.Optimizer.LR, 0.01, "--set"},
		{"data.path", l.Spec.Data.Path, "a.txt", file + ":9"},
	} {
		if c.got != c.want || l.Origin(c.key) != c.origin {
			t.Errorf("%s = %v from %q, want %v from %q", c.key, c.got, l.Origin(c.key), c.want, c.origin)
		}
	}
	if l.Preset != "tiny" {
		t.Errorf("preset %q, want the file's", l.Preset)
	}
}

func TestEveryValueHasAnOrigin(t *testing.T) {
	l, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range l.Values() {
		if v.Origin != "default" || v.Value == "" || v.Doc == "" {
			t.Errorf("%s = %s from %q, documented as %q", v.Name, v.Value, v.Origin, v.Doc)
		}
	}
}

func TestFileIsStrict(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "[model]\nlayres = 4\n",
			`:2: unknown key model.layres; did you mean model.layers? (the line reads: layres = 4)`},
		{"key without its section", "layers = 4\n",
			`:1: unknown key layers; did you mean model.layers? (the line reads: layers = 4)`},
		{"nothing near", "[model]\nxyzzyplugh = 1\n",
			`:2: unknown key model.xyzzyplugh (the line reads: xyzzyplugh = 1)`},
		{"unknown section", "\n[modle]\nlayers = 4\n",
			`:2: unknown section [modle]; did you mean model? (the line reads: [modle])`},
		{"empty unknown section", "[extras]\n",
			`:1: unknown section [extras] (the line reads: [extras])`},
		{"fraction for an integer", "[model]\nlayers = 1.9 # about two\n",
			`:2: model.layers must be an integer, not 1.9 (the line reads: layers = 1.9 # about two)`},
		{"whole float for an integer", "model.layers = 2.0",
			`:1: model.layers must be an integer, not 2.0 (the line reads: model.layers = 2.0)`},
		{"string for an integer", "[train]\nsteps = \"60\"\n",
			`:2: train.steps must be an integer, not "60" (the line reads: steps = "60")`},
		{"integer for a boolean", "[model]\nqk_norm = 1\n",
			`:2: model.qk_norm must be true or false, not 1 (the line reads: qk_norm = 1)`},
		{"infinite", "[optimizer]\nlr = inf\n",
			`:2: optimizer.lr must be a finite number, not inf (the line reads: lr = inf)`},
		{"negative seed", "seed = -1\n",
			`:1: seed must be an integer from 0 to 2^63-1, not -1 (the line reads: seed = -1)`},
		{"table for a value", "[model.layers]\nx = 1\n",
			`:1: unknown section [model.layers] (the line reads: [model.layers])`},
		{"value for a section", "model = 3\n",
			`:1: unknown key model (the line reads: model = 3)`},
		{"list", "seed = [1]\n",
			`:1: seed must be an integer from 0 to 2^63-1, not a list (the line reads: seed = [1])`},
		{"list of tables", "[[model]]\nlayers = 1\n",
			`:1: model cannot be a list: write [model] (the line reads: [[model]])`},
		{"twice", "[model]\nlayers = 4\nwidth = 8\nlayers = 5\n",
			`:4: model.layers is given twice: first in line 2 (the line reads: layers = 5)`},
		{"twice, dotted", "model.layers = 4\n[model]\nlayers = 5\n",
			`:3: model.layers is given twice: first in line 1 (the line reads: layers = 5)`},
		{"section twice", "[model]\nlayers = 4\n[model]\nwidth = 8\n",
			`:3: [model] is given twice: first in line 1 (the line reads: [model])`},
		{"unknown in an inline table", "model = {layers = 4, wdth = 3}\n",
			`:1: unknown key model.wdth; did you mean model.width? (the line reads: model = {layers = 4, wdth = 3})`},
		{"out of range", "[model]\nlayers = 0\n",
			`model.layers = 0: it must be from 1 to 1024 (from FILE:2)`},
		{"unknown preset", "preset = \"smal\"\n",
			`:1: unknown preset "smal"; did you mean small? the presets are 0.6b, 1.7b, gpt2-124m, quick, shakespeare, sim, small, tiny (the line reads: preset = "smal")`},
		{"preset of a wrong type", "preset = 1\n",
			`:1: preset must be the name of one of 0.6b, 1.7b, gpt2-124m, quick, shakespeare, sim, small, tiny (the line reads: preset = 1)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := writeFile(t, c.text)
			_, err := Load(Sources{File: file})
			want := strings.ReplaceAll(c.want, "FILE", file)
			if strings.HasPrefix(want, ":") {
				want = file + want
			}
			checkRefused(t, err, want)
		})
	}
}

func checkRefused(t *testing.T, err error, want string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.ExitCode() != 2 {
		t.Fatalf("error %v (%T), want an *Error", err, err)
	}
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestSyntaxErrorShowsTheLine(t *testing.T) {
	file := writeFile(t, "[model]\nlayers = = 4\n")
	_, err := Load(Sources{File: file})
	if err == nil || !strings.HasPrefix(err.Error(), file+":2: this is not TOML: ") || !strings.HasSuffix(err.Error(), "(the line reads: layers = = 4)") {
		t.Errorf("got %v", err)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := Load(Sources{File: filepath.Join(t.TempDir(), "absent.toml")})
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "cannot read the config file: ") || !strings.HasSuffix(err.Error(), "; write one to begin with: parallax config presets small > FILE") {
		t.Errorf("got %v", err)
	}
}

func TestInlineTable(t *testing.T) {
	l, err := Load(Sources{File: writeFile(t, "model = {layers = 4}\n")})
	if err != nil || l.Spec.Model.Layers != 4 {
		t.Errorf("layers %v, error %v", l, err)
	}
}

func TestPresetsMustAgree(t *testing.T) {
	file := writeFile(t, "preset = \"tiny\"\n")
	_, err := Load(Sources{Preset: "small", File: file})
	checkRefused(t, err, file+`:1: the file builds on preset "tiny", but preset "small" was asked for: give one of them (the line reads: preset = "tiny")`)
	if _, err := Load(Sources{Preset: "tiny", File: file}); err != nil {
		t.Error(err)
	}
}

func TestSetAndEnvironmentAreStrict(t *testing.T) {
	for _, c := range []struct {
		src  Sources
		want string
	}{
		{Sources{Set: []string{"model.layrs=4"}}, `--set model.layrs=4: unknown key model.layrs; did you mean model.layers?`},
		{Sources{Set: []string{"train.sequence=3"}}, `--set train.sequence=3: unknown key train.sequence; did you mean train.seq_len?`},
		{Sources{Set: []string{"train.sxyzzyplugh=3"}}, `--set train.sxyzzyplugh=3: unknown key train.sxyzzyplugh`},
		{Sources{Flags: []Flag{{"--steps", "train.steps", "x"}}}, `--steps x: train.steps must be an integer, not x`},
		{Sources{Set: []string{"model.layers=1.9"}}, `--set model.layers=1.9: model.layers must be an integer, not 1.9`},
		{Sources{Set: []string{"model.layers=4x"}}, `--set model.layers=4x: model.layers must be an integer, not 4x`},
		{Sources{Set: []string{"model.layers"}}, `--set model.layers: write --set key=value`},
		{Sources{Set: []string{"model.qk_norm=yes"}}, `--set model.qk_norm=yes: model.qk_norm must be true or false, not yes`},
		{Sources{Set: []string{"optimizer.lr=NaN"}}, `--set optimizer.lr=NaN: optimizer.lr must be a finite number, not NaN`},
		{Sources{Set: []string{"seed=-3"}}, `--set seed=-3: seed must be an integer from 0 to 2^63-1, not -3`},
		{Sources{Set: []string{"preset=tiny"}}, `--set preset=tiny: unknown key preset`},
		{Sources{Environ: []string{"PARALLAX_MODEL_LAYRES=4"}}, `environment: unknown variable PARALLAX_MODEL_LAYRES; did you mean PARALLAX_MODEL_LAYERS?`},
		{Sources{Environ: []string{"PARALLAX_MODLE_LAYERS=4"}}, `environment: unknown variable PARALLAX_MODLE_LAYERS; did you mean PARALLAX_MODEL_LAYERS?`},
		{Sources{Environ: []string{"PARALLAX_TRAIN_STEPS=many"}}, `environment: PARALLAX_TRAIN_STEPS=many: train.steps must be an integer, not many`},
		{Sources{Preset: "huge"}, `unknown preset "huge": the presets are 0.6b, 1.7b, gpt2-124m, quick, shakespeare, sim, small, tiny`},
	} {
		_, err := Load(c.src)
		checkRefused(t, err, c.want)
	}
}

func TestDaemonVariablesAreNotTheSpecs(t *testing.T) {
	environ := []string{"PARALLAX_COORDINATOR=x", "PARALLAX_DATA=y", "PARALLAX_SPEED=1", "PARALLAX_TRACE_FILE=z", "PARALLAX=1", "LAYERS=3"}
	if _, err := Load(Sources{Environ: environ}); err != nil {
		t.Error(err)
	}
}
