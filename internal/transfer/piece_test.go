package transfer

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
)

func encoded(h Header, payload []byte) []byte {
	m := pack(h, payload).seal()
	return slices.Concat(m.head, payload, m.sum)
}

// read parses a message that lies in pieces of so many bytes.
func read(b []byte, width int) incoming {
	var data mem.BufferSlice
	for ; len(b) > width; b = b[width:] {
		data = append(data, mem.SliceBuffer(b[:width]))
	}
	data = append(data, mem.SliceBuffer(b))
	m := incoming{payload: make([]byte, 0, PieceBytes)}
	_ = codec{}.Unmarshal(data, &m)
	return m
}

func TestPieceComesBack(t *testing.T) {
	h := Header{Kind: Change, Step: 812, Newest: 815, Offset: 1 << 40, Total: 1<<40 + 5, Length: 5}
	for _, width := range []int{1, 7, 40, 41, 42, 100} {
		got := read(encoded(h, []byte("hello")), width)
		if got.bad != nil || got.Header != h || string(got.payload) != "hello" {
			t.Errorf("in pieces of %d it comes back as %+v, %q, %v", width, got.Header, got.payload, got.bad)
		}
	}
}

func TestBadPieces(t *testing.T) {
	good := Header{Kind: Snapshot, Total: 10, Length: 5}
	for name, c := range map[string]struct {
		spoil func(h *Header, b *[]byte)
		want  string
	}{
		"kind":     {func(h *Header, _ *[]byte) { h.Kind = 9 }, "unknown"},
		"negative": {func(h *Header, _ *[]byte) { h.Step = -1 }, "negative"},
		"beyond":   {func(h *Header, _ *[]byte) { h.Offset = 6 }, "bytes 6 to 11 of 10"},
		"overflow": {func(h *Header, _ *[]byte) { h.Offset = 1<<63 - 1 }, "of 10"},
		"length":   {func(h *Header, _ *[]byte) { h.Length = 6 }, "ends before"},
		"short":    {func(h *Header, _ *[]byte) { h.Length = 4 }, "1 bytes more"},
		"longer":   {func(_ *Header, b *[]byte) { *b = append(*b, "not more"...) }, "8 bytes more"},
		"empty":    {func(h *Header, b *[]byte) { h.Length, *b = 0, nil }, "no bytes"},
		"long":     {func(h *Header, b *[]byte) { *b = make([]byte, PieceBytes+1); h.Length = len(*b) }, "the limit is"},
		"idle":     {func(h *Header, _ *[]byte) { h.Kind = Idle }, "without a record"},
	} {
		h, payload := good, []byte("hello")
		c.spoil(&h, &payload)
		if m := read(encoded(h, payload), 64); m.bad == nil || !strings.Contains(m.bad.Error(), c.want) {
			t.Errorf("%s: %v", name, m.bad)
		}
	}
	whole := encoded(good, []byte("hello"))
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x10
		if m := read(b, 64); m.bad == nil {
			t.Errorf("byte %d is changed, and nobody notices", i)
		}
	}
	if m := read(whole[:HeaderSize+sumSize-1], 64); m.bad == nil {
		t.Error("a piece is cut short, and nobody notices")
	}
}

func FuzzPiece(f *testing.F) {
	f.Add(encoded(Header{Kind: Snapshot, Total: 10, Length: 5}, []byte("hello")), uint8(3))
	f.Add(encoded(Header{Kind: Left, Step: 4, Offset: 2}, nil), uint8(200))
	f.Add([]byte("not a piece"), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, width uint8) {
		m := read(b, 1+int(width))
		if m.bad != nil {
			return
		}
		if len(m.payload) != m.Length || m.Length > PieceBytes || m.Offset+int64(m.Length) > max(m.Total, m.Offset) {
			t.Fatalf("%+v with %d bytes is taken for a piece", m.Header, len(m.payload))
		}
		if again := encoded(m.Header, m.payload); !bytes.Equal(again, b) {
			t.Fatalf("%x is read as %x", b, again)
		}
	})
}

// FuzzFetch has a hostile source send pieces to a joiner, which must neither fall over
// nor write outside its state, and must not take a state for whole that is not.
func FuzzFetch(f *testing.F) {
	f.Add([]byte{byte(Snapshot), 0, 0, 0, 5})
	f.Add([]byte{byte(Change), 1, 1, 0, 5, byte(Left), 1, 1, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		s := &snapshot{Fetch: &Fetch{Target: small{t}}, begun: func(int64) {}}
		c := &changes{Fetch: &Fetch{Target: small{t}, Alloc: func(n int) []byte { return make([]byte, n) }}, queue: make(chan change, 64)}
		payload := make([]byte, 255)
		for ; len(script) >= 5 && len(c.queue) < 64; script = script[5:] {
			h := Header{Kind: Kind(script[0]), Step: int64(script[1]), Newest: int64(script[2]), Offset: int64(script[3]), Total: 16, Length: int(script[4])}
			if h.Kind >= Left {
				h.Total, h.Length = 0, 0
			}
			if h.check() != nil {
				continue
			}
			s.piece.Header, s.piece.payload = h, payload[:h.Length]
			c.piece = s.piece
			_ = s.write()
			_ = c.write(t.Context())
			if s.at > 16 || len(c.next) > 16 {
				t.Fatalf("%d and %d of 16 bytes have come", s.at, len(c.next))
			}
		}
	})
}

// small is a Target of 16 bytes.
type small struct{ t *testing.T }

func (small) StateBytes() int64          { return 16 }
func (small) ChangeBytes() int64         { return 16 }
func (small) Filled(int64) error         { return nil }
func (small) Replay(int64, []byte) error { return nil }

func (s small) Fill(offset int64, data []byte) error {
	if offset < 0 || offset+int64(len(data)) > 16 {
		s.t.Fatalf("bytes %d to %d of 16 are written", offset, offset+int64(len(data)))
	}
	return nil
}
