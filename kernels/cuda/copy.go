//go:build cuda

package cuda

import (
	"fmt"
	"runtime"
	"unsafe"

	"gorgonia.org/cu"
	"parallax/kernels"
)

// CopyIn copies host bytes to the start of a buffer, on a stream of its own.
// Memory that is not from HostAlloc is first copied to a stage that is.
func (b *Backend) CopyIn(dst kernels.Buffer, src []byte) kernels.Event {
	to := b.own("CopyIn", dst)
	if len(src) > to.bytes() {
		panic(fmt.Sprintf("kernels: copy of %d bytes into a buffer of %d", len(src), to.bytes()))
	}
	if len(src) == 0 {
		return b.queue.mark()
	}
	from, release := src, func() { runtime.KeepAlive(src) }
	if !b.host.pinned(src) {
		from = b.host.stage(len(src))
		copy(from, src)
		stage := from
		release = func() { b.host.unstage(stage) }
	}
	n := int64(len(src))
	return b.transfer("copy to the device", to, &b.queue.in, release, func(s cu.Stream) error {
		return cu.MemcpyHtoDAsync(to.ptr, unsafe.Pointer(&from[0]), n, s)
	})
}

// CopyOut copies the start of a buffer to host bytes, on a stream of its own.
func (b *Backend) CopyOut(dst []byte, src kernels.Buffer) kernels.Event {
	from := b.own("CopyOut", src)
	if len(dst) > from.bytes() {
		panic(fmt.Sprintf("kernels: copy of %d bytes out of a buffer of %d", len(dst), from.bytes()))
	}
	if len(dst) == 0 {
		return b.queue.mark()
	}
	to, release := dst, func() { runtime.KeepAlive(dst) }
	if !b.host.pinned(dst) {
		to = b.host.stage(len(dst))
		stage := to
		release = func() {
			copy(dst, stage)
			b.host.unstage(stage)
		}
	}
	n := int64(len(dst))
	return b.transfer("copy from the device", from, &b.queue.out, release, func(s cu.Stream) error {
		return cu.MemcpyDtoHAsync(unsafe.Pointer(&to[0]), from.ptr, n, s)
	})
}

// transfer starts a copy on a lane, after what the compute stream has been given
// so far. finish runs when it is done; till then it keeps the host's side alive.
func (b *Backend) transfer(what string, buf *buffer, l *lane, finish func(), start func(cu.Stream) error) kernels.Event {
	q := b.queue
	e := &event{q: q, ready: make(chan struct{})}
	q.tasks <- func() {
		defer close(e.ready)
		if q.failure() != nil {
			return
		}
		m, err := b.startTransfer(l, finish, start)
		if err != nil {
			q.fail(fmt.Errorf("%s: %w", what, err))
			return
		}
		buf.block.copied = m
		e.marks = []*mark{m}
	}
	return e
}

func (b *Backend) startTransfer(l *lane, finish func(), start func(cu.Stream) error) (*mark, error) {
	if err := l.after(&b.queue.compute); err != nil {
		return nil, err
	}
	if err := start(l.stream); err != nil {
		return nil, err
	}
	return l.mark(finish)
}
