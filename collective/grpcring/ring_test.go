package grpcring_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"parallax/collective"
	"parallax/collective/grpcring"
	"parallax/internal/direct"
	"parallax/internal/trust"
)

func TestMain(m *testing.M) {
	if job := os.Getenv(rankEnv); job != "" { // the process of another rank
		if err := runChild(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// host is one node daemon: a grpc.Server with the ring's service on it.
type host struct {
	ring   *grpcring.Server
	grpc   *grpc.Server
	addr   string
	direct bool // it offers direct connections, and asks for them
}

func newHost(t testing.TB, opts ...grpcring.ServerOption) *host {
	t.Helper()
	h, err := listen(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.grpc.Stop)
	return h
}

func listen(opts ...grpcring.ServerOption) (*host, error) {
	return listenAs(trust.Trust{}, false, opts...)
}

// listenAs shows and wants the certificates of t.
func listenAs(t trust.Trust, straight bool, opts ...grpcring.ServerOption) (*host, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &host{addr: lis.Addr().String(), direct: straight}
	if straight {
		host := direct.NewHost(t.ServerCredentials(slog.Default()))
		opts, lis = append(opts, grpcring.WithDirectHost(host)), host.Share(lis)
	}
	h.ring = grpcring.NewServer(opts...)
	h.grpc = grpc.NewServer(append(grpcring.ServerOptions(), t.ServerOptions(slog.Default())...)...)
	h.ring.Register(h.grpc)
	go h.grpc.Serve(lis)
	return h, nil
}

func newHosts(t testing.TB, n int) []*host {
	hosts := make([]*host, n)
	for i := range hosts {
		hosts[i] = newHost(t)
	}
	return hosts
}

// view gives rank's configuration in the ring of hosts.
func view(hosts []*host, generation uint64, rank int) collective.Config {
	cfg := collective.Config{Generation: generation, Rank: rank, Timeout: 20 * time.Second}
	for i, h := range hosts {
		cfg.Members = append(cfg.Members, collective.Member{Name: fmt.Sprintf("gpu%02d", i), Host: "localhost", Address: h.addr})
	}
	return cfg
}

// newDirectHosts make direct connections to each other.
func newDirectHosts(t testing.TB, n int) []*host {
	hosts := make([]*host, n)
	for i := range hosts {
		h, err := listenAs(trust.Trust{}, true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.grpc.Stop)
		hosts[i] = h
	}
	return hosts
}

// transports are the kinds of hosts that must pass the same tests.
var transports = map[string]func(testing.TB, int) []*host{"grpc": newHosts, "tcp": newDirectHosts}

// options are how a host links to the next one. A direct connection that does not
// come about is an error.
func (h *host) options(t testing.TB) []grpcring.Option {
	if !h.direct {
		return nil
	}
	return []grpcring.Option{grpcring.WithDirect(direct.Dialer{Notice: func(s string) { t.Error(s) }})}
}

// connect seats all hosts.
func connect(t testing.TB, hosts []*host, generation uint64, tweak func(*collective.Config)) []*collective.Comm {
	t.Helper()
	return connectWith(t, hosts, generation, tweak, func(rank int) []grpcring.Option { return hosts[rank].options(t) })
}

// connectWith seats all hosts, each with options of its own.
func connectWith(t testing.TB, hosts []*host, generation uint64, tweak func(*collective.Config), options func(rank int) []grpcring.Option) []*collective.Comm {
	t.Helper()
	comms := make([]*collective.Comm, len(hosts))
	var wg sync.WaitGroup
	for i, h := range hosts {
		cfg := view(hosts, generation, i)
		if tweak != nil {
			tweak(&cfg)
		}
		wg.Go(func() {
			tr, err := h.ring.Connect(context.Background(), cfg, options(i)...)
			if err != nil {
				t.Error(err)
				return
			}
			if comms[i], err = collective.New(cfg, tr); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return comms
}

// each calls f on all ranks at once and returns their errors.
func each(comms []*collective.Comm, f func(c *collective.Comm) error) []error {
	errs := make([]error, len(comms))
	var wg sync.WaitGroup
	for i, c := range comms {
		wg.Go(func() { errs[i] = f(c) })
	}
	wg.Wait()
	return errs
}

func must(t testing.TB, comms []*collective.Comm, f func(c *collective.Comm) error) {
	t.Helper()
	for _, step := range []func(c *collective.Comm) error{f, (*collective.Comm).Close} {
		for i, err := range each(comms, step) {
			if err != nil {
				t.Errorf("rank %d: %v", i, err)
			}
		}
	}
}

var at = collective.Point{Step: 812, Phase: "gradients", Bucket: 3}

// ramp is rank r's input: small integers, whose sum is exact in any order and in bfloat16.
func ramp(rank, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32((i + rank) % 16)
	}
	return v
}

func rampSum(world, n int) []float32 {
	sum := make([]float32, n)
	for r := range world {
		for i, v := range ramp(r, n) {
			sum[i] += v
		}
	}
	return sum
}

func TestAllCollectives(t *testing.T) {
	for name, hosts := range transports {
		for _, n := range []int{1, 2, 3, 4, 5, 7} {
			for _, chunk := range []int{4096, 40000} { // payloads that are copied, and that are lent
				t.Run(fmt.Sprint(name, "/", n, "/", chunk), func(t *testing.T) {
					comms := connect(t, hosts(t, n), 7, func(cfg *collective.Config) { cfg.ChunkBytes = chunk })
					must(t, comms, everyLength)
				})
			}
		}
	}
}

func everyLength(c *collective.Comm) error {
	n := c.Size()
	for _, length := range []int{0, 1, n - 1, n, n + 1, 257, 12345, 100003} {
		if err := allCollectives(c, length); err != nil {
			return fmt.Errorf("length %d: %w", length, err)
		}
	}
	return nil
}

func allCollectives(c *collective.Comm, length int) error {
	ctx, n := context.Background(), c.Size()
	want := rampSum(n, length)
	bounds := make([]int, n+1)
	for i := range bounds {
		bounds[i] = length * i * i / (n * n)
	}
	for _, op := range []collective.Op{collective.SumF32, collective.SumBF16} {
		out := make([]float32, length)
		if err := c.AllReduce(ctx, at, out, ramp(c.Rank(), length), op); err != nil {
			return err
		}
		if !slices.Equal(out, want) {
			return fmt.Errorf("all-reduce %v is wrong", op)
		}
		inPlace := ramp(c.Rank(), length)
		if err := c.AllReduce(ctx, at, inPlace, inPlace, op); err != nil {
			return err
		}
		if !slices.Equal(inPlace, want) {
			return fmt.Errorf("all-reduce %v in place is wrong", op)
		}
		part := make([]float32, bounds[c.Rank()+1]-bounds[c.Rank()])
		if err := c.ReduceScatter(ctx, at, part, ramp(c.Rank(), length), bounds, op); err != nil {
			return err
		}
		if !slices.Equal(part, want[bounds[c.Rank()]:bounds[c.Rank()+1]]) {
			return fmt.Errorf("reduce-scatter %v is wrong", op)
		}
	}
	whole := []byte(strings.Repeat("parallax", length/8+1))[:length]
	buf := make([]byte, length)
	copy(buf[bounds[c.Rank()]:bounds[c.Rank()+1]], whole[bounds[c.Rank()]:])
	if err := c.AllGather(ctx, at, buf, bounds); err != nil {
		return err
	}
	if !slices.Equal(buf, whole) {
		return errors.New("all-gather is wrong")
	}
	if c.Rank() != n-1 {
		clear(buf)
	}
	if err := c.Broadcast(ctx, at, buf, n-1); err != nil {
		return err
	}
	if !slices.Equal(buf, whole) {
		return errors.New("broadcast is wrong")
	}
	return c.Barrier(ctx, at)
}
