package coord

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"parallax/internal/config"
	pb "parallax/proto/parallax/v1"
)

// State is what a coordinator must still know when it comes back from a crash. It
// is written before anybody is told of what has changed in it, so that no node
// knows a view that the coordinator could forget.
type State struct {
	Config   Config // but for the gossip cluster, which a coordinator forms anew
	Job      Job
	Restarts int64          // how often it has come back
	View     *pb.View       // the newest; nil: none was made
	Facts    *pb.Ready      // what the first node said of model and data; nil with View
	Began    int64          // the step at which the first view began
	Started  time.Time      // of the first view, by the wall's clock
	Stop     *StopRequested // the order to end the run; nil: none
	Recorded Progress       // how far the record reaches; written on its own, and more often
}

// Progress is how far the record of a run reaches. What lies behind it has to be
// reported once more after a crash.
type Progress struct {
	Generation uint64
	Step       int64
	Last       *pb.StepSummary      // nil: none
	Evaluation *pb.EvalReport       // the newest; nil: none
	Checkpoint *pb.CheckpointReport // the newest that was written; nil: none
	LookedAt   int64                // the step of the newest diagnosis, 0: none
}

// add notes an event that is told.
func (p *Progress) add(e *pb.RunEvent) {
	switch kind := e.Kind.(type) {
	case *pb.RunEvent_Step:
		p.Generation, p.Step, p.Last = kind.Step.Generation, kind.Step.Step, kind.Step
	case *pb.RunEvent_Eval:
		p.Evaluation = kind.Eval
	case *pb.RunEvent_Diagnosis:
		p.LookedAt = kind.Diagnosis.Step
	case *pb.RunEvent_Checkpoint:
		if kind.Checkpoint.Error == "" {
			p.Checkpoint = kind.Checkpoint
		}
	}
}

// storedState is a State as it lies in the ledger.
type storedState struct {
	Version        int
	Nodes          int
	MinNodes       int
	JoinTimeout    time.Duration
	QuorumTimeout  time.Duration
	FailureTimeout time.Duration
	Run            storedRun
	Restarts       int64
	View           json.RawMessage `json:",omitempty"`
	Facts          json.RawMessage `json:",omitempty"`
	Began          int64
	Started        time.Time
	Stop           *StopRequested `json:",omitempty"`
}

type storedRun struct {
	ID, Name, Dir, Spec string
	Resume              bool
}

type storedProgress struct {
	Version    int
	Generation uint64
	Step       int64
	LookedAt   int64
	Last       json.RawMessage `json:",omitempty"`
	Evaluation json.RawMessage `json:",omitempty"`
	Checkpoint json.RawMessage `json:",omitempty"`
}

// stateVersion tells the formats of stored states apart.
const stateVersion = 1

// encode writes all but Recorded.
func (s *State) encode() []byte {
	stored := storedState{
		Version: stateVersion, Nodes: s.Config.Nodes, MinNodes: s.Config.MinNodes, JoinTimeout: s.Config.JoinTimeout,
		QuorumTimeout: s.Config.QuorumTimeout, FailureTimeout: s.Config.FailureTimeout,
		Run:      storedRun{s.Job.ID, s.Job.Name, s.Job.Dir, string(config.Canonical(s.Job.Spec)), s.Job.Resume},
		Restarts: s.Restarts, Began: s.Began, Started: s.Started.Round(0), Stop: s.Stop,
	}
	if s.View != nil {
		stored.View, stored.Facts = encodeProto(s.View), encodeProto(s.Facts)
	}
	return seal(stored)
}

func (p *Progress) encode() []byte {
	stored := storedProgress{Version: stateVersion, Generation: p.Generation, Step: p.Step, LookedAt: p.LookedAt}
	if p.Last != nil {
		stored.Last = encodeProto(p.Last)
	}
	if p.Evaluation != nil {
		stored.Evaluation = encodeProto(p.Evaluation)
	}
	if p.Checkpoint != nil {
		stored.Checkpoint = encodeProto(p.Checkpoint)
	}
	return seal(stored)
}

func encodeProto(m proto.Message) json.RawMessage {
	text, err := protojson.Marshal(m)
	if err != nil {
		panic(err) // our own message, of valid strings
	}
	return text
}

// seal writes v as JSON behind a line with its SHA-256.
func seal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own struct; its numbers were checked when they came in
	}
	sum := sha256.Sum256(text)
	return append([]byte(hex.EncodeToString(sum[:])+"\n"), text...)
}

// unseal reads what seal wrote, all of it and nothing else.
func unseal(sealed []byte, into any) error {
	sum, text, found := bytes.Cut(sealed, []byte("\n"))
	if !found {
		return errors.New("it is cut off")
	}
	if want := sha256.Sum256(text); hex.EncodeToString(want[:]) != string(sum) {
		return errors.New("it does not match its checksum")
	}
	var version struct{ Version int }
	if err := json.Unmarshal(text, &version); err != nil {
		return err
	}
	if version.Version != stateVersion {
		return fmt.Errorf("it has version %d and this program knows version %d: use the program that wrote it", version.Version, stateVersion)
	}
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	return strict.Decode(into)
}

// decodeState reads what State.encode and Progress.encode wrote, and checks it.
func decodeState(sealed, progress []byte) (*State, error) {
	var stored storedState
	if err := unseal(sealed, &stored); err != nil {
		return nil, err
	}
	spec, err := config.Parse([]byte(stored.Run.Spec))
	if err != nil {
		return nil, fmt.Errorf("its spec cannot be read: %w", err)
	}
	s := &State{
		Config: Config{Nodes: stored.Nodes, MinNodes: stored.MinNodes, JoinTimeout: stored.JoinTimeout,
			QuorumTimeout: stored.QuorumTimeout, FailureTimeout: stored.FailureTimeout},
		Job:      Job{Submission{stored.Run.Name, stored.Run.Resume, spec}, stored.Run.ID, stored.Run.Dir},
		Restarts: stored.Restarts, Began: stored.Began, Started: stored.Started, Stop: stored.Stop,
	}
	if stored.View != nil {
		s.View, s.Facts = new(pb.View), new(pb.Ready)
		if err := errors.Join(protojson.Unmarshal(stored.View, s.View), protojson.Unmarshal(stored.Facts, s.Facts)); err != nil {
			return nil, err
		}
	}
	if s.Recorded, err = decodeProgress(progress); err != nil {
		return nil, err
	}
	return s, s.check()
}

func decodeProgress(sealed []byte) (p Progress, err error) {
	if len(sealed) == 0 {
		return p, nil
	}
	var stored storedProgress
	if err := unseal(sealed, &stored); err != nil {
		return p, fmt.Errorf("its progress: %w", err)
	}
	p = Progress{Generation: stored.Generation, Step: stored.Step, LookedAt: stored.LookedAt}
	if stored.Last != nil {
		p.Last = new(pb.StepSummary)
		err = protojson.Unmarshal(stored.Last, p.Last)
	}
	if stored.Evaluation != nil && err == nil {
		p.Evaluation = new(pb.EvalReport)
		err = protojson.Unmarshal(stored.Evaluation, p.Evaluation)
	}
	if stored.Checkpoint != nil && err == nil {
		p.Checkpoint = new(pb.CheckpointReport)
		err = protojson.Unmarshal(stored.Checkpoint, p.Checkpoint)
	}
	return p, err
}

// checkSame says in what a coordinator that comes back differs from the one that
// crashed.
func (s *State) checkSame(o *Options) error {
	if o.Run != nil {
		if diffs := config.Diff(s.Job.Spec, o.Run.Spec); len(diffs) > 0 {
			d := diffs[0]
			return fmt.Errorf("%s is %s there and %s here", d.Key, d.A, d.B)
		}
	}
	if o.RunID != "" && o.RunID != s.Job.ID {
		return fmt.Errorf("--run-id is %s there and %s here", s.Job.ID, o.RunID)
	}
	ours := o.coreConfig()
	for _, flag := range []struct {
		name        string
		there, here any
	}{
		{"--nodes", s.Config.Nodes, ours.Nodes},
		{"--min-nodes", s.Config.MinNodes, ours.MinNodes},
		{"--join-timeout", s.Config.JoinTimeout, ours.JoinTimeout},
		{"--quorum-timeout", s.Config.QuorumTimeout, ours.QuorumTimeout},
		{"--failure-timeout", s.Config.FailureTimeout, ours.FailureTimeout},
	} {
		if flag.there != flag.here {
			return fmt.Errorf("%s is %v there and %v here", flag.name, flag.there, flag.here)
		}
	}
	return nil
}
