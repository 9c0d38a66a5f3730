package tcpring

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
)

// Magic is how a direct connection begins, before TLS if there is TLS. Neither
// HTTP/2 nor TLS begins so.
const Magic = "PLXRING1"

// Secret lets one connection take part in one link. It is said after the
// handshake, if there is TLS.
type Secret [32]byte

// NewSecret draws a secret.
func NewSecret() (s Secret) {
	rand.Read(s[:]) // never fails
	return s
}

// Equal takes as long whatever the two are.
func (s Secret) Equal(other Secret) bool { return subtle.ConstantTimeCompare(s[:], other[:]) == 1 }

// welcome is the answer to a secret that is good. To any other there is none.
const welcome = 'k'

// Present says the secret and waits until it is accepted.
func Present(conn net.Conn, s Secret) error {
	if _, err := conn.Write(s[:]); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return fmt.Errorf("the secret was not accepted: %w", ended(err))
	}
	if answer[0] != welcome {
		return errors.New("the answer to the secret makes no sense")
	}
	return nil
}

// Hear reads the secret that the other side presents.
func Hear(conn net.Conn) (s Secret, err error) {
	_, err = io.ReadFull(conn, s[:])
	return s, err
}

// Accept lets the other side begin.
func Accept(conn net.Conn) error {
	_, err := conn.Write([]byte{welcome})
	return err
}
