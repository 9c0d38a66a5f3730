package direct

import (
	"bufio"
	"net"
	"sync"
)

// TLS writes each record of 16 KiB by itself, and reads as little. A gathered
// connection lies under it and moves more at a time: what is written between cork and
// uncork leaves together, and reads fill a buffer.
type gathered struct {
	net.Conn
	in *bufio.Reader

	mu     sync.Mutex
	corked bool
	out    []byte
}

const (
	gatherBytes = 128 << 10 // written at a time
	aheadBytes  = 128 << 10 // read at a time
)

func gather(conn net.Conn) *gathered {
	return &gathered{Conn: conn, in: bufio.NewReaderSize(conn, aheadBytes)}
}

// Read implements net.Conn.
func (g *gathered) Read(p []byte) (int, error) { return g.in.Read(p) }

// Write implements net.Conn.
func (g *gathered) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.corked {
		return g.Conn.Write(p)
	}
	if len(g.out)+len(p) > gatherBytes {
		if err := g.flush(); err != nil {
			return 0, err
		}
	}
	g.out = append(g.out, p...)
	return len(p), nil
}

func (g *gathered) cork() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.corked = true
}

func (g *gathered) uncork() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.corked = false
	return g.flush()
}

func (g *gathered) flush() error {
	_, err := g.Conn.Write(g.out)
	g.out = g.out[:0]
	return err
}
