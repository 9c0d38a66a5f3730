package coord

import (
	"fmt"
	"strings"
	"time"

	"parallax/internal/config"
	pb "parallax/proto/parallax/v1"
)

// submit takes over the run and welcomes who is there.
func (c *Core) submit(j Job, reached int64) {
	c.job, c.reached = &j, reached
	c.keep()
	c.setJoinDeadline(c.config.JoinTimeout)
	for _, n := range c.attached() {
		if err := c.checkSpec(n.hello); err != nil {
			c.refuse(n.conn, ExitUsage, err)
			continue
		}
		c.welcome(n)
	}
}

// setJoinDeadline says how long nodes are waited for; 0: for ever.
func (c *Core) setJoinDeadline(wait time.Duration) {
	c.joinWait = wait
	c.reminder.begin(c.now)
	if wait > 0 {
		c.joinDeadline = c.now.Add(wait)
	}
}

// attach takes a node back, or lets it in.
func (c *Core) attach(conn Conn, hello *pb.Hello) {
	if hello.Reattach != nil {
		c.reattach(conn, hello)
		return
	}
	c.replaced(hello)
	c.makeRoom(hello.NodeId)
	c.supersede(hello)
	c.join(conn, hello)
}

// join lets a node in, or says why not.
func (c *Core) join(conn Conn, hello *pb.Hello) {
	if err := c.checkPlace(hello); err != nil {
		c.refuse(conn, ExitUsage, err)
		return
	}
	if err := c.checkSpec(hello); err != nil {
		c.refuse(conn, ExitUsage, err)
		return
	}
	n := &node{conn: conn, hello: hello, heard: c.now}
	c.nodes[conn] = n
	if c.job != nil {
		c.welcome(n)
	}
}

// checkPlace says why there is no place for a node in the run.
func (c *Core) checkPlace(hello *pb.Hello) error {
	name := hello.NodeId
	for _, n := range c.attached() {
		if n.name() == name && !n.gone {
			return fmt.Errorf("a node named %s is attached already, from host %s with process id %d; give this one another --name",
				name, n.hello.Host, n.hello.Pid)
		}
	}
	full := c.occupied() >= c.config.Nodes
	open := c.phase == waiting || c.phase == returning
	switch {
	case c.phase == over || c.stop != nil:
		return fmt.Errorf("the run is ending, %s is not needed", name)
	case !open && c.phase != running && !c.config.elastic():
		return fmt.Errorf("the run is ending, %s is not needed", name)
	case !open && (full || !c.config.elastic()):
		return fmt.Errorf("the run has started with %s, and %s cannot join it; to use it, stop the run and start it again with --nodes %d --resume",
			list(c.members()), name, c.config.Nodes+1)
	case full:
		return fmt.Errorf("the run has its %d nodes already, %s; to use %s too, start the coordinator with --nodes %d",
			c.config.Nodes, list(names(c.attached())), name, c.config.Nodes+1)
	}
	if err := c.checkDevice(hello); err != nil {
		return err
	}
	return c.checkRank(hello)
}

// checkDevice says why a node cannot train beside the others: what a step moves
// between ranks has the type that their kind of device computes in, float32 on CPUs
// and bfloat16 on GPUs.
func (c *Core) checkDevice(hello *pb.Hello) error {
	kind, _, _ := strings.Cut(hello.Device, ":")
	for _, n := range append(c.attached(), c.ranks...) {
		theirs, _, _ := strings.Cut(n.hello.Device, ":")
		if theirs != kind && n.alive() {
			return fmt.Errorf("%s computes on %s, and %s on %s, whose numbers have another type; start all nodes of a run with one kind of --device",
				hello.NodeId, hello.Device, n.name(), n.hello.Device)
		}
	}
	return nil
}

// checkRank says why a node cannot have the rank it was launched as.
func (c *Core) checkRank(hello *pb.Hello) error {
	world := hello.WorldSize
	if world != 0 && int(world) != c.config.Nodes {
		return fmt.Errorf("%s was launched into a world of %d, but the coordinator waits for %d nodes; make WORLD_SIZE (or SLURM_NTASKS) and the coordinator's --nodes equal",
			hello.NodeId, world, c.config.Nodes)
	}
	if hello.Rank == nil {
		return nil
	}
	if rank := hello.GetRank(); rank < 0 || int(rank) >= c.config.Nodes {
		return fmt.Errorf("%s was launched as rank %d, but the ranks of %d nodes are 0 to %d", hello.NodeId, rank, c.config.Nodes, c.config.Nodes-1)
	}
	for _, n := range c.attached() {
		if n.hello.Rank != nil && n.hello.GetRank() == hello.GetRank() {
			return fmt.Errorf("%s was launched as rank %d, which %s has already", hello.NodeId, hello.GetRank(), n.name())
		}
	}
	return nil
}

// checkSpec says in which keys a node's own spec differs from the run's.
func (c *Core) checkSpec(hello *pb.Hello) error {
	if c.job == nil || hello.SpecToml == "" {
		return nil
	}
	theirs, err := config.Parse([]byte(hello.SpecToml))
	if err != nil {
		return fmt.Errorf("%s was started with a spec that cannot be read: %w", hello.NodeId, err)
	}
	diffs := config.Diff(theirs, c.job.Spec)
	if len(diffs) == 0 {
		return nil
	}
	const shown = 5
	var keys []string
	for _, d := range diffs[:min(len(diffs), shown)] {
		keys = append(keys, fmt.Sprintf("%s is %s there and %s in the run", d.Key, d.A, d.B))
	}
	if len(diffs) > shown {
		keys = append(keys, fmt.Sprintf("and %d more keys differ", len(diffs)-shown))
	}
	return fmt.Errorf("%s was started with another spec: %s; start it without a spec, or with the run's", hello.NodeId, strings.Join(keys, "; "))
}

// refuse turns a connection away, whether it is a node already or not.
func (c *Core) refuse(conn Conn, code int, reason error) {
	c.out = append(c.out, Send{conn, refusal(code, reason.Error())})
	delete(c.nodes, conn)
	c.notice(nil, true, "refused a node: %s", reason)
}

func (c *Core) welcome(n *node) {
	c.send(n, welcome(c.welcomeTo()))
}

// welcomeTo is what every node is told of the run.
func (c *Core) welcomeTo() *pb.Welcome {
	key, oldKeys := c.config.gossipKeys()
	return &pb.Welcome{
		RunId:         c.job.ID,
		SpecToml:      string(config.Canonical(c.job.Spec)),
		SpecHash:      config.Hash(c.job.Spec),
		GossipAddress: c.config.GossipAddress,
		GossipKey:     key,
		GossipOldKeys: oldKeys,
		Cluster: &pb.Cluster{
			FailureTimeoutNs: int64(c.config.FailureTimeout),
			RunDir:           c.job.Dir,
			Resume:           c.job.Resume,
			AbsenceTimeoutNs: int64(c.config.absenceTimeout()),
		},
	}
}

func (c *Core) progress(n *node, p *pb.Progress) {
	if (n.ready == nil || n.fetch != nil) && p.Doing != n.doing {
		n.doing = p.Doing
		c.notice(n, false, "%s: %s", n.name(), p.Doing)
	}
}

// readied notes that a node is ready, and starts the run with the last one.
func (c *Core) readied(n *node, ready *pb.Ready) {
	if c.job == nil || c.phase == over || n.ready != nil {
		return
	}
	if err := c.checkData(n, ready); err != nil {
		c.refuse(n.conn, ExitUsage, err)
		return
	}
	delete(c.unfit, n.name())
	n.ready, n.applied, n.digest = ready, ready.Step, ready.Digest
	if c.phase != waiting {
		c.takeIn()
		return
	}
	c.startWhenReady()
}

// startWhenReady starts the run when all nodes are ready.
func (c *Core) startWhenReady() {
	if len(c.readyNodes()) == c.config.Nodes {
		c.start(fmt.Sprintf("%d of %d nodes are ready", c.config.Nodes, c.config.Nodes))
	}
}

// checkData says how what a node has loaded differs from what the first has.
func (c *Core) checkData(n *node, ready *pb.Ready) error {
	if steps := int64(c.job.Spec.Train.Steps); ready.Step > steps {
		return fmt.Errorf("%s holds a state after %d steps, but the run has only %d; remove that checkpoint or choose another run directory", n.name(), ready.Step, steps)
	}
	first, whose := c.facts, "the run"
	if others := c.readyNodes(); len(others) > 0 {
		first, whose = others[0].ready, others[0].name()
	}
	if first != nil && ready.DataDigest != first.DataDigest {
		return fmt.Errorf("%s has loaded other data (%s, digest %.12s) than %s (%s, digest %.12s); copy the same file to both hosts",
			n.name(), ready.DataSummary, ready.DataDigest, whose, first.DataSummary, first.DataDigest)
	}
	return nil
}

// joinTimeout starts with who is ready if they are enough, or gives up. The others
// can come in later.
func (c *Core) joinTimeout() {
	ready := c.readyNodes()
	if len(ready) < c.config.MinNodes {
		c.finish(ExitQuorumLost, fmt.Sprintf("only %d of %d nodes were ready within %s%s; start the missing ones, or use a lower --nodes",
			len(ready), c.config.Nodes, c.joinWait, c.missing()))
		return
	}
	for _, n := range c.attached() {
		if n.ready == nil {
			c.notice(n, true, "%s was not ready within %s, and the run starts without it; it joins when it is", n.name(), c.joinWait)
		}
	}
	c.start(fmt.Sprintf("%d of %d nodes were ready within %s", len(ready), c.config.Nodes, c.joinWait))
}

// occupied counts the places that are taken: nodes that are dead but whose
// connection has not ended leave theirs.
func (c *Core) occupied() int {
	taken := 0
	for _, n := range c.nodes {
		if n.alive() {
			taken++
		}
	}
	for _, n := range c.ranks {
		if n.absent && n.alive() {
			taken++
		}
	}
	return taken
}

// missing tells what the nodes that are not ready are doing.
func (c *Core) missing() string {
	var busy []string
	for _, n := range c.attached() {
		switch {
		case n.ready != nil:
		case n.doing == "":
			busy = append(busy, n.name()+" is loading")
		default:
			busy = append(busy, n.name()+" is "+n.doing)
		}
	}
	if len(c.unfit) > 0 {
		busy = append(busy, c.unfitness())
	}
	if absent := c.config.Nodes - len(c.nodes) - len(c.unfit); absent > 0 {
		busy = append(busy, fmt.Sprintf("%d never came", absent))
	}
	return " (" + list(busy) + ")"
}

// readyNodes lists the nodes that are ready, by name.
func (c *Core) readyNodes() []*node {
	var ready []*node
	for _, n := range c.attached() {
		if n.ready != nil {
			ready = append(ready, n)
		}
	}
	return ready
}

// members names the nodes of the view by rank.
func (c *Core) members() []string { return names(c.ranks) }

func names(nodes []*node) []string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.name())
	}
	return all
}
