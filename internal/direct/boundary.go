package direct

import (
	"encoding/binary"
	"net"
)

// headTLS is the length of what a record of TLS begins with: its type, a version, and
// the number of bytes that follow.
const headTLS = 5

// byRecord is a connection under TLS. A read goes no further than to the end of a
// record, so that TLS never holds what comes after the last one.
type byRecord struct {
	net.Conn
	head []byte // of the next record, as far as it has been read
	left int    // bytes of the record behind it that have not been
}

// Read implements net.Conn.
func (b *byRecord) Read(p []byte) (int, error) {
	if b.left > 0 {
		n, err := b.Conn.Read(p[:min(len(p), b.left)])
		b.left -= n
		return n, err
	}
	n, err := b.Conn.Read(p[:min(len(p), headTLS-len(b.head))])
	b.head = append(b.head, p[:n]...)
	if len(b.head) == headTLS {
		b.left = int(binary.BigEndian.Uint16(b.head[headTLS-2:]))
		b.head = b.head[:0]
	}
	return n, err
}
