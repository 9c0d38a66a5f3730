package transfer

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// HeaderSize is the length of an encoded header.
const HeaderSize = 41

// PieceBytes is the longest payload of a piece.
const PieceBytes = 1 << 20

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
//	37  sum     4   CRC-32C of the 37 bytes before it and the payload
type Header struct {
	Kind   Kind
	Step   int64 // steps applied: to the snapshot, or with the change
	Newest int64 // steps that the source has applied
	Offset int64 // of the payload in its record
	Total  int64 // bytes of the record
	Length int   // bytes of the payload
	Sum    uint32
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// put encodes h, whose sum goes over the parts of the payload too.
func (h *Header) put(b []byte, payload [][]byte) {
	b[0] = byte(h.Kind)
	for i, v := range []int64{h.Step, h.Newest, h.Offset, h.Total} {
		binary.LittleEndian.PutUint64(b[1+8*i:], uint64(v))
	}
	binary.LittleEndian.PutUint32(b[33:], uint32(h.Length))
	h.Sum = crc32.Checksum(b[:37], castagnoli)
	for _, part := range payload {
		h.Sum = crc32.Update(h.Sum, castagnoli, part)
	}
	binary.LittleEndian.PutUint32(b[37:], h.Sum)
}

// parseHeader reads the header of a message with so many bytes behind it, and says
// why it cannot be one.
func parseHeader(b []byte, behind int) (h Header, err error) {
	if len(b) != HeaderSize {
		return h, fmt.Errorf("a piece has %d bytes, its header alone has %d", len(b), HeaderSize)
	}
	number := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[1+8*i:])) }
	h = Header{
		Kind: Kind(b[0]), Step: number(0), Newest: number(1), Offset: number(2), Total: number(3),
		Length: int(binary.LittleEndian.Uint32(b[33:])), Sum: binary.LittleEndian.Uint32(b[37:]),
	}
	return h, h.check(behind)
}

func (h Header) check(behind int) error {
	switch {
	case h.Kind < Snapshot || h.Kind >= kindEnd:
		return fmt.Errorf("a piece is of kind %#x, which is unknown", uint8(h.Kind))
	case h.Length != behind || h.Length > PieceBytes:
		return fmt.Errorf("a piece has %d bytes behind its header, which speaks of %d; the limit is %d", behind, h.Length, PieceBytes)
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

// verify holds a header and its payload, as they came, against the sum.
func (h Header) verify(head, payload []byte) error {
	if sum := crc32.Update(crc32.Checksum(head[:37], castagnoli), castagnoli, payload); sum != h.Sum {
		return fmt.Errorf("bytes %d to %d have the sum %08x instead of %08x: they were damaged on the way", h.Offset, h.Offset+int64(h.Length), sum, h.Sum)
	}
	return nil
}
