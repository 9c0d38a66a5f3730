package coord

import (
	"time"

	"parallax/record"
)

// The keys of a run's states in the ledger.
const (
	stateKey    = "coordinator"
	progressKey = "coordinator progress"
)

// recover finds the state of a run that its coordinator did not bring to an end;
// nil if there is none, or if the run is to begin anew from its newest checkpoint
// with other settings of the cluster.
func (c *Coordinator) recover() (*State, error) {
	if c.recorder.ledger == nil {
		return nil, nil
	}
	run, err := Unfinished(c.recorder.ledger, c.o.RunDir)
	if run == nil || err != nil {
		return nil, err
	}
	s, err := c.recorder.load(run.ID)
	if err != nil || s == nil {
		return nil, err
	}
	differs := s.checkSame(&c.o)
	switch {
	case differs == nil:
		return s, nil
	case c.o.Run != nil && c.o.Run.Resume:
		return nil, nil
	}
	return nil, usage("run %s in %s has not ended, and this is not how it was coordinated: %w; start it as it was, or give --resume to have it begin anew from its newest checkpoint, or choose another --run-dir",
		run.ID, c.o.RunDir, differs)
}

// restoreRun makes the core that goes on with a run.
func (c *Coordinator) restoreRun(s *State) error {
	told, err := c.history.hasView(s.View.GetGeneration())
	if err != nil {
		return err
	}
	c.core = Restore(c.coreConfig(), s)
	c.recorder.goOn(s)
	c.history.base = (s.Restarts + 1) << restartBits
	c.setJob(s.Job.ID)
	c.step(CameBack{told})
	return nil
}

// restartBits part the numbers of events told by a coordinator from those told
// before a crash: whoever has followed the run follows on, and misses nothing.
const restartBits = 32

// Unfinished finds the newest run of a folder that the ledger says goes on, though
// its coordinator may have crashed; nil if there is none.
func Unfinished(l *record.Ledger, dir string) (*record.Run, error) {
	runs, err := l.Runs()
	if err != nil {
		return nil, err
	}
	for _, run := range runs {
		if run.Dir == dir && run.Status == record.Running {
			return &run, nil
		}
	}
	return nil, nil
}

// load reads a run's state; nil if none was kept.
func (r *recorder) load(id string) (*State, error) {
	sealed, found, err := r.ledger.LoadState(id, stateKey)
	if err != nil || !found {
		return nil, err
	}
	progress, _, err := r.ledger.LoadState(id, progressKey)
	if err != nil {
		return nil, err
	}
	s, err := decodeState(sealed, progress)
	if err != nil {
		return nil, usage("the state of run %s in the ledger is damaged: %w; choose another --ledger and --run-dir, or restore the file", id, err)
	}
	if s.Job.ID != id || s.Job.Dir == "" {
		return nil, usage("the state of run %s in the ledger is that of run %s; choose another --ledger and --run-dir, or restore the file", id, s.Job.ID)
	}
	return s, nil
}

// goOn continues the record of a run.
func (r *recorder) goOn(s *State) {
	known, err := r.ledger.Run(s.Job.ID)
	if err != nil { // it was just found
		panic(err)
	}
	r.run, r.steps, r.progress = known, int64(s.Job.Spec.Train.Steps), s.Recorded
	if s.View != nil {
		r.rates.enter(s.View)
	}
}

// keep writes a state; it is on disk when keep returns, with everything before it.
func (r *recorder) keep(s *State) error {
	if r.ledger == nil || r.run.ID == "" {
		return nil
	}
	if s.View == nil && s.Restarts == 0 { // what an earlier part of the run has left
		r.progress = Progress{}
		if err := r.ledger.SaveState(r.run.ID, progressKey, r.progress.encode()); err != nil {
			return err
		}
	}
	return r.ledger.SaveState(r.run.ID, stateKey, s.encode())
}

// recordInterval is how often at most the nodes are told what is on record. Behind
// a crash they report again what is not.
const recordInterval = 200 * time.Millisecond

// acknowledge tells the core, now and then, what is on record.
func (c *Coordinator) acknowledge() {
	defer close(c.acknowledged)
	for {
		select {
		case p := <-c.progressed:
			if err := c.recorder.keepProgress(p); err != nil {
				c.log.Warn("the nodes keep their reports, since they cannot be put on record", "cause", err)
				return
			}
			c.post(Recorded{p.Generation, p.Step})
		case <-c.over:
			return
		}
		select {
		case <-time.After(recordInterval):
		case <-c.over:
			return
		}
	}
}

// keepProgress writes how far the record reaches, and all of the record up to there.
// It may be called while events are appended.
func (r *recorder) keepProgress(p savedProgress) error {
	if p.ledger == nil {
		return nil
	}
	return p.ledger.SaveState(p.run, progressKey, p.encode())
}

// savedProgress is a progress and where to write it.
type savedProgress struct {
	Progress
	ledger *record.Ledger // nil: nowhere
	run    string
}

// tellProgress hands the newest progress to acknowledge, in place of an older one
// that it has not taken.
func (c *Coordinator) tellProgress() {
	p := savedProgress{c.recorder.progress, c.recorder.ledger, c.recorder.run.ID}
	select {
	case <-c.progressed:
	default:
	}
	c.progressed <- p
}
