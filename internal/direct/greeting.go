package direct

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

// Magic is how a direct connection begins, before TLS if there is TLS. Neither
// HTTP/2 nor TLS begins so.
const Magic = "PLXRING2"

// Metadata of the streams that negotiate direct connections.
const (
	keyAsk   = "parallax-direct"        // of the dialler: "yes"
	keyOffer = "parallax-direct-secret" // of the acceptor: the secret in hex
)

// Asked reports whether whoever opened a stream, which came with md, wants a direct
// connection.
func Asked(md metadata.MD) bool {
	v := md.Get(keyAsk)
	return len(v) == 1 && v[0] == "yes"
}

// greeting is a connection that has yet to be let in.
type greeting struct {
	net.Conn // on which secret and welcome are said: TLS over raw, or raw
	info     credentials.AuthInfo
	raw      net.Conn
	in, out  *keys // nil: without TLS
}

// handshake is that of a client or of a server.
type handshake func(net.Conn) (net.Conn, credentials.AuthInfo, error)

// greet has creds shake hands. Where they say that they are insecure the connection is
// plain, and anything else is sealed or fails.
func greet(raw net.Conn, creds credentials.TransportCredentials, self, other string, shake handshake) (*greeting, error) {
	g := &greeting{raw: raw}
	var err error
	if creds.Info().SecurityProtocol == "insecure" {
		g.Conn, g.info, err = shake(raw)
		return g, err
	}
	if g.Conn, g.info, err = shake(&byRecord{Conn: raw}); err != nil {
		return nil, err
	}
	if g.in, err = exportKeys(g.info, other); err != nil {
		return nil, err
	}
	g.out, err = exportKeys(g.info, self)
	return g, err
}

// begin is the connection after the welcome.
func (g *greeting) begin() *Conn {
	if g.out == nil {
		return Plain(g.raw)
	}
	return sealed(g.raw, g.in, g.out)
}

// secret lets one connection take up one offer. It is said after the handshake, if
// there is TLS.
type secret [32]byte

// newSecret draws a secret.
func newSecret() (s secret) {
	rand.Read(s[:]) // never fails
	return s
}

// equal takes as long whatever the two are.
func (s secret) equal(other secret) bool { return subtle.ConstantTimeCompare(s[:], other[:]) == 1 }

// welcome is the answer to a secret that is good. To any other there is none.
const welcome = 'k'

// present says the secret and waits until it is accepted. TLS that hears it in the clear
// answers some secrets with an alert, and hangs up on the others.
func present(conn net.Conn, s secret) error {
	if _, err := conn.Write(s[:]); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return fmt.Errorf("the secret was not accepted: %w", Ended(err))
	}
	if answer[0] != welcome {
		return errors.New("the secret was not accepted: the answer to it makes no sense")
	}
	return nil
}

// hear reads the secret that the other side presents.
func hear(conn net.Conn) (s secret, err error) {
	_, err = io.ReadFull(conn, s[:])
	return s, err
}

// accept lets the other side begin.
func accept(conn net.Conn) error {
	_, err := conn.Write([]byte{welcome})
	return err
}

// Ended says in words how a connection has ended.
func Ended(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errors.New("the other side has closed the connection")
	}
	return err
}
