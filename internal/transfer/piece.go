package transfer

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"parallax/internal/crc32c"
)

// A piece travels as header, payload and sum: the CRC-32C of both, little-endian. The
// sum comes last so that it is taken of bytes that sending them has brought into the
// processor's cache.

const (
	HeaderSize = 37      // length of an encoded header
	sumSize    = 4       // of the sum
	PieceBytes = 1 << 20 // the longest payload of a piece
)

// Kind says what a piece is of.
type Kind uint8

const (
	Snapshot Kind = 0xA1 + iota // a stretch of a state's bytes
	Change                      // a stretch of what a step depends on
	Left                        // after Step, the ranks have left the ring of generation Offset together
	Idle                        // nothing is there yet, but the source is
	kindEnd
)

// Header precedes a payload. Encoded, little-endian:
//
//	 0  kind    1
//	 1  step    8
//	 9  newest  8
//	17  offset  8
//	25  total   8
//	33  length  4   of the payload
type Header struct {
	Kind   Kind
	Step   int64 // steps applied: to the snapshot, or with the change
	Newest int64 // steps that the source has applied
	Offset int64 // of the payload in its record
	Total  int64 // bytes of the record
	Length int   // bytes of the payload
}

func (h *Header) put(b []byte) {
	b[0] = byte(h.Kind)
	for i, v := range []int64{h.Step, h.Newest, h.Offset, h.Total} {
		binary.LittleEndian.PutUint64(b[1+8*i:], uint64(v))
	}
	binary.LittleEndian.PutUint32(b[33:], uint32(h.Length))
}

// parseHeader reads an encoded header, and says why it cannot be one.
func parseHeader(b *[HeaderSize]byte) (Header, error) {
	number := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[1+8*i:])) }
	h := Header{
		Kind: Kind(b[0]), Step: number(0), Newest: number(1), Offset: number(2), Total: number(3),
		Length: int(binary.LittleEndian.Uint32(b[33:])),
	}
	return h, h.check()
}

func (h Header) check() error {
	switch {
	case h.Kind < Snapshot || h.Kind >= kindEnd:
		return fmt.Errorf("a piece is of kind %#x, which is unknown", uint8(h.Kind))
	case h.Length > PieceBytes:
		return fmt.Errorf("a piece has %d bytes behind its header; the limit is %d", h.Length, PieceBytes)
	case h.Step < 0 || h.Newest < 0 || h.Offset < 0 || h.Total < 0:
		return fmt.Errorf("a piece has a negative number: step %d of %d, bytes from %d of %d", h.Step, h.Newest, h.Offset, h.Total)
	case h.Kind >= Left:
		if h.Length > 0 || h.Total > 0 {
			return fmt.Errorf("a piece without a record has %d bytes of %d", h.Length, h.Total)
		}
		return nil
	case h.Offset > h.Total || int64(h.Length) > h.Total-h.Offset:
		return fmt.Errorf("a piece has bytes %d to %d of %d", h.Offset, h.Offset+int64(h.Length), h.Total)
	case h.Length == 0:
		return fmt.Errorf("a piece of a record has no bytes")
	}
	return nil
}

// outgoing is a piece to send. Its parts are not changed any more once they are
// served, so gRPC may keep them for as long as it likes.
type outgoing struct {
	head  []byte
	parts [][]byte
	sum   []byte // nil: not taken yet
}

func pack(h Header, parts ...[]byte) *outgoing {
	m := &outgoing{head: make([]byte, HeaderSize), parts: parts}
	h.put(m.head)
	return m
}

// seal takes the sum.
func (m *outgoing) seal() *outgoing {
	sum := crc32c.Checksum(m.head)
	for _, part := range m.parts {
		sum = crc32c.Update(sum, part)
	}
	m.sum = binary.LittleEndian.AppendUint32(nil, sum)
	return m
}

// summedBytes are read at a time, and then summed while they are in the processor's
// cache.
const summedBytes = 256 << 10

// incoming is a piece received.
type incoming struct {
	Header
	payload []byte // the first Length bytes of memory for PieceBytes
	bad     error  // it is none, or damaged

	head   [HeaderSize]byte
	summed uint32 // of what came
	sum    [sumSize]byte
}

// scan reads a piece, which is to be verified yet. It believes a header as far as that
// the payload fits the memory that is there for it. Its error is the reader's; what is
// wrong with the header is in m.bad.
func (m *incoming) scan(r io.Reader) error {
	if _, err := io.ReadFull(r, m.head[:]); err != nil {
		return err
	}
	if m.Header, m.bad = parseHeader(&m.head); m.bad != nil {
		return nil
	}
	m.payload = m.payload[:m.Length]
	m.summed = crc32c.Checksum(m.head[:])
	for stretch := range slices.Chunk(m.payload, summedBytes) {
		if _, err := io.ReadFull(r, stretch); err != nil {
			return err
		}
		m.summed = crc32c.Update(m.summed, stretch)
	}
	_, err := io.ReadFull(r, m.sum[:])
	return err
}

// verify holds what came against the sum, unless it is bad anyway.
func (m *incoming) verify() error {
	if m.bad != nil {
		return m.bad
	}
	if want := binary.LittleEndian.Uint32(m.sum[:]); m.summed != want {
		return fmt.Errorf("bytes %d to %d have the sum %08x instead of %08x: they were damaged on the way", m.Offset, m.Offset+int64(m.Length), m.summed, want)
	}
	return nil
}
