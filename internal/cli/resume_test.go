package cli_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// damage changes one byte in the middle of a checkpoint's parameters.
func damage(t *testing.T, checkpoint string) {
	t.Helper()
	file := filepath.Join(checkpoint, "model.safetensors")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A damaged checkpoint is passed over, which is said, and the one before it gives
// the same end.
func TestDamagedCheckpoint(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlace(t)
	want := p.sim("2", p.writeRun(50, 20)...)
	state := stateOf(t, want.done.Checkpoint)
	damage(t, want.done.Checkpoint)
	before := filepath.Join(filepath.Dir(want.done.Checkpoint), stepName(40))
	said := p.run("sample", "--checkpoint", filepath.Dir(want.done.Checkpoint), "--tokens", "1").want(0).stderr.String()
	if strings.Count(said, "\n") != 1 || !strings.Contains(said, want.done.Checkpoint+" is refused: model.safetensors is damaged") || !strings.Contains(said, before+" is used instead") {
		t.Errorf("over a damaged checkpoint sample says %q", said)
	}
	h := p.sim("2", "--resume", "--http=", "--json")
	h.notice(t, "passes over a checkpoint: checkpoint "+want.done.Checkpoint+" is refused: model.safetensors is damaged")
	h.notice(t, "resumes from "+before)
	if !slices.ContainsFunc(h.all, func(e event) bool {
		return strings.Contains(e.Reason, "start from step 40; steps 41 to 50 are made again")
	}) {
		t.Error("it does not say that steps are made again")
	}
	if len(h.losses) != 10 || h.losses[50] != want.losses[50] || stateOf(t, h.done.Checkpoint) != state {
		t.Errorf("it made %d steps and ended with loss %v, want 10 and %v, and the same bits", len(h.losses), h.losses[50], want.losses[50])
	}
}

// With all of them damaged nothing is begun anew over them.
func TestAllCheckpointsDamaged(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	want := p.sim("2", p.writeRun(50, 20)...)
	checkpoints := filepath.Dir(want.done.Checkpoint)
	for _, step := range []int64{20, 40, 50} {
		damage(t, filepath.Join(checkpoints, stepName(step)))
	}
	before := p.files()
	h := p.run("sim", "--nodes", "2", "--resume", "--http=", "--json").want(2).told()
	for _, words := range []string{"no checkpoint in " + checkpoints + " can be used", stepName(40), "is damaged", "remove them to begin anew"} {
		if !strings.Contains(h.done.Reason, words) {
			t.Errorf("the reason %q lacks %q", h.done.Reason, words)
		}
	}
	if after := p.files(); after != before {
		t.Errorf("it left %q, there was %q", after, before)
	}
	p.run("sample", "--checkpoint", want.done.Checkpoint).refuses(2, want.done.Checkpoint, "is damaged")
}

// A start that fails, here because the page's port is taken, leaves a folder, which is
// no run to go on with.
func TestResumePassesOverARunThatNeverBegan(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	flags := p.writeRun(5, 0)
	first := p.sim("1", flags...)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p.run(append([]string{"sim", "--nodes", "1"}, append(flags, "--http", taken.Addr().String())...)...).want(2)
	if folders, _ := filepath.Glob(p.path("runs/*/spec.toml")); len(folders) != 2 {
		t.Fatalf("the folders are %v, want two", folders)
	}
	said := p.run("sim", "--nodes", "1", "--resume", "--http=").want(0).stderr.String()
	if run := filepath.Base(filepath.Dir(filepath.Dir(first.done.Checkpoint))); !strings.Contains(said, "going on with run "+run) {
		t.Errorf("it should go on with %s and says %q", run, said)
	}
}

// Settings that no run has are refused with the key that differs.
func TestResumeOtherSettings(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlace(t)
	flags := append([]string{"sim", "--nodes", "1"}, p.writeRun(5, 0)...)
	p.run(flags...).want(0)
	p.run(append(flags, "--resume", "--set", "optimizer.lr=0.5")...).refuses(2, "no run to go on with", "optimizer.lr", "0.5")
}
