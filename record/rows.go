package record

import (
	"encoding/json"
	"time"
)

// Run is one training run.
type Run struct {
	ID       string // see NewRunID
	Name     string // as the user called it; need not be unique
	Dir      string // where its files lie
	Spec     string // canonical TOML
	SpecHash string
	Commit   string // of the program
	Versions string // of program, language and libraries, for a person
	Host     string // of the coordinator

	Started  time.Time
	Finished time.Time // zero while it runs
	Status   Status
	ExitCode int
	Reason   string // why it ended, one sentence

	Parameters      int64
	FLOPsPerToken   float64 // model FLOPs: forward and backward, no recomputation, causal half
	FLOPsPerToken6N float64 // the 6N + 12 L H D T convention
	DataSummary     string
	DataDigest      string
}

// Status is where a run stands.
type Status string

const (
	Running Status = "running"
	Done    Status = "done"    // all steps
	Stopped Status = "stopped" // somebody ended it
	Failed  Status = "failed"
)

// Rank is who had a rank in a generation.
type Rank struct {
	Generation uint64
	Rank       int
	Node       string
	Host       string
	Device     string
	Slots      int // micro-batches in each step
	Hardware   string
	Peak       float64 // FLOP/s in matrix products, measured when it started; 0: unknown
}

// Step is one optimizer step. Seconds are of the slowest rank, its parts means
// over the ranks.
type Step struct {
	Step       int64 // steps applied after it
	Generation uint64
	World      int     // ranks
	Loss       float64 // nats per token
	GradNorm   float64 // before clipping
	LR         float64
	Tokens     int64
	FLOPs      float64 // model FLOPs
	FLOPs6N    float64
	Seconds    float64
	Compute    float64 // seconds of forward and backward
	Reduce     float64 // seconds in the ring that nothing hid
	Wait       float64 // seconds for data and neighbours
	Update     float64 // seconds of the optimizer

	TokensPerSecond float64
	FLOPsPerSecond  float64 // model FLOPs
	WireBytes       int64   // sent by all ranks
	Time            time.Time
}

// Eval is one measurement of the validation loss.
type Eval struct {
	Step       int64
	Generation uint64
	Loss       float64 // nats per token
	Tokens     int64
	Seconds    float64
	Time       time.Time
}

// Event is something that happened, as a sentence and as data.
type Event struct {
	Sequence int64 // counts up within the run
	Time     time.Time
	Kind     string
	Text     string
	Payload  json.RawMessage // any JSON, or nil
}

// Layer is a look into one layer. NaN is what the layer does not have.
type Layer struct {
	Step       int64 // steps applied to the state that was looked at
	Layer      int   // from 0
	Generation uint64
	Correction float64 // |o - vbar| / |vbar|: the probe's correction beside softmax attention's output
	RankQ      float64 // stable ranks |W|_F^2 / |W|_2^2 of the projections
	RankR      float64
	RankK      float64
	Entropy    float64 // of attention's weights, nats, mean over positions and heads
	FirstToken float64 // attention's weight on a document's first token, likewise
	Time       time.Time
}

// Rate is how fast a rank was, and its link to the next rank, in some steps in a
// row: means over them. NaN is what nobody has told.
type Rate struct {
	Step            int64 // the last of them
	Rank            int
	Generation      uint64
	Steps           int     // how many they were
	TokensPerSecond float64 // while it computed
	LinkBytes       float64 // a step, over the link
	Send            float64 // seconds a step, that the link took for them
	Receive         float64 // seconds a step, that the next rank waited for what had begun to come
	Time            time.Time
}
