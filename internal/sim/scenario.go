package sim

import (
	"time"

	"parallax/internal/config"
)

// Scenario is a run and what goes wrong in it.
type Scenario struct {
	Spec     config.Spec
	Nodes    int
	MinNodes int // 0: Nodes
	Faults   []Fault
	Seed     uint64 // of latencies and computing times

	FailureTimeout time.Duration
	QuorumTimeout  time.Duration // see coord.Options

	Dir   string // an empty folder, for checkpoints and the ledger
	Cache string // of token files
}

// The times of a simulated cluster, of which each edge and each node gets its own.
const (
	minLatency, maxLatency = 50 * time.Microsecond, 500 * time.Microsecond
	minCompute, maxCompute = 2 * time.Millisecond, 6 * time.Millisecond // of a slot
)

// latency is how long bytes take between two processes.
func (s *Scenario) latency(from, to string) time.Duration {
	return s.between(minLatency, maxLatency, "latency", from, to)
}

// compute is how long a node takes for a slot of a step.
func (s *Scenario) compute(node int, step int64) time.Duration {
	return s.between(minCompute, maxCompute, "compute", node, step)
}
