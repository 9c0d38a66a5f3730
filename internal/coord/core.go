package coord

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"parallax/internal/config"
	pb "parallax/proto/parallax/v1"
)

type phase int

const (
	waiting phase = iota
	returning
	running
	parting
	halting
	saving
	lacking
	over
)

// Core decides. The zero value is not usable, see [New].
type Core struct {
	config Config
	now    time.Time // by which nodes are judged
	wall   time.Time
	phase  phase
	job    *Job

	nodes        map[Conn]*node    // attached and not refused
	unfit        map[string]string // why nodes cannot take part that were turned away before the start
	joinDeadline time.Time         // zero: none
	joinWait     time.Duration     // how long nodes are waited for up to it

	view       *pb.View
	ranks      []*node          // in the view, also those that are gone
	facts      *pb.Ready        // what the first node said of model and data
	restarts   int64            // how often the coordinator has come back from a crash
	started    time.Time        // by the wall's clock
	began      int64            // the step at which the first view began
	tallies    map[int64]*tally // steps that not all ranks have reported
	last       *pb.StepSummary
	evaluation *pb.EvalReport
	lookedAt   int64                // the step of the last look into the layers
	evaluator  *node                // who reported it first
	checkpoint *pb.CheckpointReport // the newest that was written

	stop      *StopRequested
	fruitless int    // views in a row that ended before a step was made
	dealsAnew bool   // the ranks part to have the slots dealt by measured speed
	cause     *cause // what ended the view; nil: its ranks leave it together
	deadline  time.Time
	halted    time.Time // when the view was
	away      time.Time // when members began to be waited for that are absent
	saver     *node
	mixture   string   // of arithmetics, that was last warned of
	reached   int64    // by the record when the run was to begin, or begin anew, from a checkpoint
	reminder  reminder // of a wait for nodes
	forsaken  string   // why all members' streams have broken, while they are waited for

	out []Decision
}

// New returns a core that waits for a run and for nodes. MinNodes of 0 means
// all; a config that makes no sense is the caller's error.
func New(config Config) *Core {
	if config.MinNodes == 0 {
		config.MinNodes = config.Nodes
	}
	return &Core{config: config, nodes: make(map[Conn]*node), unfit: make(map[string]string), tallies: make(map[int64]*tally)}
}

// Step takes one event and returns what to do about it.
func (c *Core) Step(e Event) []Decision {
	c.out = nil
	switch e := e.(type) {
	case Submitted:
		c.submit(e.Job, e.Reached)
	case Attached:
		c.attach(e.Conn, e.Hello)
	case Received:
		if n := c.nodes[e.Conn]; n != nil {
			c.receive(n, e.Message)
		}
	case Lost:
		if n := c.nodes[e.Conn]; n != nil {
			c.lose(n, e.Reason)
		}
	case GossipFailed:
		c.suspect(e.Node, e.Incarnation, true)
	case GossipJoined:
		c.suspect(e.Node, e.Incarnation, false)
	case StopRequested:
		c.requestStop(e)
	case Recorded:
		c.recorded(e)
	case CameBack:
		c.comeBack(e.ViewTold)
	case Tick:
		c.wall = e.Wall
		c.tick(e.Now)
	}
	c.settleJoiners()
	return c.out
}

// CheckJob says why a run cannot be submitted, or nil.
func (c *Core) CheckJob(j Job) error {
	switch {
	case c.job != nil:
		return fmt.Errorf("this coordinator has the run %s already; start another coordinator for another run", c.job.ID)
	case c.phase == over:
		return fmt.Errorf("this coordinator is about to end; start another one")
	}
	if err := CheckShares(j.Spec, c.config.Nodes); err != nil {
		return err
	}
	return config.Validate(j.Spec)
}

// CheckShares says why so many nodes cannot share a run's steps, or nil.
func CheckShares(s config.Spec, nodes int) error {
	if s.Train.Slots >= nodes {
		return nil
	}
	return fmt.Errorf("%d nodes cannot share a step of %d micro-batches: give the run train.slots = %d or more, or use fewer nodes",
		nodes, s.Train.Slots, nodes)
}

// node is one attached node.
type node struct {
	conn      Conn
	hello     *pb.Hello
	doing     string    // until it is ready
	ready     *pb.Ready // nil until it is
	heard     time.Time // when it last said anything
	missed    time.Time // since when it is waited for though it is silent; zero: it is not
	suspected bool      // gossip says that it does not answer
	absent    bool      // its stream has broken, and it is waited for to attach again
	dropped   int64     // it has no reports of steps up to this one

	applied   int64       // steps applied to the state it holds, as last reported
	digest    []byte      // of that state, when it was last asked; empty: it holds none that is whole
	held      bool        // it has told what it holds since the view was halted
	behind    bool        // it is to fetch the view's state, and has not shown that it has
	broken    bool        // it cannot go on, or could not save
	gone      bool        // it is dead, or its connection has ended
	dismissed bool        // it was told to end
	drains    *pb.Leaving // its wish to leave
	fetch     *fetch      // how it comes by the state, while it is to be taken in
	serving   []string    // who may fetch from it, as it was last told
	left      *pb.Leaving // its goodbye
	pace      pace
}

func (n *node) name() string { return n.hello.NodeId }

// alive reports whether the node is still in its view.
func (n *node) alive() bool { return !n.gone && n.left == nil }

func (c *Core) send(n *node, m *pb.CoordinatorMessage) {
	c.out = append(c.out, Send{n.conn, m})
}

// sendAll sends to everybody, by name: also to a node that is taken for dead,
// should it come round.
func (c *Core) sendAll(m *pb.CoordinatorMessage) {
	for _, n := range c.attached() {
		c.send(n, m)
	}
}

// attached lists the nodes in the natural order of their names.
func (c *Core) attached() []*node {
	all := make([]*node, 0, len(c.nodes))
	for _, n := range c.nodes {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b *node) int { return compareNatural(a.name(), b.name()) })
	return all
}

func (c *Core) publish(e *pb.RunEvent) {
	c.out = append(c.out, Publish{e})
}

// notice tells the user something about n, which may be nil.
func (c *Core) notice(n *node, warning bool, format string, args ...any) {
	c.publish(noticeEvent(n, warning, format, args...))
}

func noticeEvent(n *node, warning bool, format string, args ...any) *pb.RunEvent {
	notice := &pb.Notice{Text: fmt.Sprintf(format, args...), Warning: warning}
	if n != nil {
		notice.NodeId = n.name()
	}
	return &pb.RunEvent{Kind: &pb.RunEvent_Notice{Notice: notice}}
}

// receive takes a message of an attached node.
func (c *Core) receive(n *node, m *pb.NodeMessage) {
	c.answers(n)
	n.heard, n.suspected = c.now, false
	switch kind := m.Kind.(type) {
	case *pb.NodeMessage_Progress:
		c.progress(n, kind.Progress)
	case *pb.NodeMessage_Ready:
		c.readied(n, kind.Ready)
	case *pb.NodeMessage_Step:
		c.stepped(n, kind.Step)
	case *pb.NodeMessage_Eval:
		c.evaluated(n, kind.Eval)
	case *pb.NodeMessage_Diagnosis:
		c.diagnosed(kind.Diagnosis)
	case *pb.NodeMessage_Checkpoint:
		c.saved(n, kind.Checkpoint)
	case *pb.NodeMessage_Failure:
		c.failed(n, kind.Failure)
	case *pb.NodeMessage_Held:
		c.parted(n, kind.Held)
	case *pb.NodeMessage_Fetched:
		c.fetched(n, kind.Fetched)
	case *pb.NodeMessage_Leaving:
		c.leaving(n, kind.Leaving)
	}
}

// tick looks at the deadlines.
func (c *Core) tick(now time.Time) {
	c.now = now
	switch c.phase {
	case waiting:
		if !c.joinDeadline.IsZero() && !now.Before(c.joinDeadline) {
			c.joinTimeout()
		}
		if c.phase == waiting {
			c.remind()
		}
	case returning:
		if !now.Before(c.deadline) {
			c.returnEnds()
		}
	case running:
		c.checkSuspects()
		c.remindOfMissed()
	case parting:
		c.checkSuspects()
		if c.phase == parting && !c.deadline.IsZero() && !now.Before(c.deadline) {
			c.goOnWithoutArriving()
		}
		c.remindOfMissed()
	case halting:
		if !now.Before(c.deadline) {
			c.haltEnds()
		}
	case lacking:
		if !now.Before(c.deadline) {
			c.lackEnds()
			return
		}
		c.remind()
	case saving:
		if !now.Before(c.deadline) && c.silent(c.saver) {
			c.saver.broken = true
			c.notice(c.saver, true, "%s did not write a checkpoint within %s", c.saver.name(), c.config.saveTimeout())
			c.save()
		}
	}
}

// list writes names as "a, b and c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
