package grpcring_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"parallax/collective"
	"parallax/collective/grpcring"
	pb "parallax/proto/parallax/v1"
)

func deadline(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// wantLost checks that err is an *Error that suspects peer and says all of want.
func wantLost(t *testing.T, err error, peer int, want ...string) {
	t.Helper()
	var e *collective.Error
	if !errors.As(err, &e) || e.Peer != peer {
		t.Errorf("%v does not name rank %d", err, peer)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v does not say %q", err, w)
		}
	}
}

func TestNextIsNotThere(t *testing.T) {
	hosts := newHosts(t, 2)
	hosts[1].grpc.Stop()
	_, err := hosts[0].ring.Connect(deadline(t, 100*time.Millisecond), view(hosts, 7, 0))
	wantLost(t, err, 1, "rank 0 (gpu00) lost rank 1 (gpu01 at "+hosts[1].addr+")", "generation 7")
}

func TestPreviousDoesNotCome(t *testing.T) {
	hosts := newHosts(t, 3)
	go hosts[1].ring.Connect(deadline(t, 200*time.Millisecond), view(hosts, 7, 1))
	_, err := hosts[0].ring.Connect(deadline(t, 200*time.Millisecond), view(hosts, 7, 0))
	wantLost(t, err, 2, "its link of generation 7 did not come")
}

func TestOlderGenerationIsRefused(t *testing.T) {
	hosts := newHosts(t, 2)
	must(t, connect(t, hosts, 8, nil), func(*collective.Comm) error { return nil })
	_, err := hosts[0].ring.Connect(deadline(t, 10*time.Second), view(hosts, 7, 0))
	wantLost(t, err, 1, "generation 7 is over, this node is in 8")
}

// TestGenerationsFollow: a server outlives its views, and a neighbour may be
// early in the next one.
func TestGenerationsFollow(t *testing.T) {
	for name, make := range transports {
		t.Run(name, func(t *testing.T) {
			hosts := make(t, 3)
			for generation := range uint64(4) {
				must(t, connect(t, hosts, generation, nil), func(c *collective.Comm) error { return c.Barrier(t.Context(), at) })
				hosts = append(hosts[1:], hosts[0])
			}
		})
	}
}

func TestAnotherViewIsRefused(t *testing.T) {
	hosts := newHosts(t, 2)
	other := view(hosts, 7, 1)
	other.Members[1].Name = "impostor"
	ctx := deadline(t, 10*time.Second)
	go hosts[1].ring.Connect(ctx, other)
	_, err := hosts[0].ring.Connect(ctx, view(hosts, 7, 0))
	wantLost(t, err, 1, "impostor", "whose view is another")
}

func TestAuthorizeRefuses(t *testing.T) {
	a := newHost(t)
	b := newHost(t, grpcring.WithAuthorize(func(_ context.Context, c grpcring.Claim) error {
		return errors.New("no token from " + c.Name)
	}))
	hosts := []*host{a, b}
	_, err := a.ring.Connect(deadline(t, 10*time.Second), view(hosts, 7, 0))
	wantLost(t, err, 1, "no token from gpu00")
}

func TestWorldOfOne(t *testing.T) {
	hosts := newHosts(t, 1)
	tr, err := hosts[0].ring.Connect(t.Context(), view(hosts, 7, 0))
	if tr != nil || err != nil {
		t.Errorf("%v, %v", tr, err)
	}
}

// TestOtherServicesKeepProtobuf: the ring's codec is for the ring alone.
func TestOtherServicesKeepProtobuf(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpcring.ServerOptions()...)
	grpcring.NewServer().Register(g)
	healthpb.RegisterHealthServer(g, health.NewServer())
	go g.Serve(lis)
	defer g.Stop()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer, err := healthpb.NewHealthClient(conn).Check(deadline(t, 10*time.Second), &healthpb.HealthCheckRequest{})
	if err != nil || answer.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", answer, err)
	}
}

// rawCodec sends any bytes under the ring's content subtype.
type rawCodec struct{ encoding.CodecV2 }

func (rawCodec) Name() string { return "parallax-frame" }
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}
func (rawCodec) Unmarshal(mem.BufferSlice, any) error { return nil }

// intrude opens a link to h with the given metadata.
func intrude(t *testing.T, h *host, pairs ...string) grpc.ClientStream {
	t.Helper()
	stream, err := tryToIntrude(t, h, pairs...)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func tryToIntrude(t *testing.T, h *host, pairs ...string) (grpc.ClientStream, error) {
	t.Helper()
	conn, err := grpc.NewClient(h.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx := metadata.AppendToOutgoingContext(deadline(t, 10*time.Second), pairs...)
	return pb.NewRingClient(conn).Link(ctx, grpc.ForceCodecV2(rawCodec{}))
}

func claim(generation string) []string {
	return []string{"parallax-generation", generation, "parallax-from", "1", "parallax-to", "0", "parallax-world", "2", "parallax-name", "gpu01"}
}

func TestGarbageOnALink(t *testing.T) {
	hosts := newHosts(t, 2)
	intruder := intrude(t, hosts[0], claim("7")...)
	cfg := view(hosts, 7, 0)
	cfg.Timeout = 4 * time.Second
	go func() { // the next rank does take part, once its link is taken to be there
		if _, err := intruder.Header(); err == nil {
			hosts[1].ring.Connect(t.Context(), view(hosts, 7, 1))
		}
	}()
	tr, err := hosts[0].ring.Connect(deadline(t, 10*time.Second), cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := collective.New(cfg, tr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := intruder.SendMsg([]byte("GET / HTTP/1.1")); err != nil {
		t.Fatal(err)
	}
	<-c.Failed()
	wantLost(t, c.Err(), 1, "a frame of 14 bytes is shorter than its 27-byte header")
}

func TestBadClaimsAreRefused(t *testing.T) {
	h := newHost(t)
	for _, generation := range []string{"", "-1", "seven"} {
		stream := intrude(t, h, claim(generation)...)
		if err := stream.RecvMsg(nil); err == nil || !strings.Contains(err.Error(), "is not a number that a link has") {
			t.Errorf("%q: %v", generation, err)
		}
	}
}

// TestLongClaimsAreRefused: before memory is taken for them.
func TestLongClaimsAreRefused(t *testing.T) {
	h := newHost(t)
	stream, err := tryToIntrude(t, h, append(claim("7"), "parallax-name", strings.Repeat("x", 1<<17))...)
	if err == nil {
		err = stream.RecvMsg(nil)
	}
	if err == nil || !strings.Contains(err.Error(), "header list size") {
		t.Errorf("a name of 128 KiB: %v", err)
	}
}

func TestLinksThatNobodyWaitsForAreBounded(t *testing.T) {
	h := newHost(t)
	refused := make(chan error, 20)
	for generation := range 20 {
		stream := intrude(t, h, claim(strconv.Itoa(100+generation))...)
		go func() { refused <- stream.RecvMsg(nil) }()
	}
	for range 4 {
		if err := <-refused; err == nil || !strings.Contains(err.Error(), "16 links wait") {
			t.Errorf("%v", err)
		}
	}
}
