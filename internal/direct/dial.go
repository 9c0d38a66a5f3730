package direct

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// Dialer makes direct connections. The zero value makes plain ones.
type Dialer struct {
	Credentials credentials.TransportCredentials                // nil: no TLS
	Dial        func(context.Context, string) (net.Conn, error) // to host:port; nil: TCP
	Notice      func(string)                                    // told where gRPC has to do instead; nil: nobody is
}

// Tell tells Notice.
func (d *Dialer) Tell(sentence string) {
	if d.Notice != nil {
		d.Notice(sentence)
	}
}

// Ask has the stream that is opened with the context ask for a direct connection.
func Ask(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, keyAsk, "yes")
}

// Offered is the offer in the header of a stream that was opened with [Ask]; empty:
// there is none.
func Offered(header metadata.MD) string {
	if v := header.Get(keyOffer); len(v) == 1 {
		return v[0]
	}
	return ""
}

// Connect takes up an offer of whoever is reached at an address.
func (d *Dialer) Connect(ctx context.Context, address, offer string) (*Conn, error) {
	var s secret
	if n, err := hex.Decode(s[:], []byte(offer[:min(len(offer), 2*len(s))])); err != nil || n != len(s) {
		return nil, errors.New("what it offered makes no sense")
	}
	ctx, cancel := context.WithTimeout(ctx, greetingPatience)
	defer cancel()
	conn, err := d.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	greeted, err := d.greet(ctx, conn, s)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return greeted, nil
}

func (d *Dialer) dial(ctx context.Context, address string) (net.Conn, error) {
	if d.Dial != nil {
		return d.Dial(ctx, address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// greet says what a direct connection begins with. When ctx ends it is cut short.
func (d *Dialer) greet(ctx context.Context, raw net.Conn, s secret) (*Conn, error) {
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := raw.Write([]byte(Magic)); err != nil {
		return nil, err
	}
	g, err := d.secure(ctx, raw)
	if err != nil {
		return nil, err
	}
	err = present(g, s)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	return g.begin(), nil
}

// secure puts TLS on a connection, if there is to be TLS.
func (d *Dialer) secure(ctx context.Context, raw net.Conn) (*greeting, error) {
	creds := d.Credentials
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	return greet(raw, creds, dialler, acceptor, func(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
		return creds.ClientHandshake(ctx, cmp.Or(creds.Info().ServerName, raw.RemoteAddr().String()), raw)
	})
}
