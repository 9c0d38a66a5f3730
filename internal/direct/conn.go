package direct

import (
	"net"

	"google.golang.org/grpc/credentials"
)

// Conn is a direct connection.
type Conn struct {
	net.Conn
	under *gathered // of TLS; nil: there is none
}

// Plain is a direct connection over one without TLS that has been greeted.
func Plain(conn net.Conn) *Conn { return &Conn{Conn: conn} }

// secured makes a direct connection of one on which handshake puts TLS, if creds are
// of TLS.
func secured(raw net.Conn, creds credentials.TransportCredentials, handshake func(net.Conn) (net.Conn, credentials.AuthInfo, error)) (*Conn, credentials.AuthInfo, error) {
	if creds.Info().SecurityProtocol != "tls" {
		conn, info, err := handshake(raw)
		return Plain(conn), info, err
	}
	under := gather(raw)
	conn, info, err := handshake(under)
	return &Conn{conn, under}, info, err
}

// WriteAll writes parts one after the other, with as few system calls as it can. It
// consumes parts, but not the array that they are in.
func (c *Conn) WriteAll(parts net.Buffers) error {
	if c.under != nil {
		c.under.cork()
	}
	_, err := parts.WriteTo(c.Conn)
	if c.under == nil {
		return err
	}
	if flushed := c.under.uncork(); err == nil {
		err = flushed
	}
	return err
}
