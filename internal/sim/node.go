package sim

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"parallax/internal/agent"
	"parallax/internal/sim/simnet"
	"parallax/internal/train"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// node is one life of a node.
type node struct {
	index   int
	process *simnet.Process
	cancel  context.CancelCauseFunc
	ended   bool // or told to; guarded by the world's lock
}

// launch starts a node, unless it runs.
func (w *world) launch(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old := w.nodes[i]; w.over || old != nil && !old.ended {
		w.story.say("%s runs, and is not started again", nodeName(i))
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	n := &node{index: i, process: w.net.Start(nodeName(i), ip(i)), cancel: cancel}
	w.nodes[i] = n
	delete(w.out.Exits, nodeName(i))
	w.lives.Go(func() { w.live(ctx, n) })
}

// live is a node from its start to its end.
func (w *world) live(ctx context.Context, n *node) {
	err := agent.Run(ctx, agent.Options{
		Name: nodeName(n.index), Coordinator: ip(Coordinator) + coordinatorPort, Listen: ip(n.index) + ":0", Gossip: ip(n.index) + ":0",
		Device: "cpu", Threads: 1, Peak: 1e9, CacheDir: w.Cache, Patience: time.Minute, Log: quiet,
		Network: n.process, Observe: func(at agent.Place) { w.observe(n, at) },
	})
	n.cancel(nil)
	n.process.Crash()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !errors.Is(err, agent.ErrKilled) && !n.ended {
		w.out.Exits[nodeName(n.index)] = err
		w.story.say("%s has ended (%v)", nodeName(n.index), err)
	}
	n.ended = true
}

// observe has computing take its time, and faults happen.
func (w *world) observe(n *node, at agent.Place) {
	if at.Phase == train.Backward {
		time.Sleep(time.Duration(len(at.Slots)) * w.compute(n.index, at.Step))
	}
	w.visit(n, at)
}

// happen carries a fault out. It is called on the goroutine of the node that has come
// to the fault's place, n, or, with nil, later.
func (w *world) happen(f Fault, n *node) {
	w.mu.Lock()
	over, victim := w.over, w.nodes[f.Node]
	if !over {
		w.out.Fired = append(w.out.Fired, f)
	}
	w.mu.Unlock()
	if over {
		return
	}
	w.story.say("%s", f.what())
	switch f.Do {
	case Kill:
		w.kill(victim)
	case Freeze:
		victim.process.Freeze()
		time.AfterFunc(f.For, victim.process.Thaw)
		if victim == n {
			time.Sleep(f.For)
		}
	case Cut:
		w.net.Cut(nodeName(f.Node), nodeName(f.Peer))
		time.AfterFunc(f.For, func() { w.net.Heal(nodeName(f.Node), nodeName(f.Peer)) })
	case Slow:
		w.net.Slow(nodeName(f.Node), nodeName(f.Peer), f.Extra)
		time.AfterFunc(f.For, func() { w.net.Slow(nodeName(f.Node), nodeName(f.Peer), 0) })
	case Drain:
		victim.cancel(nil)
	case Launch:
		w.launch(f.Node)
	case Crash:
		w.crash(f.For)
	}
}

// kill has a node die: nothing that it does from now on reaches anybody.
func (w *world) kill(n *node) {
	w.mu.Lock()
	n.ended = true
	w.mu.Unlock()
	n.process.Crash()
	n.cancel(agent.ErrKilled)
}
