package coord

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"

	"parallax/internal/gossip"
	pb "parallax/proto/parallax/v1"
)

// Coordinator is a core behind a gRPC server.
type Coordinator struct {
	o   Options
	log *slog.Logger

	listener net.Listener
	server   *grpc.Server
	gossip   *gossip.Gossip
	conns    connTable
	history  *history
	recorder recorder // only for the goroutine of loop
	lock     *os.File // on the run's folder; nil: none

	core         *Core // only for the goroutine of loop
	clock        clock // likewise
	events       chan Event
	jobs         chan submission
	progressed   chan savedProgress // capacity 1: the record's newest end
	acknowledged chan struct{}      // closed when acknowledge has ended
	over         chan struct{}      // closed when loop has ended
	ended        chan struct{}      // closed when everything has ended
	crashed      chan struct{}      // closed by Crash
	result       Result             // valid once over is closed

	mu    sync.Mutex
	jobID string
}

// Result is how a run ended.
type Result struct {
	Code   int
	Reason string
}

// submission asks loop to take a run.
type submission struct {
	Submission
	reply chan accepted
}

// accepted is the answer.
type accepted struct {
	job Job
	err error
}

// Start begins to coordinate: it listens and is a member of the gossip cluster
// when it returns. The caller must call [Coordinator.Wait].
func Start(o Options) (*Coordinator, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.RunDir)
	if err != nil {
		return nil, usage("--run-dir %s: %w", o.RunDir, err)
	}
	o.RunDir = dir
	c := &Coordinator{
		o:            o,
		log:          cmp.Or(o.Log, slog.Default()),
		history:      newHistory(),
		recorder:     recorder{version: o.Version, newID: o.RunID},
		progressed:   make(chan savedProgress, 1),
		acknowledged: make(chan struct{}),
		events:       make(chan Event),
		jobs:         make(chan submission),
		over:         make(chan struct{}),
		ended:        make(chan struct{}),
		crashed:      make(chan struct{}),
	}
	c.clock = newClock(time.Now(), c.listening())
	if err := c.listenAndGossip(); err != nil {
		return nil, err
	}
	c.core = New(c.coreConfig())
	for _, begin := range []func() error{c.openLedger, c.takeLock, c.beginRun, c.writeAddress} {
		if err := begin(); err != nil {
			c.abort()
			return nil, err
		}
	}
	c.server = grpc.NewServer(c.serverOptions()...)
	pb.RegisterCoordinatorServer(c.server, &service{Coordinator: c})
	go c.server.Serve(c.listener)
	go c.acknowledge()
	go c.serve()
	return c, nil
}

func (c *Coordinator) coreConfig() Config {
	config := c.o.coreConfig()
	config.GossipAddress, config.GossipKeys = c.gossip.Address(), c.o.GossipKeys
	return config
}

// openLedger comes behind listening, so that a coordinator that cannot listen
// leaves no files.
func (c *Coordinator) openLedger() (err error) {
	if c.o.Ledger == nil {
		return nil
	}
	if c.recorder.ledger, err = c.o.Ledger(); err != nil {
		return usage("%w", err)
	}
	return nil
}

// takeLock keeps other coordinators from the run.
func (c *Coordinator) takeLock() (err error) {
	if c.recorder.ledger == nil {
		return nil
	}
	if c.lock, err = lockRun(c.o.RunDir); err != nil {
		return usage("%w", err)
	}
	c.history.archive = ledgerArchive{c.recorder.ledger, c.o.RunDir}
	return nil
}

// beginRun goes on with the run that a crash has left, or submits the one that
// came with the options.
func (c *Coordinator) beginRun() error {
	state, err := c.recover()
	if err != nil {
		return usage("%w", err)
	}
	if state != nil {
		return c.restoreRun(state)
	}
	if c.recorder.ledger != nil { // what a coordinator has left that is not gone on with
		if err := c.recorder.ledger.ClearHistory(c.o.RunDir); err != nil {
			return err
		}
	}
	if c.o.Run == nil {
		return nil
	}
	if _, err := c.accept(*c.o.Run); err != nil {
		return usage("%w", err)
	}
	return nil
}

// accept gives a submission its id and place, opens its record and hands it to
// the core.
func (c *Coordinator) accept(s Submission) (Job, error) {
	job := Job{Submission: s, Dir: c.o.RunDir}
	if err := c.core.CheckJob(job); err != nil {
		return job, err
	}
	var err error
	if job.ID, err = c.recorder.begin(job); err != nil {
		return job, err
	}
	c.setJob(job.ID)
	c.step(Submitted{job, c.recorder.reached})
	return job, nil
}

func (c *Coordinator) setJob(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobID = id
}

func (c *Coordinator) jobName() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.jobID
}

// Events yields the run's events behind the sequence number after (0: all),
// those to come included, until the run is over or ctx ends.
func (c *Coordinator) Events(ctx context.Context, after int64) iter.Seq[*pb.RunEvent] {
	return c.history.follow(ctx, after)
}

// Stop ends the run after the step under way, with a checkpoint; all processes
// then exit with the code. It does not wait.
func (c *Coordinator) Stop(reason string, code int) {
	c.post(StopRequested{Reason: reason, Code: code})
}

// Kill ends the run at once.
func (c *Coordinator) Kill(reason string) {
	c.post(StopRequested{Reason: reason, Code: ExitQuorumLost, AtOnce: true})
}

// Crash ends the coordinator, once, without a word to anybody and without carrying out
// what is decided, as far as a goroutine can: for simulations of its death. The run's
// folder is free when Crash returns. The caller must call Wait.
func (c *Coordinator) Crash() {
	close(c.crashed)
	c.lock.Close() // also where there is none
}

func (c *Coordinator) hasCrashed() bool {
	select {
	case <-c.crashed:
		return true
	default:
		return false
	}
}

// Wait returns when the run is over and everything is taken down.
func (c *Coordinator) Wait() Result {
	<-c.ended
	return c.result
}
