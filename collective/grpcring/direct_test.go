package grpcring_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"parallax/collective"
	"parallax/collective/grpcring"
	"parallax/internal/direct"
	"parallax/internal/trust"
)

// TestFallsBackToGRPC: where the connection is refused the link does without, and
// says so.
func TestFallsBackToGRPC(t *testing.T) {
	hosts := newDirectHosts(t, 2)
	var notices atomic.Int32
	refuse := func(context.Context, string) (net.Conn, error) { return nil, errors.New("connection refused") }
	notice := func(sentence string) {
		notices.Add(1)
		if !strings.Contains(sentence, "(gpu0") || !strings.HasSuffix(sentence, "came about: connection refused") {
			t.Errorf("the notice says %q", sentence)
		}
	}
	comms := connectWith(t, hosts, 7, nil, func(int) []grpcring.Option {
		return []grpcring.Option{grpcring.WithDirect(direct.Dialer{Dial: refuse, Notice: notice})}
	})
	must(t, comms, func(c *collective.Comm) error { return allCollectives(c, 1000) })
	if notices.Load() != 2 {
		t.Errorf("%d notices, want one of each", notices.Load())
	}
}

// TestOneSided: a node that asks for direct connections gets along with one that
// offers none, and the other way round.
func TestOneSided(t *testing.T) {
	hosts := []*host{newDirectHosts(t, 1)[0], newHosts(t, 1)[0]}
	must(t, connect(t, hosts, 7, nil), func(c *collective.Comm) error { return allCollectives(c, 1000) })
}

// TestSecretsAreWanted: without the secret, or a second time with it, a connection
// is dropped, and the link stays as it is.
func TestSecretsAreWanted(t *testing.T) {
	hosts := newDirectHosts(t, 2)
	tap := new(tap)
	comms := connectWith(t, hosts, 7, nil, func(int) []grpcring.Option {
		return []grpcring.Option{grpcring.WithDirect(direct.Dialer{Dial: tap.dial})}
	})
	for _, secret := range [][]byte{make([]byte, 32), tap.said[len(direct.Magic):]} {
		conn, err := net.Dial("tcp", tap.address)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(append([]byte(direct.Magic), secret...))
		if answer, err := io.ReadAll(conn); len(answer) > 0 {
			t.Errorf("%s was answered %q, %v", hex.EncodeToString(secret), answer, err)
		}
		conn.Close()
	}
	must(t, comms, func(c *collective.Comm) error { return allCollectives(c, 1000) })
}

// tap keeps what was said first on the connection from rank 0 to rank 1.
type tap struct {
	address string
	said    []byte
	taken   atomic.Bool
}

func (t *tap) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil || t.taken.Swap(true) {
		return conn, err
	}
	t.address = address
	return &tapped{conn, t}, nil
}

type tapped struct {
	net.Conn
	tap *tap
}

func (c *tapped) Write(p []byte) (int, error) {
	if room := len(direct.Magic) + 32 - len(c.tap.said); room > 0 {
		c.tap.said = append(c.tap.said, bytes.Clone(p[:min(room, len(p))])...)
	}
	return c.Conn.Write(p)
}

// TestDirectTLS: with certificates the connection is TLS too, by the same ones, and
// one of another node does not do.
func TestDirectTLS(t *testing.T) {
	pki := issueRanks(t, 3)
	identity := func(rank int) trust.Trust {
		who, err := job{rank: rank, pki: pki}.trust()
		if err != nil {
			t.Fatal(err)
		}
		return who
	}
	for name, test := range map[string]struct {
		shown  int // whose certificate rank 0 shows on its direct connection
		notice string
	}{"good": {0, ""}, "another's": {2, "the secret was not accepted"}} {
		t.Run(name, func(t *testing.T) {
			noticed := make(chan string, 2)
			hosts := make([]*host, 2)
			for i := range hosts {
				h, err := listenAs(identity(i), true, grpcring.WithAuthorize(func(ctx context.Context, c grpcring.Claim) error {
					return trust.CheckPeer(ctx, c.Name)
				}))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(h.grpc.Stop)
				hosts[i] = h
			}
			names := func(cfg *collective.Config) { cfg.Members[0].Name, cfg.Members[1].Name = "rank0", "rank1" }
			comms := connectWith(t, hosts, 7, names, func(rank int) []grpcring.Option {
				next, shown := []string{"rank1", "rank0"}[rank], identity(rank)
				if rank == 0 {
					shown = identity(test.shown)
				}
				return []grpcring.Option{
					grpcring.WithDialOptions(identity(rank).Node(next).DialOptions()...),
					grpcring.WithDirect(direct.Dialer{Credentials: shown.Node(next).Credentials(), Notice: func(s string) { noticed <- s }}),
				}
			})
			must(t, comms, func(c *collective.Comm) error { return allCollectives(c, 1000) })
			close(noticed)
			if got := <-noticed; (got == "") != (test.notice == "") || !strings.Contains(got, test.notice) {
				t.Errorf("noticed %q, want %q", got, test.notice)
			}
		})
	}
}
