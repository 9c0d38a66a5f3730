package collective

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestHeaderRoundTrip(t *testing.T) {
	h := Header{
		Kind: Data, Phase: AllGather, Op: SumBF16, Tag: 0x1234, Generation: 1<<63 + 5,
		Step: 1<<32 - 1, Bucket: 1<<16 - 1, Segment: 1<<16 - 2, Chunk: 1<<32 - 3, Length: MaxChunkBytes,
	}
	var b [HeaderSize]byte
	h.Put(b[:])
	got, err := ParseMessage(b[:], MaxChunkBytes)
	if err != nil || got != h {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBadHeadersAreRefused(t *testing.T) {
	good := Header{Kind: Data, Phase: Barrier, Length: 1}
	for want, change := range map[string]func(h *Header){
		"unknown kind":        func(h *Header) { h.Kind = ByeAck + 1 },
		"unknown phase":       func(h *Header) { h.Phase = phases },
		"unknown operation":   func(h *Header) { h.Op = ops },
		"announces 0 bytes":   func(h *Header) { h.Length = 0 },
		"bytes and carries 1": func(h *Header) { h.Length = 2 },
		"want 0 to 0":         func(h *Header) { h.Kind = Heartbeat },
		"want 1 to 4096":      func(h *Header) { h.Kind, h.Length = Abort, 4097 },
		"want 1 to 4194304":   func(h *Header) { h.Length = MaxChunkBytes + 1 },
	} {
		h := good
		change(&h)
		var b [HeaderSize]byte
		h.Put(b[:])
		if _, err := ParseMessage(b[:], 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := ParseMessage(make([]byte, HeaderSize-1), 0); err == nil {
		t.Error("a short header was accepted")
	}
}

func FuzzParseMessage(f *testing.F) {
	var b [HeaderSize]byte
	(&Header{Kind: Data, Phase: ReduceScatter, Length: 77}).Put(b[:])
	f.Add(b[:], 77)
	f.Add([]byte("short"), 0)
	f.Fuzz(func(t *testing.T, b []byte, payload int) {
		h, err := ParseMessage(b, payload)
		if err != nil {
			return
		}
		if int(h.Length) != payload || payload > MaxChunkBytes {
			t.Fatalf("accepted %v before %d bytes", h, payload)
		}
		var again [HeaderSize]byte
		h.Put(again[:])
		if !bytes.Equal(again[:], b[:HeaderSize]) {
			t.Fatalf("%x became %x", b[:HeaderSize], again)
		}
	})
}

var pair = []Member{{Name: "gpu06", Host: "b", Address: "10.0.0.6:7001"}, {Name: "gpu07", Host: "c", Address: "10.0.0.7:7001"}}

func FuzzAbort(f *testing.F) {
	f.Add(uint16(1), uint32(1), []byte("\x04evalstream broken"))
	f.Fuzz(func(t *testing.T, rank uint16, peer uint32, text []byte) {
		b := &Buffer{Parts: [][]byte{text}}
		b.Own(nil)
		e, err := errorFrom(Frame{Header: Header{Kind: Abort, Segment: rank, Chunk: peer, Length: uint32(len(text))}, Payload: b}, pair)
		if err == nil && (e.Error() == "" || e.Peer >= len(pair)) {
			t.Fatalf("%v", e)
		}
	})
}

// TestErrorTravels: an abort frame says on another rank what was said on the first.
func TestErrorTravels(t *testing.T) {
	for _, peer := range []int{-1, 0} {
		e := newError(pair, 1, peer, errors.New("stream broken: reset by peer"))
		e.At, e.Phase, e.During = Point{Step: 812, Phase: "gradients", Bucket: 3}, ReduceScatter, true
		f := e.frame(7)
		if err := f.check(); err != nil {
			t.Fatal(err)
		}
		got, err := errorFrom(f, pair)
		if err != nil || got.Error() != e.Error() || got.Peer != peer {
			t.Errorf("got %v, %v, want %v", got, err, e)
		}
	}
}

func TestErrorText(t *testing.T) {
	e := newError(pair, 1, 0, errors.New("stream broken: reset by peer"))
	e.At, e.Phase, e.During = Point{Step: 812, Bucket: 3}, ReduceScatter, true
	want := "rank 1 (gpu07) lost rank 0 (gpu06 at 10.0.0.6:7001) in reduce-scatter of step 812, bucket 3: stream broken: reset by peer"
	if e.Error() != want {
		t.Errorf("got  %v\nwant %v", e, want)
	}
}

// TestLongCausesAreCut: an abort frame keeps to its limit whatever it reports.
func TestLongCausesAreCut(t *testing.T) {
	e := newError(pair, 1, 0, errors.New(strings.Repeat("x", 9999)))
	e.At.Phase = strings.Repeat("y", 300)
	f := e.frame(7)
	if err := f.check(); err != nil {
		t.Fatal(err)
	}
	if _, err := errorFrom(f, pair); err != nil {
		t.Error(err)
	}
}
