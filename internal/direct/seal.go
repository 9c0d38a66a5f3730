package direct

import (
	"encoding/binary"
	"io"
	"sync"
)

// A record is the number of its bytes, and those bytes sealed, which vouches for the
// number too.
const (
	headBytes   = 4
	recordBytes = 128 << 10 // the longest record, before it is sealed
	sealing     = headBytes + tagBytes
)

// writeBytes is how much is written at a time: a frame of the ring leaves whole.
const writeBytes = 4*(recordBytes+sealing) + 4<<10

// sealer writes records. It seals what is to be written from where it lies.
type sealer struct {
	to   io.Writer
	mu   sync.Mutex // no number may seal two records
	keys *keys
	out  []byte // sealed, and not yet written
	err  error  // that ended it
}

func newSealer(to io.Writer, k *keys) *sealer {
	return &sealer{to: to, keys: k, out: make([]byte, 0, writeBytes)}
}

// writeAll writes parts one after the other. No record has bytes of two of them, so
// that each can be opened right where it belongs.
func (s *sealer) writeAll(parts [][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, part := range parts {
		for len(part) > 0 {
			n := min(len(part), recordBytes)
			s.add(part[:n])
			part = part[n:]
		}
	}
	s.flush()
	return s.err
}

// add seals a record.
func (s *sealer) add(plain []byte) {
	if len(s.out)+len(plain)+sealing > cap(s.out) {
		s.flush()
	}
	if s.err != nil {
		return
	}
	var nonce []byte
	if nonce, s.err = s.keys.next(); s.err != nil {
		return
	}
	start := len(s.out)
	head := binary.BigEndian.AppendUint32(s.out, uint32(len(plain)))
	s.out = s.keys.aead.Seal(head, nonce, plain, head[start:])
}

// flush writes what is sealed. After an error nobody knows how much has left, so
// nothing is written any more.
func (s *sealer) flush() {
	if s.err == nil && len(s.out) > 0 {
		_, s.err = s.to.Write(s.out)
	}
	s.out = s.out[:0]
}
