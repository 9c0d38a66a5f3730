package transfer

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"parallax/collective"
	"parallax/collective/grpcring"
	"parallax/internal/direct"
	"parallax/internal/ringbench"
)

// benchBytes is the length of a snapshot, and of what goes from one rank to another.
const benchBytes = 256 << 20

// BenchmarkFetch holds the rate at which a snapshot is fetched, between two ends in one
// process on loopback, against that from one rank to another in a ring, over gRPC and
// over direct connections.
func BenchmarkFetch(b *testing.B) {
	b.Run("snapshot over gRPC", func(b *testing.B) { benchSnapshot(b, false) })
	b.Run("snapshot over TCP", func(b *testing.B) { benchSnapshot(b, true) })
	b.Run("ring over gRPC", func(b *testing.B) { benchOneWay(b, false) })
	b.Run("ring over TCP", func(b *testing.B) { benchOneWay(b, true) })
}

// memory is a Target that copies.
type memory struct{ state []byte }

func (m *memory) StateBytes() int64          { return int64(len(m.state)) }
func (m *memory) ChangeBytes() int64         { return 1 }
func (m *memory) Filled(int64) error         { return nil }
func (m *memory) Replay(int64, []byte) error { return nil }

func (m *memory) Fill(offset int64, data []byte) error {
	copy(m.state[offset:], data)
	return nil
}

func benchSnapshot(b *testing.B, straight bool) {
	listener := listen(b)
	serving := listener
	var host *direct.Host
	var dialer *direct.Dialer
	if straight {
		host, dialer = direct.NewHost(insecure.NewCredentials()), &direct.Dialer{Notice: func(s string) { b.Error(s) }}
		serving = host.Share(listener)
	}
	source := NewSource(func(context.Context, string) error { return nil }, host)
	source.Open("r", time.Second)
	source.Permit([]string{"a"})
	source.Offer(Record{0, [][]byte{make([]byte, benchBytes)}})
	server := grpc.NewServer(grpcring.ServerOptions()...)
	source.Register(server)
	go server.Serve(serving)
	defer server.Stop()
	conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), grpcring.DialOptions()...)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	target := &memory{make([]byte, benchBytes)}
	b.SetBytes(benchBytes)
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		f := &Fetch{
			Conn: conn, Address: listener.Addr().String(), Direct: dialer, RunID: "r", Node: "a", Target: target, Silence: time.Minute,
			Alloc: func(n int) []byte { return make([]byte, n) },
			Near:  func(Account) { cancel() }, Left: func(uint64, int64) error { return nil },
		}
		if err := f.Run(ctx); ctx.Err() == nil {
			b.Fatal(err)
		}
	}
}

func benchOneWay(b *testing.B, direct bool) {
	listeners := []net.Listener{listen(b), listen(b)}
	seat := ringbench.Seat{Direct: direct, Wait: time.Minute, Log: slog.New(slog.DiscardHandler)}
	for i, l := range listeners {
		seat.Members = append(seat.Members, collective.Member{Name: string(rune('a' + i)), Address: l.Addr().String()})
	}
	trial := collective.Trial{Elements: benchBytes / 4, Repeat: max(b.N, 5)}
	done := make(chan error, 1)
	measure := func(rank int) (ringbench.Result, error) {
		s := seat
		s.Rank = rank
		return s.Measure(b.Context(), listeners[rank], trial)
	}
	go func() {
		_, err := measure(0)
		done <- err
	}()
	r, err := measure(1)
	if err := errors.Join(err, <-done); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(r.OneWay.AlgGBps*1e3, "MB/s")
	b.ReportMetric(0, "ns/op")
}

func listen(b *testing.B) net.Listener {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return l
}
