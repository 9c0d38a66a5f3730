package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// snapshot is the state after a step of a run with two parameters, which share
// one flat buffer as a model's do.
func snapshot(step int64) Snapshot {
	rng := rand.New(rand.NewPCG(uint64(step), 0))
	flat := make([]float32, 64)
	for i := range flat {
		flat[i] = math.Float32frombits(rng.Uint32()) // NaNs and all
	}
	return Snapshot{
		RunID: "r1", Spec: "seed = 1\n", SpecHash: "aaaa", Step: step,
		Data:      Position{Epoch: 2, Sample: 10 * step, Digest: "dddd"},
		Config:    []byte(`{"model_type":"qwen3"}`),
		Model:     []Tensor{{"model.embed_tokens.weight", []int{4, 8}, flat[:32]}, {"model.norm.weight", []int{8}, flat[48:56]}},
		Optimizer: []Tensor{{"adam_m.model.norm.weight", []int{1, 8}, flat[56:]}},
	}
}

func mustSave(t *testing.T, root string, s Snapshot, keep int) Saved {
	t.Helper()
	saved, err := Save(root, s, keep)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// checkState compares a checkpoint with the snapshot that it was made of, bit by
// bit.
func checkState(t *testing.T, c *Checkpoint, want Snapshot) {
	t.Helper()
	if c.Step != want.Step || c.RunID != want.RunID || c.Spec != want.Spec || c.SpecHash != want.SpecHash || c.Data != want.Data {
		t.Errorf("manifest %+v of snapshot %+v", c.Manifest, want)
	}
	for _, group := range []struct {
		tensors, listed []Tensor
		read            func(string, []float32) error
	}{{want.Model, c.Model(), c.ReadModel}, {want.Optimizer, c.Optimizer(), c.ReadOptimizer}} {
		if LayoutDigest(group.listed, nil) != LayoutDigest(group.tensors, nil) {
			t.Errorf("tensors %v, want %v", group.listed, group.tensors)
		}
		for _, tensor := range group.tensors {
			got := make([]float32, len(tensor.Data))
			if err := group.read(tensor.Name, got); err != nil {
				t.Error(err)
			}
			if !slices.EqualFunc(got, tensor.Data, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
				t.Errorf("%s: %v, want %v", tensor.Name, got, tensor.Data)
			}
		}
	}
}

func TestRoundTripKeepsEveryBit(t *testing.T) {
	root := filepath.Join(t.TempDir(), "run", "checkpoints")
	s := snapshot(50)
	saved := mustSave(t, root, s, 3)
	if want := filepath.Join(root, "step-00000050"); saved.Path != want || saved.Bytes == 0 || saved.Removed != nil {
		t.Errorf("%+v, want path %s", saved, want)
	}
	want := []string{"config.json", "manifest.json", "model.safetensors", "optimizer.safetensors"}
	if diff := cmp.Diff(want, names(t, saved.Path)); diff != "" {
		t.Error(diff)
	}
	c, err := Load(saved.Path, Want{SpecHash: "aaaa", Layout: LayoutDigest(s.Model, s.Optimizer), DataDigest: "dddd"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	checkState(t, c, s)
	if err := c.ReadModel("model.norm.weight", make([]float32, 9)); err == nil {
		t.Error("read 8 elements into 9")
	}
}

func TestKeepLast(t *testing.T) {
	root := t.TempDir()
	for step := int64(10); step <= 40; step += 10 {
		mustSave(t, root, snapshot(step), 2)
	}
	if diff := cmp.Diff([]string{"step-00000030", "step-00000040"}, names(t, root)); diff != "" {
		t.Error(diff)
	}
	saved := mustSave(t, root, snapshot(35), 1)
	if diff := cmp.Diff([]string{"step-00000035", "step-00000040"}, names(t, root)); diff != "" {
		t.Errorf("a later step is not ours to remove: %s", diff)
	}
	if diff := cmp.Diff([]string{filepath.Join(root, "step-00000030")}, saved.Removed); diff != "" {
		t.Error(diff)
	}
}

func TestSameStepAgainReplaces(t *testing.T) {
	root := t.TempDir()
	mustSave(t, root, snapshot(10), 2)
	second := snapshot(10)
	second.RunID = "r2"
	saved := mustSave(t, root, second, 2)
	if diff := cmp.Diff([]string{"step-00000010"}, names(t, root)); diff != "" {
		t.Error(diff)
	}
	c, err := Load(saved.Path, Want{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	checkState(t, c, second)
}

// A writer that dies leaves a temporary folder, or, while it replaces a
// checkpoint, the old one under its other name.
func TestDeadWriter(t *testing.T) {
	root := t.TempDir()
	s := snapshot(10)
	saved := mustSave(t, root, s, 2)
	torn := filepath.Join(root, "step-00000020.tmp-123456")
	if err := os.CopyFS(torn, os.DirFS(saved.Path)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(saved.Path, saved.Path+".replaced"); err != nil {
		t.Fatal(err)
	}

	c, skipped, err := Latest(root, Want{})
	if err != nil || len(skipped) != 0 || c == nil || c.Path != saved.Path+".replaced" {
		t.Fatalf("found %+v, skipped %v, %v", c, skipped, err)
	}
	checkState(t, c, s)
	if err := c.Close(); err != nil {
		t.Error(err)
	}

	mustSave(t, root, snapshot(20), 2)
	if diff := cmp.Diff([]string{"step-00000020"}, names(t, root)); diff != "" {
		t.Error(diff)
	}
}

// damages turn a good checkpoint into a bad one.
var damages = []struct {
	name   string
	damage func(t *testing.T, dir string)
	want   string
}{
	{"a flipped bit in the parameters", flip(modelFile, -1), "model.safetensors is damaged: its checksum is not what it was"},
	{"a flipped bit in a header", flip(optimizerFile, 12), "optimizer.safetensors is damaged: its checksum"},
	{"a flipped bit in config.json", flip(configFile, 3), "config.json is damaged: its checksum"},
	{"truncated parameters", truncate(modelFile, 20), "model.safetensors is damaged: it has 20 bytes, and had"},
	{"empty optimizer", truncate(optimizerFile, 0), "optimizer.safetensors is damaged: it has 0 bytes, and had"},
	{"missing parameters", remove(modelFile), "model.safetensors is missing"},
	{"missing manifest", remove(manifestFile), "manifest.json is missing"},
	{"truncated manifest", truncate(manifestFile, 100), "manifest.json is damaged"},
	{"manifest without its last line", truncate(manifestFile, -1), "manifest.json is damaged: it does not match its checksum"},
	{"a changed step", edit(`"step": 20`, `"step": 21`), "manifest.json is damaged: it does not match its checksum"},
	{"a later format", edit(`"format": 1`, `"format": 2`), "manifest.json has format 2, and this program reads format 1"},
	{"an endless manifest", grow(manifestFile), "manifest.json is over 4194304 bytes long"},
	{"no folder", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)); must(t, os.WriteFile(dir, nil, 0o600)) }, "not a directory"},
	{"another folder's name", rename("step-00000020", "step-00000030"), "it is of step 20"},
	{"a signed manifest that lists a path", resign(func(m *Manifest) { m.Files[0].Name = "../../etc/passwd" }), `manifest.json lists "../../etc/passwd"`},
	{"a signed manifest of fewer files", resign(func(m *Manifest) { m.Files = m.Files[:2] }), "manifest.json lists 2 files, want 3"},
	{"a signed manifest of other tensors", resign(func(m *Manifest) { m.Layout = "0" }), "the tensors in its files are not those of manifest.json"},
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func change(file string, f func([]byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		path := filepath.Join(dir, file)
		data, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(path, f(data), 0o600))
	}
}

func flip(file string, at int) func(*testing.T, string) {
	return change(file, func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 4; return b })
}

func truncate(file string, n int) func(*testing.T, string) {
	return change(file, func(b []byte) []byte {
		if n < 0 {
			return b[:len(b)+n]
		}
		return b[:n]
	})
}

func grow(file string) func(*testing.T, string) {
	return change(file, func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), maxManifest)...) })
}

func edit(old, replacement string) func(*testing.T, string) {
	return change(manifestFile, func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(replacement), 1) })
}

func remove(file string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, file))) }
}

func rename(from, to string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		must(t, os.Rename(dir, strings.Replace(dir, from, to, 1)))
	}
}

// resign changes a manifest as somebody would who knows how to sum it.
func resign(f func(*Manifest)) func(*testing.T, string) {
	return change(manifestFile, func(b []byte) []byte {
		var m Manifest
		if err := json.Unmarshal(b, &m); err != nil {
			panic(err)
		}
		f(&m)
		text, err := m.encode()
		if err != nil {
			panic(err)
		}
		return text
	})
}

func TestDamagedCheckpointIsPassedOver(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			root := t.TempDir()
			good := snapshot(10)
			mustSave(t, root, good, 5)
			d.damage(t, mustSave(t, root, snapshot(20), 5).Path)
			c, skipped, err := Latest(root, Want{SpecHash: "aaaa"})
			must(t, err)
			defer c.Close()
			checkState(t, c, good)
			if len(skipped) != 1 || !strings.Contains(skipped[0].String(), d.want) || !strings.HasPrefix(skipped[0].String(), "checkpoint "+root) {
				t.Errorf("skipped %v, want ...%s...", skipped, d.want)
			}
		})
	}
}

func TestEveryFlippedBitOfAManifestIsSeen(t *testing.T) {
	saved := mustSave(t, t.TempDir(), snapshot(10), 1)
	text, err := os.ReadFile(filepath.Join(saved.Path, manifestFile))
	must(t, err)
	for at := range text {
		text[at] ^= 1 << (at % 8)
		if _, err := parseManifest(text); err == nil {
			t.Fatalf("byte %d changed, and nobody saw it", at)
		}
		text[at] ^= 1 << (at % 8)
	}
	_, err = parseManifest(text)
	must(t, err)
}

func TestForeignCheckpointIsRefused(t *testing.T) {
	root := t.TempDir()
	saved := mustSave(t, root, snapshot(10), 1)
	for _, c := range []struct {
		want   Want
		reason string
	}{
		{Want{SpecHash: "bbbb"}, "it is of another specification: its hash is aaaa, not bbbb"},
		{Want{SpecHash: "bbbb", Explain: func(spec string) string { return fmt.Sprintf("%q is not ours", spec) }}, `it is of another specification: "seed = 1\n" is not ours`},
		{Want{DataDigest: "eeee"}, "it was trained on other data (digest dddd, not eeee)"},
		{Want{Layout: "x"}, "its tensors have other names or shapes than this program gives them"},
	} {
		found, skipped, err := Latest(root, c.want)
		must(t, err)
		if want := "checkpoint " + saved.Path + " is refused: " + c.reason; found != nil || len(skipped) != 1 || skipped[0].String() != want {
			t.Errorf("found %v, skipped %v, want %s", found, skipped, want)
		}
	}
}

func TestNoCheckpoint(t *testing.T) {
	for _, root := range []string{t.TempDir(), filepath.Join(t.TempDir(), "absent")} {
		if c, skipped, err := Latest(root, Want{}); c != nil || skipped != nil || err != nil {
			t.Errorf("%v, %v, %v", c, skipped, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, _, err := Latest(file, Want{}); err == nil || !strings.HasPrefix(err.Error(), "cannot look for checkpoints in "+file) {
		t.Errorf("got %v", err)
	}
}

func TestBadSnapshotLeavesTheOldOne(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Snapshot)
		want  string
	}{
		{"a tensor shorter than its shape", func(s *Snapshot) { s.Optimizer[0].Data = s.Optimizer[0].Data[1:] }, "got 7 elements of F32"},
		{"a name twice", func(s *Snapshot) { s.Model[1].Name = s.Model[0].Name }, "the name is taken"},
		{"no JSON", func(s *Snapshot) { s.Config = []byte("{") }, "config.json is no JSON"},
		{"no model", func(s *Snapshot) { s.Model = nil }, "the model has no tensors"},
		{"negative step", func(s *Snapshot) { s.Step = -1 }, "step -1 is negative"},
		{"no run", func(s *Snapshot) { s.RunID = "" }, "id"},
	} {
		root := t.TempDir()
		old := snapshot(10)
		mustSave(t, root, old, 1)
		s := snapshot(20)
		c.spoil(&s)
		if _, err := Save(root, s, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want ...%s...", c.name, err, c.want)
		}
		assertOnlyOld(t, root, old)
	}
}

func assertOnlyOld(t *testing.T, root string, old Snapshot) {
	t.Helper()
	if diff := cmp.Diff([]string{Name(old.Step)}, names(t, root)); diff != "" {
		t.Error(diff)
	}
	c, _, err := Latest(root, Want{})
	must(t, err)
	defer c.Close()
	checkState(t, c, old)
}

func TestRootIsNoFolder(t *testing.T) {
	root := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(root, nil, 0o600))
	_, err := Save(root, snapshot(1), 1)
	if path := new(fs.PathError); !errors.As(err, &path) || !strings.HasPrefix(err.Error(), "cannot save the checkpoint of step 1 to "+root) {
		t.Errorf("got %v", err)
	}
}

func FuzzManifest(f *testing.F) {
	text, err := Manifest{Format: formatVersion, Files: []FileSum{{Name: modelFile}, {Name: optimizerFile}, {Name: configFile}}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseManifest(text)
		if err != nil {
			return
		}
		if again, err := m.encode(); err != nil || !bytes.Equal(again, text) {
			t.Fatalf("accepted %q, which is not what it writes: %q, %v", text, again, err)
		}
	})
}
