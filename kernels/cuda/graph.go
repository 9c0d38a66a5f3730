//go:build cuda

package cuda

// #include "shim.h"
import "C"

import (
	"fmt"
	"os"
	"slices"
	"unsafe"

	"parallax/kernels"
)

var _ kernels.Repeater = (*Backend)(nil)

// graphsVariable, set to "off", has every sequence started piece by piece.
const graphsVariable = "PARALLAX_CUDA_GRAPHS"

func graphsWanted() bool { return os.Getenv(graphsVariable) != "off" }

// sequence names what is repeated.
type sequence struct {
	owner any
	part  int
}

// recording is a sequence as a CUDA graph: one launch in place of hundreds. The first
// time a sequence comes it is only looked at, so that what is compiled, chosen or
// allocated when it is first needed is there; the second time the stream captures
// it. From then on it is held against what was captured: kernels whose parameters
// have changed (a learning rate, the tokens' address) are told so, and where anything
// else has, it is captured again. So a graph does what starting one by one would do,
// always.
type recording struct {
	items []item
	nodes []C.CUgraphNode // of kernels, by item
	graph C.CUgraph
	exec  C.CUgraphExec

	captures int
}

// capturesAtMost is how often a sequence is captured before it counts as one that
// does not repeat.
const capturesAtMost = 8

// item is a piece of work and the operation that it belongs to.
type item struct {
	what string
	work work
}

// collector notes what the tasks of a sequence would start.
type collector struct {
	what  string
	items []item
}

func (c *collector) note(w work) { c.items = append(c.items, item{c.what, w}) }

// Repeat carries out a sequence, as a graph where it has come before.
func (b *Backend) Repeat(owner any, part int, enqueue func()) {
	if !b.graphs || b.queue.holding {
		enqueue()
		return
	}
	b.queue.hold()
	enqueue()
	held := b.queue.release()
	if len(held) == 0 {
		return
	}
	b.queue.do("sequence", func() error { return b.repeat(sequence{owner, part}, held) })
}

// Forget drops an owner's graphs.
func (b *Backend) Forget(owner any) {
	b.queue.do("forget", func() error {
		for s, r := range b.recordings {
			if s.owner == owner {
				r.drop()
				delete(b.recordings, s)
			}
		}
		return nil
	})
}

// repeat runs on the queue's goroutine, as all below does.
func (b *Backend) repeat(s sequence, held []task) error {
	items, err := b.collect(held)
	if err != nil {
		return err
	}
	r := b.recordings[s]
	if r == nil {
		b.recordings[s] = &recording{}
	}
	if r == nil || slices.ContainsFunc(items, item.passing) {
		return b.startAll(items, func(int) error { return nil })
	}
	fits, err := r.adapt(items)
	if err == nil && !fits {
		if r.captures == capturesAtMost {
			return b.startAll(items, func(int) error { return nil })
		}
		err = b.capture(r, items)
	}
	if err == nil {
		err = result(C.cuGraphLaunch(r.exec, streamHandle(b.queue.compute.stream)))
	}
	if err != nil {
		return fmt.Errorf("%w (%s=off does without graphs)", err, graphsVariable)
	}
	return nil
}

func (i item) passing() bool { _, is := i.work.(pause); return is }

func (b *Backend) collect(held []task) ([]item, error) {
	c := &collector{}
	b.collecting = c
	defer func() { b.collecting = nil }()
	for _, t := range held {
		c.what = t.what
		if err := t.run(); err != nil {
			return nil, fmt.Errorf("%s: %w", t.what, err)
		}
	}
	return c.items, nil
}

// startAll gives the stream the items one by one, and calls after with the number of
// each.
func (b *Backend) startAll(items []item, after func(i int) error) error {
	for i, it := range items {
		err := it.work.start(b)
		if err == nil {
			err = after(i)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", it.what, err)
		}
	}
	return nil
}

// adapt makes the graph one of these items. fits is false where there is no graph, or
// they differ in more than kernels' parameters; then nothing has changed.
func (r *recording) adapt(items []item) (fits bool, err error) {
	if r.exec == nil || len(items) != len(r.items) {
		return false, nil
	}
	var changed []int
	for i, it := range items {
		if same(it.work, r.items[i].work) {
			continue
		}
		if k, is := r.items[i].work.(*kernelLaunch); !is || !k.alike(it.work) {
			return false, nil
		}
		changed = append(changed, i)
	}
	for _, i := range changed {
		if err := r.set(i, items[i].work.(*kernelLaunch)); err != nil {
			return false, fmt.Errorf("%s: change the parameters of kernel %v in a graph: %w", items[i].what, items[i].work.(*kernelLaunch).program, err)
		}
		r.items[i] = items[i]
	}
	return true, nil
}

// set replaces a kernel's parameters.
func (r *recording) set(i int, k *kernelLaunch) error {
	dims, threads := k.dims()
	return result(C.px_graph_set(r.exec, r.nodes[i], functionHandle(k.fn), &dims[0], &threads[0], C.uint(k.grid.shared),
		unsafe.Pointer(&k.block[0]), &k.offsets[0], C.int(len(k.offsets))))
}

// capture makes the graph anew.
func (b *Backend) capture(r *recording, items []item) error {
	r.drop()
	r.captures++
	stream := streamHandle(b.queue.compute.stream)
	if err := result(C.px_capture_begin(stream)); err != nil {
		return fmt.Errorf("begin to capture a graph: %w", err)
	}
	r.items, r.nodes = items, make([]C.CUgraphNode, len(items))
	failed := b.startAll(items, func(i int) error { return result(C.px_capture_last(stream, &r.nodes[i])) })
	err := result(C.cuStreamEndCapture(stream, &r.graph))
	if failed != nil {
		return failed
	}
	if err == nil {
		err = result(C.cuGraphInstantiateWithFlags(&r.exec, r.graph, 0))
	}
	if err != nil {
		return fmt.Errorf("capture a graph of %d pieces: %w", len(items), err)
	}
	return nil
}

// drop releases the graph.
func (r *recording) drop() {
	if r.exec != nil {
		C.cuGraphExecDestroy(r.exec)
	}
	if r.graph != nil {
		C.cuGraphDestroy(r.graph)
	}
	r.exec, r.graph, r.items, r.nodes = nil, nil, nil, nil
}
