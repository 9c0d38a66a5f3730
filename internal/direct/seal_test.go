package direct

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// wire keeps what is written to it, to be read again.
type wire struct {
	net.Conn
	io.Reader
	said   bytes.Buffer
	writes int
	broken error
	closed bool
}

func (w *wire) Write(p []byte) (int, error) {
	w.writes++
	if w.broken != nil {
		return 0, w.broken
	}
	return w.said.Write(p)
}

func (w *wire) Read(p []byte) (int, error) { return w.Reader.Read(p) }
func (w *wire) Close() error               { w.closed = true; return nil }
func (w *wire) RemoteAddr() net.Addr       { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 7071} }

// noise is n bytes, the same every time.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// seal is what travels of some parts, record by record.
func seal(t testing.TB, perKey uint64, parts ...[]byte) (records [][]byte) {
	t.Helper()
	w := new(wire)
	s := newSealer(w, newTestKeys(t, 1, perKey))
	for _, part := range parts {
		if err := s.writeAll([][]byte{part}); err != nil {
			t.Fatal(err)
		}
		records = append(records, bytes.Clone(w.said.Bytes()))
		w.said.Reset()
	}
	return records
}

// open is what can be read of what has travelled, and how that ends.
func open(t testing.TB, perKey uint64, travelled []byte) (plain []byte, w *wire, err error) {
	t.Helper()
	w = &wire{Reader: bytes.NewReader(travelled)}
	plain, err = io.ReadAll(newOpener(w, newTestKeys(t, 1, perKey)))
	return plain, w, err
}

// Parts of any size come out as they went in, with reads of any size, however the
// network cuts them.
func TestSealed(t *testing.T) {
	all := noise(3*recordBytes + 100)
	sizes := []int{1, 26, 1, recordBytes, recordBytes + 1, 0, 71, recordBytes}
	var parts [][]byte
	rest := all
	for _, n := range sizes {
		parts, rest = append(parts, rest[:n]), rest[n:]
	}
	w := new(wire)
	if err := newSealer(w, newTestKeys(t, 1, recordsPerKey)).writeAll(parts); err != nil {
		t.Fatal(err)
	}
	if w.writes != 1 {
		t.Errorf("%d writes", w.writes)
	}
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader,
	} {
		for _, size := range []int{1, 30, recordBytes - 1, recordBytes, len(all)} {
			o := newOpener(&wire{Reader: cut(bytes.NewReader(w.said.Bytes()))}, newTestKeys(t, 1, recordsPerKey))
			var got bytes.Buffer
			if _, err := io.CopyBuffer(&got, struct{ io.Reader }{o}, make([]byte, size)); err != nil || !bytes.Equal(got.Bytes(), all[:len(all)-len(rest)]) {
				t.Errorf("%s, read %d at a time: %d bytes came, or others, %v", name, size, got.Len(), err)
			}
		}
	}
}

// What is sealed leaves in few writes, and nothing is kept back.
func TestWrites(t *testing.T) {
	const size = 10 * recordBytes
	w := new(wire)
	s := newSealer(w, newTestKeys(t, 1, recordsPerKey))
	for range 2 {
		if err := s.writeAll([][]byte{noise(27), noise(size)}); err != nil {
			t.Fatal(err)
		}
	}
	if want := 2 * (27 + size + 11*sealing); w.said.Len() != want || w.writes != 2*3 {
		t.Errorf("%d bytes in %d writes, want %d in 6", w.said.Len(), w.writes, want)
	}
}

// Records are sealed and opened with no memory but that of the connection, and opened
// where they are wanted.
func TestNoMemory(t *testing.T) {
	w := new(wire)
	w.Reader = &w.said
	s, o := newSealer(w, newTestKeys(t, 1, recordsPerKey)), newOpener(w, newTestKeys(t, 1, recordsPerKey))
	head, tensor := noise(27), noise(3*recordBytes+5)
	parts, to := [][]byte{head, tensor}, make([]byte, len(tensor))
	w.said.Grow(2 * len(tensor))
	allocs := testing.AllocsPerRun(10, func() {
		_ = s.writeAll(parts)
		_, _ = io.ReadFull(o, to[:len(head)])
		_, _ = io.ReadFull(o, to)
		if len(o.plain) > 0 || o.err != nil {
			t.Fatal("a record was not opened where it was wanted", o.err)
		}
	})
	if allocs > 0 || !bytes.Equal(to, tensor) {
		t.Errorf("%v allocations, and the same bytes: %t", allocs, bytes.Equal(to, tensor))
	}
}

// Keys follow one another on both sides at the same record.
func TestKeysFollow(t *testing.T) {
	parts := [][]byte{noise(1), noise(recordBytes), noise(5), noise(2*recordBytes + 9), noise(30)}
	travelled := bytes.Join(seal(t, 2, parts...), nil)
	if got, _, err := open(t, 2, travelled); err != nil || !bytes.Equal(got, bytes.Join(parts, nil)) {
		t.Errorf("%d bytes come, %v", len(got), err)
	}
	if got, _, err := open(t, 3, travelled); err == nil || !bytes.Equal(got, bytes.Join(parts[:2], nil)) {
		t.Errorf("with other keys than it was sealed with %d bytes come, %v", len(got), err)
	}
}

// Whoever sits on the way can end the connection, and that is all.
func TestManInTheMiddle(t *testing.T) {
	parts := [][]byte{noise(30), noise(900), noise(recordBytes), noise(900), noise(7)}
	flip := func(at int) func([][]byte) [][]byte {
		return func(r [][]byte) [][]byte { r[2][(at+len(r[2]))%len(r[2])] ^= 1; return r }
	}
	other := func(r [][]byte) [][]byte {
		w := new(wire)
		_ = newSealer(w, newTestKeys(t, 2, recordsPerKey)).writeAll(parts[:1])
		return [][]byte{r[0], r[1], w.said.Bytes()}
	}
	for name, test := range map[string]struct {
		tamper func([][]byte) [][]byte
		good   int    // records that come before it is noticed
		want   string // "": the connection just ends
	}{
		"nothing":              {func(r [][]byte) [][]byte { return r }, 5, ""},
		"flips in the text":    {flip(1000), 2, "record 2 from 10.0.0.7:7071"},
		"flips in the tag":     {flip(-1), 2, "record 2 from"},
		"a longer length":      {flip(1), 2, "record 2 from"},
		"a shorter length":     {func(r [][]byte) [][]byte { r[1][3]--; return r }, 1, "record 1 from"},
		"no length":            {func(r [][]byte) [][]byte { clear(r[1][:headBytes]); return r }, 1, "record 1 from"},
		"an endless length":    {func(r [][]byte) [][]byte { r[1][0] = 0xff; return r }, 1, "record 1 from"},
		"swaps":                {func(r [][]byte) [][]byte { r[1], r[3] = r[3], r[1]; return r }, 1, "record 1 from"},
		"repeats":              {func(r [][]byte) [][]byte { return append(r[:2:2], r[1:]...) }, 2, "record 2 from"},
		"repeats the first":    {func(r [][]byte) [][]byte { return append(r, r[0]) }, 5, "record 5 from"},
		"drops":                {func(r [][]byte) [][]byte { return append(r[:1:1], r[2:]...) }, 1, "record 1 from"},
		"another connection's": {other, 2, "record 2 from"},
		"plain text":           {func(r [][]byte) [][]byte { return append(r[:1:1], parts[1:]...) }, 1, "record 1 from"},
		"truncates in a head":  {func(r [][]byte) [][]byte { return append(r[:2:2], r[2][:3]) }, 2, "unexpected EOF"},
		"truncates":            {func(r [][]byte) [][]byte { return append(r[:2:2], r[2][:1000]) }, 2, "unexpected EOF"},
		"truncates a tag":      {func(r [][]byte) [][]byte { return append(r[:2:2], r[2][:len(r[2])-1]) }, 2, "unexpected EOF"},
		"ends":                 {func(r [][]byte) [][]byte { return r[:3] }, 3, ""},
	} {
		got, w, err := open(t, recordsPerKey, bytes.Join(test.tamper(seal(t, recordsPerKey, parts...)), nil))
		if !bytes.Equal(got, bytes.Join(parts[:test.good], nil)) {
			t.Errorf("%s: %d bytes come", name, len(got))
		}
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if _, forged := errors.AsType[*Forged](err); forged != w.closed || forged != strings.HasPrefix(test.want, "record") {
			t.Errorf("%s: forged: %t, closed: %t", name, forged, w.closed)
		}
	}
}

// After a record that does not open nothing comes any more, though it be good.
func TestNothingAfterForgery(t *testing.T) {
	r := seal(t, recordsPerKey, noise(5), noise(6))
	o := newOpener(&wire{Reader: bytes.NewReader(bytes.Join([][]byte{r[1], r[0], r[1]}, nil))}, newTestKeys(t, 1, recordsPerKey))
	for range 3 {
		if n, err := o.Read(make([]byte, 10)); n != 0 || err == nil || !strings.Contains(err.Error(), "record 0") {
			t.Errorf("%d bytes come, %v", n, err)
		}
	}
}

// After a write that failed, of which a part may have left, nothing is sealed any more.
func TestBrokenWrite(t *testing.T) {
	w := &wire{broken: errors.New("gone")}
	s := newSealer(w, newTestKeys(t, 1, recordsPerKey))
	for range 2 {
		if err := s.writeAll([][]byte{noise(5 * recordBytes), noise(1)}); err != w.broken {
			t.Errorf("written to a broken connection: %v", err)
		}
	}
	if w.writes != 1 || s.keys.number > writeBytes/recordBytes {
		t.Errorf("%d writes, %d records", w.writes, s.keys.number)
	}
}

// Both directions at once, and writers that do not wait for one another.
func TestBothWays(t *testing.T) {
	const writers, messages = 2, 50
	near, far := sockets(t)
	a := sealed(near, newTestKeys(t, 2, 7), newTestKeys(t, 1, 7))
	b := sealed(far, newTestKeys(t, 1, 7), newTestKeys(t, 2, 7))
	message := noise(recordBytes + 77)
	var wg sync.WaitGroup
	for _, c := range []*Conn{a, b} {
		for range writers {
			wg.Go(func() {
				for range messages {
					if err := c.WriteAll(net.Buffers{message[:30], message[30:]}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() {
			got := make([]byte, len(message))
			for range writers * messages {
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, message) {
					t.Error("another message comes, ", err)
					return
				}
			}
		})
	}
	wg.Wait()
	a.Close()
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the other side has closed: %v", err)
	}
}

// sockets are the two ends of a TCP connection.
func sockets(t *testing.T) (near, far net.Conn) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if near, err = net.Dial("tcp", lis.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = lis.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// FuzzOpen has anything come on a connection. What is read of it is how what was
// sealed begins.
func FuzzOpen(f *testing.F) {
	parts := [][]byte{[]byte("a"), []byte("header"), noise(3000), []byte("sum")}
	records := seal(f, 2, parts...)
	plain := bytes.Join(parts, nil)
	f.Add(bytes.Join(records, nil), 1)
	f.Add(bytes.Join(records[:2], nil), 100)
	f.Add(append(bytes.Join(records[:3], nil), records[0]...), 5000)
	f.Add([]byte("\x00\x02\x00\x00 and so on"), 3)
	f.Add([]byte("\x17\x03\x03\x00\x13 as TLS does"), 3)
	f.Fuzz(func(t *testing.T, travelled []byte, size int) {
		o := newOpener(&wire{Reader: bytes.NewReader(travelled)}, newTestKeys(t, 1, 2))
		p := make([]byte, min(max(size, 1), 2*recordBytes))
		var got []byte
		for {
			n, err := o.Read(p)
			got = append(got, p[:n]...)
			if err != nil {
				break
			}
			if n == 0 {
				t.Fatal("nothing is read, and nothing is wrong")
			}
		}
		if !bytes.HasPrefix(plain, got) || len(got) > len(travelled) || len(o.in) != readBytes {
			t.Errorf("%q comes of %q", got, travelled)
		}
	})
}
