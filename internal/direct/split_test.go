package direct

import (
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSplit: each kind of connection goes its way with all of its bytes.
func TestSplit(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	direct := make(chan string, 1)
	both := split(lis, time.Minute, func(conn net.Conn) {
		defer conn.Close()
		all, _ := io.ReadAll(conn)
		direct <- string(all)
	})
	defer both.Close()
	say(t, lis, Magic+"secret")
	if got := <-direct; got != "secret" {
		t.Errorf("the direct connection says %q", got)
	}
	for _, text := range []string{"PRI * HTTP/2.0", "PLXRING0 almost", "\x16\x03\x01 and so on", "PLX"} {
		say(t, lis, text)
		conn, err := both.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if all, err := io.ReadAll(conn); err != nil || string(all) != text {
			t.Errorf("%q came as %q, %v", text, all, err)
		}
		conn.Close()
	}
}

func say(t *testing.T, lis net.Listener, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// TestSplitCloses: also while connections have said nothing, or wait to be accepted.
func TestSplitCloses(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	both := split(lis, time.Hour, func(conn net.Conn) { conn.Close() })
	silent, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	say(t, lis, "PRI * HTTP/2.0")
	if err := both.Close(); err != nil {
		t.Error(err)
	}
	if _, err := both.Accept(); err == nil {
		t.Error("a closed listener accepts")
	}
}
