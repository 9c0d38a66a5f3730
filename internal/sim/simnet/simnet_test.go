package simnet

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
)

const oneWay = 3 * time.Millisecond

// joined is a network with two processes, a and b, and a connection between them.
type joined struct {
	*Network
	a, b   *Process
	ca, cb net.Conn
}

func join(t *testing.T) joined {
	t.Helper()
	n := New(func(string, string) time.Duration { return oneWay })
	j := joined{Network: n, a: n.Start("a", "127.0.0.1"), b: n.Start("b", "127.0.0.2")}
	l, err := j.b.Listen("127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	if j.ca, err = j.a.Dial(context.Background(), l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if j.cb, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return j
}

func bubble(t *testing.T, f func(t *testing.T, j joined)) {
	synctest.Test(t, func(t *testing.T) { f(t, join(t)) })
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// wantRead wants a text, after a time.
func wantRead(t *testing.T, c net.Conn, want string, after time.Duration) {
	t.Helper()
	began, b := time.Now(), make([]byte, len(want))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want || time.Since(began) != after {
		t.Fatalf("read %q (%v) after %v, want %q after %v", b, err, time.Since(began), want, after)
	}
}

func wantError(t *testing.T, c net.Conn, want error) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, want) {
		t.Fatalf("read %d bytes and %v, want %v", n, err, want)
	}
}

func TestBytesTakeTheirTime(t *testing.T) {
	bubble(t, func(t *testing.T, j joined) {
		send(t, j.ca, "one")
		send(t, j.ca, "two")
		wantRead(t, j.cb, "onetwo", oneWay)
		j.Slow("b", "a", time.Second)
		send(t, j.cb, "late")
		j.Slow("b", "a", 0)
		send(t, j.cb, "r")
		wantRead(t, j.ca, "later", time.Second+oneWay)
		j.ca.Close()
		wantError(t, j.cb, io.EOF)
		wantError(t, j.ca, net.ErrClosed)
	})
}

func TestCutHoldsEverything(t *testing.T) {
	bubble(t, func(t *testing.T, j joined) {
		j.Cut("a", "b")
		send(t, j.ca, "held")
		j.ca.Close()
		time.AfterFunc(time.Minute, func() { j.Heal("a", "b") })
		wantRead(t, j.cb, "held", time.Minute)
		wantError(t, j.cb, io.EOF)
	})
}

func TestDialWaitsForAnEdge(t *testing.T) {
	bubble(t, func(t *testing.T, j joined) {
		l, err := j.b.Listen("127.0.0.2:0")
		if err != nil {
			t.Fatal(err)
		}
		j.Cut("a", "b")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := j.a.Dial(ctx, l.Addr().String()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("across a cut edge: %v", err)
		}
		time.AfterFunc(time.Second, func() { j.Heal("a", "b") })
		if _, err := j.a.Dial(context.Background(), l.Addr().String()); err != nil {
			t.Errorf("across one that is mended: %v", err)
		}
	})
}

func TestCrash(t *testing.T) {
	bubble(t, func(t *testing.T, j joined) {
		send(t, j.ca, "last words")
		j.a.Crash()
		wantRead(t, j.cb, "last words", oneWay)
		wantError(t, j.cb, syscall.ECONNRESET)
		wantError(t, j.ca, net.ErrClosed)
		if _, err := j.cb.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("writing to the dead: %v", err)
		}
		if _, err := j.b.Dial(context.Background(), "127.0.0.1:7001"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialling the dead: %v", err)
		}
		if _, err := j.a.Listen("127.0.0.1:0"); !errors.Is(err, syscall.ENETDOWN) {
			t.Errorf("the dead listens: %v", err)
		}
		j.Start("a", "127.0.0.1") // another life
	})
}

func TestFreeze(t *testing.T) {
	bubble(t, func(t *testing.T, j joined) {
		j.b.Freeze()
		send(t, j.ca, "to")
		send(t, j.cb, "fro")
		time.AfterFunc(time.Second, j.b.Thaw)
		wantRead(t, j.ca, "fro", time.Second)
		wantRead(t, j.cb, "to", 0)
	})
}

func TestDeadlines(t *testing.T) {
	bubble(t, func(t *testing.T, j joined) {
		if err := j.ca.SetDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		wantError(t, j.ca, os.ErrDeadlineExceeded)
		for err := error(nil); err == nil; { // until the window is full
			if err = j.cb.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err = j.cb.Write(make([]byte, window/4)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
		}
	})
}

func TestPacketsAreLostOnACutEdge(t *testing.T) {
	bubble(t, func(t *testing.T, j joined) {
		a, b := j.a.Gossip(), j.b.Gossip()
		defer j.a.Crash() // which ends the accepting of streams
		defer j.b.Crash()
		ip, port, err := b.FinalAdvertiseAddr("", 0)
		if err != nil {
			t.Fatal(err)
		}
		to := (&net.TCPAddr{IP: ip, Port: port}).String()
		for _, text := range []string{"first", "lost", "second"} {
			if text == "lost" {
				j.Cut("a", "b")
			}
			if _, err := a.WriteTo([]byte(text), to); err != nil {
				t.Fatal(err)
			}
			j.Heal("a", "b")
		}
		if got, want := arrivals(t, b.PacketCh()), []string{"first", "second"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		c, err := a.DialTimeout(to, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		send(t, c, "stream")
		wantRead(t, <-b.StreamCh(), "stream", oneWay)
	})
}

// arrivals are the packets of the next second, sorted: packets of the same moment
// arrive in any order.
func arrivals(t *testing.T, packets <-chan *memberlist.Packet) (texts []string) {
	for over := time.After(time.Second); ; {
		select {
		case p := <-packets:
			if p.From.String() == "" {
				t.Errorf("packet %q is from nowhere", p.Buf)
			}
			texts = append(texts, string(p.Buf))
		case <-over:
			slices.Sort(texts)
			return texts
		}
	}
}
