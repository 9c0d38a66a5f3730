package direct

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// readBytes is how much is read at a time, if as much has come.
const readBytes = 4 * (recordBytes + sealing)

// opener reads records. It opens them right where their bytes are wanted, if there is
// room for the whole.
type opener struct {
	from   net.Conn
	keys   *keys
	in     []byte // of readBytes
	lo, hi int    // in[lo:hi] has come, and is not yet opened
	plain  []byte // opened within in, and not yet read
	err    error  // that ended it
}

func newOpener(from net.Conn, k *keys) *opener {
	return &opener{from: from, keys: k, in: make([]byte, readBytes)}
}

// Forged is why a connection has ended: on it came what the other side did not seal,
// or not as the next record.
type Forged struct {
	from   net.Addr
	record uint64
}

func (f *Forged) Error() string {
	return fmt.Sprintf("record %d from %v does not open: it was tampered with on the way, or is out of order", f.record, f.from)
}

// Read implements io.Reader. It gives the bytes of one record at most.
func (o *opener) Read(p []byte) (n int, err error) {
	if len(o.plain) > 0 {
		n = copy(p, o.plain)
		o.plain = o.plain[n:]
		return n, nil
	}
	if len(p) == 0 || o.err != nil {
		return 0, o.err
	}
	plain, err := o.record(p)
	if err != nil {
		o.err = err
		return 0, err
	}
	if len(plain) <= len(p) {
		return len(plain), nil
	}
	o.plain = plain[copy(p, plain):]
	return len(p), nil
}

// record waits for the next record and opens it: at p if it has room there, else
// within in.
func (o *opener) record(p []byte) ([]byte, error) {
	if err := o.await(headBytes); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(o.in[o.lo:])
	if n == 0 || n > recordBytes {
		return nil, o.forged(o.keys.number)
	}
	if err := o.await(int(n) + sealing); err != nil {
		return nil, err
	}
	whole := o.in[o.lo : o.lo+int(n)+sealing]
	o.lo += len(whole)
	head, sealed := whole[:headBytes], whole[headBytes:]
	number := o.keys.number
	nonce, err := o.keys.next()
	if err != nil {
		return nil, err
	}
	if int(n) > len(p) {
		p = sealed
	}
	plain, err := o.keys.aead.Open(p[:0], nonce, sealed, head)
	if err != nil {
		return nil, o.forged(number)
	}
	return plain, nil
}

// await reads until n bytes have come that are not yet opened.
func (o *opener) await(n int) error {
	have := o.hi - o.lo
	if have >= n {
		return nil
	}
	if have == 0 || o.lo+n > len(o.in) {
		copy(o.in, o.in[o.lo:o.hi])
		o.lo, o.hi = 0, have
	}
	more, err := io.ReadAtLeast(o.from, o.in[o.hi:], n-have)
	o.hi += more
	if err == io.EOF && have > 0 {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// forged ends the connection.
func (o *opener) forged(record uint64) error {
	o.from.Close()
	return &Forged{o.from.RemoteAddr(), record}
}
