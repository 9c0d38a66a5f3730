package direct

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
)

// wire keeps what is written to it, and how.
type wire struct {
	net.Conn
	said   bytes.Buffer
	writes int
	reads  int
	broken error
}

func (w *wire) Write(p []byte) (int, error) {
	w.writes++
	if w.broken != nil {
		return 0, w.broken
	}
	return w.said.Write(p)
}

func (w *wire) Read(p []byte) (int, error) {
	w.reads++
	return w.said.Read(p)
}

func TestGather(t *testing.T) {
	const records, size = 20, 16 << 10
	all := make([]byte, records*size)
	rand.Read(all)
	w := new(wire)
	g := gather(w)
	g.cork()
	for part := range slices.Chunk(all, size) {
		if n, err := g.Write(part); n != size || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := g.uncork(); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Write([]byte("alert")); err != nil || w.writes != records*size/gatherBytes+2 {
		t.Errorf("%d writes, %v", w.writes, err)
	}
	got, err := io.ReadAll(io.LimitReader(g, int64(len(all))))
	if err != nil || !bytes.Equal(got, all) {
		t.Errorf("other bytes come out, %v", err)
	}
	if most := len(all)/aheadBytes + 2; w.reads > most {
		t.Errorf("%d reads, want %d at most", w.reads, most)
	}
}

func TestGatherBreaks(t *testing.T) {
	w := &wire{broken: errors.New("gone")}
	c := &Conn{Conn: gather(w)}
	c.under = c.Conn.(*gathered)
	if err := c.WriteAll(net.Buffers{[]byte("a"), []byte("b")}); err != w.broken {
		t.Errorf("written to a broken connection: %v", err)
	}
}
