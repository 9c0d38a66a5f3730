//go:build cuda

package cuda

// #include "nccl.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"gorgonia.org/cu"
	"parallax/kernels"
)

var _ kernels.Fabric = (*Backend)(nil)

// FabricDevice is the GPU's UUID.
func (b *Backend) FabricDevice() (string, error) {
	if _, err := loadNCCL(); err != nil {
		return "", err
	}
	id, err := b.device.UUID()
	return id.String(), err
}

// NewGroupID asks NCCL.
func (b *Backend) NewGroupID() ([]byte, error) {
	n, err := loadNCCL()
	if err != nil {
		return nil, err
	}
	return n.newID()
}

// group is a communicator of NCCL with a stream of its own: kernels.Group. Its
// failures are the other ranks' as a rule, so they are not the queue's.
type group struct {
	b    *Backend
	nccl *nccl
	size int

	mu   sync.Mutex      // of each call of NCCL, which do not block
	comm *unsafe.Pointer // the communicator, in C's memory: NCCL may write to it later
	err  error
}

// poll is how often NCCL is asked whether the others are there.
const poll = time.Millisecond

// JoinGroup makes a communicator.
func (b *Backend) JoinGroup(ctx context.Context, id []byte, rank, size int) (kernels.Group, error) {
	n, err := loadNCCL()
	if err != nil {
		return nil, err
	}
	if len(id) != C.PX_NCCL_ID {
		return nil, fmt.Errorf("a group's name of %d bytes: NCCL's have %d", len(id), C.PX_NCCL_ID)
	}
	g := &group{b: b, nccl: n, size: size, comm: (*unsafe.Pointer)(C.calloc(1, C.size_t(unsafe.Sizeof(uintptr(0)))))}
	err = b.queue.call(func() error {
		if err := b.queue.openFabric(); err != nil {
			return err
		}
		return n.result("join a group", C.px_nccl_init(n.lib, g.comm, unsafe.Pointer(&id[0]), C.int(rank), C.int(size)))
	})
	if err != nil {
		g.Abort(err)
		return nil, err
	}
	for {
		ready, err := g.settled()
		if err != nil {
			return nil, err
		}
		if ready {
			return g, nil
		}
		select {
		case <-ctx.Done():
			g.Abort(fmt.Errorf("not all ranks have come to the group: %w", context.Cause(ctx)))
		case <-time.After(poll):
		}
	}
}

// settled says whether the call made last has done its part. What has gone wrong
// aborts the group.
func (g *group) settled() (bool, error) {
	g.mu.Lock()
	if g.err != nil {
		defer g.mu.Unlock()
		return false, g.err
	}
	code := C.px_nccl_state(g.nccl.lib, *g.comm)
	g.mu.Unlock()
	if err := g.nccl.result("reach the other ranks", code); err != nil {
		g.Abort(err)
		return false, err
	}
	return code == 0, nil
}

func (g *group) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// errLeft is what happens to a group that is used after Close.
var errLeft = errors.New("this rank has left the group")

// leaving is how long the others are given to leave as well.
const leaving = 2 * time.Second

// Close leaves as the others do. Where they do not, it leaves them.
func (g *group) Close() {
	g.mu.Lock()
	if g.err == nil {
		C.px_nccl_finalize(g.nccl.lib, *g.comm)
	}
	g.mu.Unlock()
	for began := time.Now(); time.Since(began) < leaving; time.Sleep(poll) {
		if ready, err := g.settled(); ready || err != nil {
			g.end(errLeft, func(comm unsafe.Pointer) { C.px_nccl_destroy(g.nccl.lib, comm) })
			return
		}
	}
	g.Abort(errLeft)
}

// Abort ends the communicator: its kernels return, and so does whoever waits.
func (g *group) Abort(why error) {
	g.end(why, func(comm unsafe.Pointer) { C.px_nccl_abort(g.nccl.lib, comm) })
}

func (g *group) end(why error, release func(comm unsafe.Pointer)) {
	runtime.LockOSThread() // NCCL wants the GPU's context
	defer runtime.UnlockOSThread()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return
	}
	g.err = why
	if err := cu.SetCurrentContext(g.b.queue.ctx); err == nil && *g.comm != nil {
		release(*g.comm)
	}
	C.free(unsafe.Pointer(g.comm))
}

// ncclTypes are ncclDataType_t.
var ncclTypes = map[kernels.DType]C.int{kernels.I32: 2, kernels.F32: 7, kernels.BF16: 9}

// AllReduce sums a buffer in place.
func (g *group) AllReduce(buf kernels.Buffer) kernels.Event {
	s := g.b.own("all-reduce", buf)
	kind, can := ncclTypes[s.dtype]
	if !can {
		panic(fmt.Sprintf("kernels: all-reduce of %v", s.dtype))
	}
	return g.enqueue("add over all ranks", s, func(stream C.CUstream) C.int {
		return C.px_nccl_all_reduce(g.nccl.lib, *g.comm, C.CUdeviceptr(s.ptr), C.size_t(s.n), kind, stream)
	})
}

// AllGather is a broadcast of each rank's part.
func (g *group) AllGather(buf kernels.Buffer, bounds []int) kernels.Event {
	s := g.b.own("all-gather", buf)
	if len(bounds) != g.size+1 || bounds[g.size] > s.n {
		panic(fmt.Sprintf("kernels: all-gather of %d parts up to element %v of %d, on %d ranks", len(bounds)-1, bounds, s.n, g.size))
	}
	bytes := make([]C.size_t, len(bounds))
	for i, at := range bounds {
		bytes[i] = C.size_t(at * s.dtype.Size())
	}
	return g.enqueue("gather from all ranks", s, func(stream C.CUstream) C.int {
		return C.px_nccl_all_gather(g.nccl.lib, *g.comm, C.CUdeviceptr(s.ptr), &bytes[0], C.int(g.size), stream)
	})
}

// enqueue has a collective begin after what the compute stream has been given so far.
func (g *group) enqueue(what string, s *buffer, start func(C.CUstream) C.int) kernels.Event {
	q := g.b.queue
	e := &event{q: q, ready: make(chan struct{})}
	q.tasks <- func() {
		defer close(e.ready)
		if q.failure() != nil {
			return
		}
		m, err := g.begin(what, start)
		if err != nil {
			g.Abort(err)
			return
		}
		s.block.copied = m
		e.marks = []*mark{m}
	}
	return &groupEvent{e, g}
}

// begin runs on the queue's goroutine.
func (g *group) begin(what string, start func(C.CUstream) C.int) (*mark, error) {
	l := &g.b.queue.fabric
	if err := l.after(&g.b.queue.compute); err != nil {
		return nil, err
	}
	g.mu.Lock()
	err := g.err
	if err == nil {
		err = g.nccl.result(what, start(streamHandle(l.stream)))
	}
	g.mu.Unlock()
	for ready := false; err == nil && !ready; {
		if ready, err = g.settled(); err == nil && !ready {
			time.Sleep(poll)
		}
	}
	if err != nil {
		return nil, err
	}
	return l.mark(nil)
}

// groupEvent is the end of a collective.
type groupEvent struct {
	*event
	g *group
}

// watched is how often NCCL is asked whether a collective has failed elsewhere.
const watched = 50 * time.Millisecond

// Wait returns when the collective is done, or the group has been aborted.
func (e *groupEvent) Wait() error {
	<-e.ready
	tick := time.NewTicker(watched)
	defer tick.Stop()
	for _, m := range e.marks {
		for done := false; !done; {
			select {
			case <-m.done:
				done = true
			case <-tick.C:
				e.g.settled() // aborts where something is wrong, and m is reached then
			}
		}
	}
	return errors.Join(e.g.failure(), e.q.failure())
}
