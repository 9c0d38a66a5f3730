package agent

import (
	"path/filepath"
	"strings"
	"time"

	"parallax/internal/checkpoint"
	"parallax/internal/config"
	"parallax/internal/train"
	pb "parallax/proto/parallax/v1"
)

// saver writes checkpoints in the background, one at a time, and finds the
// newest one again.
type saver struct {
	welcome    *pb.Welcome
	spec       config.Spec
	dataDigest string
	tell       func(*pb.NodeMessage)

	memory  train.HostState // of the snapshot that is written
	writing chan error      // the write under way, nil without one
}

func newSaver(w *pb.Welcome, spec config.Spec, dataDigest string, tell func(*pb.NodeMessage)) *saver {
	return &saver{welcome: w, spec: spec, dataDigest: dataDigest, tell: tell}
}

func (s *saver) root() string {
	return filepath.Join(s.welcome.GetCluster().GetRunDir(), "checkpoints")
}

// save copies the trainer's state and begins to write it. The coordinator is
// told how it went.
func (s *saver) save(t *train.Trainer) {
	_ = s.wait() // it was reported
	began := time.Now()
	snapshot, err := t.Snapshot(&s.memory)
	if err != nil {
		s.report(t.Applied(), checkpoint.Saved{}, began, err)
		s.writing = make(chan error, 1)
		s.writing <- err
		return
	}
	snapshot.RunID, snapshot.Spec, snapshot.SpecHash = s.welcome.RunId, s.welcome.SpecToml, s.welcome.SpecHash
	snapshot.Data.Digest = s.dataDigest
	writing := make(chan error, 1)
	s.writing = writing
	go func() {
		saved, err := checkpoint.Save(s.root(), snapshot, s.spec.Checkpoint.Keep)
		s.report(snapshot.Step, saved, began, err)
		if err != nil {
			err = unwritten(err)
		}
		writing <- err
	}()
}

// unwritten has the end of a run say what is to be done about a checkpoint that
// could not be written. Started again unchanged, it would come to the same end.
func unwritten(err error) error {
	return usage("%w; first make room there, or mend its rights", err)
}

// wait waits for the write under way, and returns its error.
func (s *saver) wait() error {
	if s.writing == nil {
		return nil
	}
	err := <-s.writing
	s.writing = nil
	return err
}

func (s *saver) report(step int64, saved checkpoint.Saved, began time.Time, err error) {
	r := &pb.CheckpointReport{Step: step, Path: saved.Path, Seconds: time.Since(began).Seconds(), Bytes: saved.Bytes}
	if err != nil {
		r.Error = err.Error()
	}
	s.tell(&pb.NodeMessage{Kind: &pb.NodeMessage_Checkpoint{Checkpoint: r}})
}

// restoreNewest loads the newest checkpoint that is whole and of this run, if it has
// more steps than t. It returns its path, or "" if there is none, and a sentence for
// each one that was passed over.
func (s *saver) restoreNewest(t *train.Trainer) (path string, skipped []string, err error) {
	found, refused, err := checkpoint.Latest(s.root(), s.want(t))
	if err != nil {
		return "", nil, err
	}
	for _, r := range refused {
		skipped = append(skipped, r.String())
	}
	if found == nil {
		return "", skipped, nil
	}
	defer found.Close()
	if found.Step <= t.Applied() {
		return "", nil, nil
	}
	return found.Path, skipped, t.Restore(found)
}

// has reports whether there is a checkpoint of t's step, or a later one.
func (s *saver) has(t *train.Trainer) bool {
	found, _, err := checkpoint.Latest(s.root(), s.want(t))
	if err != nil || found == nil {
		return false
	}
	defer found.Close()
	return found.Step >= t.Applied()
}

// want is what a checkpoint of this run must have.
func (s *saver) want(t *train.Trainer) checkpoint.Want {
	return checkpoint.Want{SpecHash: s.welcome.SpecHash, Explain: s.explain, Layout: t.Layout(), DataDigest: s.dataDigest}
}

// explain says how another checkpoint's spec differs from ours.
func (s *saver) explain(other string) string {
	theirs, err := config.Parse([]byte(other))
	if err != nil {
		return err.Error()
	}
	var differences []string
	for _, d := range config.Diff(theirs, s.spec) {
		differences = append(differences, d.String())
	}
	return strings.Join(differences, "; ")
}
