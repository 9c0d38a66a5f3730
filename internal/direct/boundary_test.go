package direct

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/grpc/credentials"

	"parallax/internal/certs"
)

// identity is a certificate for "node".
func identity(t *testing.T) *certs.Identity {
	t.Helper()
	authority, err := certs.Init(filepath.Join(t.TempDir(), "pki"), "test", 1)
	if err != nil {
		t.Fatal(err)
	}
	files, err := authority.Issue(certs.Request{Role: certs.Node, Name: "node", Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	id, err := certs.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// secured are the credentials of a client and of a server, which changes may weaken.
func secured(t *testing.T, change func(*tls.Config)) (client, server credentials.TransportCredentials) {
	id := identity(t)
	c, s := id.ClientConfig("node"), id.ServerConfig()
	c.ClientSessionCache = tls.NewLRUClientSessionCache(1) // has the server send tickets
	for _, config := range []*tls.Config{c, s} {
		if change != nil {
			change(config)
		}
	}
	return credentials.NewTLS(c), credentials.NewTLS(s)
}

// late is a connection on which nothing is read, once come is set, until everything
// that will come has come.
type late struct {
	net.Conn
	come  <-chan struct{}
	heard bytes.Buffer
}

func (l *late) Read(p []byte) (int, error) {
	if l.come != nil {
		<-l.come
	}
	n, err := l.Conn.Read(p)
	l.heard.Write(p[:n])
	return n, err
}

// What either side says right behind the welcome is not lost, though all of it lies
// there when the welcome is read, with session tickets before it; and none of it can be
// read on the way.
func TestAfterTheWelcome(t *testing.T) {
	client, server := secured(t, nil)
	near, far := sockets(t)
	known, text := newSecret(), noise(recordBytes+1000)
	come := make(chan struct{})
	acceptorHeard := make(chan []byte, 1)
	go func() {
		defer close(acceptorHeard)
		g, err := greet(far, server, acceptor, dialler, server.ServerHandshake)
		if err != nil {
			t.Error(err)
			close(come)
			return
		}
		if said, err := hear(g); err != nil || !said.equal(known) {
			t.Error("another secret was heard, ", err)
		}
		conn := g.begin()
		if err := accept(g); err != nil {
			t.Error(err)
		}
		if err := conn.WriteAll(net.Buffers{text[:30], text[30:]}); err != nil {
			t.Error(err)
		}
		close(come)
		heard, _ := io.ReadAll(conn)
		acceptorHeard <- heard
	}()
	raw := &late{Conn: near}
	g, err := greet(raw, client, dialler, acceptor, func(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
		return client.ClientHandshake(t.Context(), "node", raw)
	})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(g.in.iv, g.out.iv) {
		t.Error("both directions have the same keys")
	}
	raw.come = come
	if err := present(g, known); err != nil {
		t.Fatal(err)
	}
	conn := g.begin()
	got := make([]byte, len(text))
	if err := conn.WriteAll(net.Buffers{text}); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, text) {
		t.Errorf("behind the welcome came other bytes, %v", err)
	}
	conn.Close()
	if heard := <-acceptorHeard; !bytes.Equal(heard, text) {
		t.Errorf("the acceptor heard %d bytes, or others", len(heard))
	}
	if bytes.Contains(raw.heard.Bytes(), text[1000:1030]) {
		t.Error("what was said can be read on the way")
	}
}

// Reads end where records do, however the network cuts them.
func TestByRecord(t *testing.T) {
	records := []string{"\x16\x03\x01\x00\x05hello", "\x14\x03\x03\x00\x00", "\x17\x03\x03\x00\x01k"}
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader,
	} {
		from := strings.NewReader(strings.Join(records, "") + "sealed")
		b := &byRecord{Conn: &wire{Reader: cut(from)}}
		for i, record := range records {
			var got []byte
			for p := make([]byte, 100); len(got) < len(record); {
				n, err := b.Read(p)
				if got = append(got, p[:n]...); err != nil {
					t.Fatal(err)
				}
			}
			if left := len(strings.Join(records[i+1:], "")) + len("sealed"); string(got) != record || from.Len() != left {
				t.Errorf("%s: record %d came as %q, and %d bytes are left, want %d", name, i, got, from.Len(), left)
			}
		}
	}
}

// A connection whose handshake is not good enough to take keys from is not used.
func TestNoDowngrade(t *testing.T) {
	client, server := secured(t, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 })
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := NewHost(server)
	both := h.Share(lis)
	defer both.Close()
	for _, first := range []byte{0x01, 0x80} { // TLS answers the second, which is how SSL 2.0 begins
		o := &offer{secret: secret{first}, authorize: func(context.Context) error { return nil }, taken: make(chan *Conn, 1)}
		h.put(o)
		for want, d := range map[string]*Dialer{
			"it speaks TLS 1.2":           {Credentials: client},
			"the secret was not accepted": {},
		} {
			if _, err := d.Connect(t.Context(), lis.Addr().String(), o.hex()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
		if len(o.taken) > 0 {
			t.Error("the offer was taken up")
		}
	}
}
