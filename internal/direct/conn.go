package direct

import (
	"io"
	"net"
)

// Conn is a direct connection. One goroutine may write while another reads.
type Conn struct {
	raw net.Conn
	in  io.Reader // raw, or what opens its records
	out *sealer   // nil: without TLS
}

// Plain is a direct connection over one without TLS that has been greeted.
func Plain(raw net.Conn) *Conn { return &Conn{raw: raw, in: raw} }

// sealed is a direct connection over one on which TLS has greeted.
func sealed(raw net.Conn, in, out *keys) *Conn {
	return &Conn{raw, newOpener(raw, in), newSealer(raw, out)}
}

// Read implements io.Reader.
func (c *Conn) Read(p []byte) (int, error) { return c.in.Read(p) }

// WriteAll writes parts one after the other, with as few system calls as it can. It
// consumes parts, but not the array that they are in.
func (c *Conn) WriteAll(parts net.Buffers) error {
	if c.out != nil {
		return c.out.writeAll(parts)
	}
	_, err := parts.WriteTo(c.raw)
	return err
}

// Close ends the connection. Calls blocked in Read and WriteAll return with an error.
func (c *Conn) Close() error { return c.raw.Close() }
