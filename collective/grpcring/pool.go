package grpcring

import (
	"sync"

	"google.golang.org/grpc/mem"
)

// frameBytes is the most that an HTTP/2 DATA frame of grpc-go carries.
const frameBytes = 16 << 10

// framePool serves the buffers that gRPC reads DATA frames into. gRPC's default
// pool clears them first, though it always fills what it asks for; on the ring
// that took a tenth of the CPU time.
type framePool struct {
	frames sync.Pool
	rest   mem.BufferPool
}

func newFramePool() *framePool { return &framePool{rest: mem.DefaultBufferPool()} }

// Get implements mem.BufferPool.
func (p *framePool) Get(n int) *[]byte {
	if n > frameBytes {
		return p.rest.Get(n)
	}
	b, ok := p.frames.Get().(*[]byte)
	if !ok {
		b = new(make([]byte, frameBytes))
	}
	*b = (*b)[:n]
	return b
}

// Put implements mem.BufferPool.
func (p *framePool) Put(b *[]byte) {
	if cap(*b) != frameBytes {
		p.rest.Put(b)
		return
	}
	p.frames.Put(b)
}
