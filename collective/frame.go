package collective

import (
	"encoding/binary"
	"fmt"
)

// HeaderSize is the length of an encoded Header. With the 5 bytes that gRPC puts
// before a message it makes 32, so that the floats behind it stay aligned.
const HeaderSize = 27

// MaxChunkBytes is the longest payload a frame may carry.
const MaxChunkBytes = 4 << 20

// maxAbortBytes is the longest payload of an abort frame.
const maxAbortBytes = 4096

// Frame is what travels over an edge.
type Frame struct {
	Header
	Payload *Buffer // Header.Length bytes; nil when there are none
}

// Kind says what a frame is for.
type Kind uint8

const (
	Data      Kind = 0x71 + iota // a chunk of a tensor
	Heartbeat                    // alive; Chunk counts the data frames sent before it
	Abort                        // the ring is broken, the payload says where and why
	Bye                          // no frame will follow
	ByeAck                       // Bye has been seen, and all that came before it
)

func (k Kind) String() string {
	switch k {
	case Data:
		return "data"
	case Heartbeat:
		return "heartbeat"
	case Abort:
		return "abort"
	case Bye:
		return "bye"
	case ByeAck:
		return "bye-ack"
	}
	return fmt.Sprintf("kind %#x", uint8(k))
}

// Phase is the part of a collective that a frame belongs to.
type Phase uint8

const (
	Idle Phase = iota // no collective
	ReduceScatter
	AllGather
	Broadcast
	Barrier
	phases // how many there are
)

func (p Phase) String() string {
	names := [phases]string{"idle", "reduce-scatter", "all-gather", "broadcast", "barrier"}
	if p < phases {
		return names[p]
	}
	return fmt.Sprintf("phase %d", uint8(p))
}

// Header precedes every payload. Encoded, little-endian:
//
//	 0  kind        1
//	 1  phase, op   1   phase | op<<4
//	 2  tag         2   of Point.Phase, see tagOf
//	 4  generation  8
//	12  step        4
//	16  bucket      2   Point.Bucket + 1
//	18  segment     2
//	20  chunk       4
//	24  length      3   bytes of payload
type Header struct {
	Kind       Kind
	Phase      Phase
	Op         Op
	Tag        uint16
	Generation uint64
	Step       uint32
	Bucket     uint16
	Segment    uint16
	Chunk      uint32
	Length     uint32
}

// Put encodes h into the first HeaderSize bytes of b.
func (h *Header) Put(b []byte) {
	_ = b[HeaderSize-1]
	b[0] = byte(h.Kind)
	b[1] = byte(h.Phase) | byte(h.Op)<<4
	binary.LittleEndian.PutUint16(b[2:], h.Tag)
	binary.LittleEndian.PutUint64(b[4:], h.Generation)
	binary.LittleEndian.PutUint32(b[12:], h.Step)
	binary.LittleEndian.PutUint16(b[16:], h.Bucket)
	binary.LittleEndian.PutUint16(b[18:], h.Segment)
	binary.LittleEndian.PutUint32(b[20:], h.Chunk)
	b[24], b[25], b[26] = byte(h.Length), byte(h.Length>>8), byte(h.Length>>16)
}

// ParseHeader decodes the first HeaderSize bytes of b and refuses what no rank
// would send.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, fmt.Errorf("a frame of %d bytes is shorter than its %d-byte header", len(b), HeaderSize)
	}
	h := Header{
		Kind:       Kind(b[0]),
		Phase:      Phase(b[1] & 15),
		Op:         Op(b[1] >> 4),
		Tag:        binary.LittleEndian.Uint16(b[2:]),
		Generation: binary.LittleEndian.Uint64(b[4:]),
		Step:       binary.LittleEndian.Uint32(b[12:]),
		Bucket:     binary.LittleEndian.Uint16(b[16:]),
		Segment:    binary.LittleEndian.Uint16(b[18:]),
		Chunk:      binary.LittleEndian.Uint32(b[20:]),
		Length:     uint32(b[24]) | uint32(b[25])<<8 | uint32(b[26])<<16,
	}
	return h, h.check()
}

// ParseMessage is ParseHeader for a message that carries payload bytes more, which
// must be as many as announced.
func ParseMessage(b []byte, payload int) (Header, error) {
	h, err := ParseHeader(b)
	if err == nil && int(h.Length) != payload {
		err = fmt.Errorf("a %v frame announces %d bytes and carries %d", h.Kind, h.Length, payload)
	}
	return h, err
}

func (h *Header) check() error {
	low, high := 0, 0
	switch h.Kind {
	case Data:
		low, high = 1, MaxChunkBytes
	case Abort:
		low, high = 1, maxAbortBytes
	case Heartbeat, Bye, ByeAck:
	default:
		return fmt.Errorf("a frame has unknown kind %#x", uint8(h.Kind))
	}
	switch {
	case h.Phase >= phases:
		return fmt.Errorf("a %v frame has unknown phase %d", h.Kind, h.Phase)
	case h.Op >= ops:
		return fmt.Errorf("a %v frame has unknown operation %d", h.Kind, h.Op)
	case int(h.Length) < low || int(h.Length) > high:
		return fmt.Errorf("a %v frame announces %d bytes, want %d to %d", h.Kind, h.Length, low, high)
	}
	return nil
}

func (h Header) String() string {
	return fmt.Sprintf("%v of %v %v, step %d, bucket %d, phase tag %#04x, segment %d, chunk %d, %d bytes",
		h.Kind, h.Phase, h.Op, h.Step, int(h.Bucket)-1, h.Tag, h.Segment, h.Chunk, h.Length)
}

// tagOf shortens a phase's name to what fits a header: its 32-bit FNV-1a hash,
// folded.
func tagOf(phase string) uint16 {
	h := uint32(2166136261)
	for i := range len(phase) {
		h = (h ^ uint32(phase[i])) * 16777619
	}
	return uint16(h) ^ uint16(h>>16)
}
