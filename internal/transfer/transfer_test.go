package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"parallax/internal/direct"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A toy's state is bytes, and a step adds a byte to each.
const (
	toyBytes    = 3*PieceBytes + 12345
	changeBytes = PieceBytes + 10
)

func toyState(step int64) []byte {
	rng := rand.NewChaCha8([32]byte{1})
	state := make([]byte, toyBytes)
	_, _ = rng.Read(state)
	for s := int64(1); s <= step; s++ {
		advance(state, toyChange(s))
	}
	return state
}

func toyChange(step int64) []byte {
	return bytes.Repeat([]byte{byte(step*7 + 1)}, changeBytes)
}

func advance(state, change []byte) {
	for len(state) > 0 {
		n := min(len(state), len(change))
		for i, c := range change[:n] {
			state[i] += c
		}
		state = state[n:]
	}
}

// toy is a Target.
type toy struct {
	mu    sync.Mutex
	state []byte
	step  int64
	whole bool
}

func newToy() *toy { return &toy{state: make([]byte, toyBytes)} }

func (y *toy) StateBytes() int64  { return toyBytes }
func (y *toy) ChangeBytes() int64 { return changeBytes }

func (y *toy) Fill(offset int64, data []byte) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.whole = false
	copy(y.state[offset:], data)
	return nil
}

func (y *toy) Filled(step int64) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.step, y.whole = step, true
	return nil
}

func (y *toy) Replay(step int64, change []byte) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	if !y.whole || step != y.step+1 {
		return fmt.Errorf("step %d follows step %d (whole: %t)", step, y.step, y.whole)
	}
	advance(y.state, change)
	y.step = step
	return nil
}

// want holds the state against the one after so many steps.
func (y *toy) want(t *testing.T, step int64) {
	t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.step != step || !bytes.Equal(y.state, toyState(step)) {
		t.Errorf("it holds step %d with other bytes than step %d has", y.step, step)
	}
}

// rig is a source that serves on loopback, and what tampers with its pieces.
type rig struct {
	t      *testing.T
	source *Source
	server *grpc.Server
	conn   *grpc.ClientConn
	addr   string
	dialer *direct.Dialer // nil: pieces come over gRPC

	strangers map[string]error // who shows no certificate of their name
	mu        sync.Mutex
	sent      int
	tamper    func(n int, m *outgoing) error // of the n-th piece, from 0
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigWith(t, insecure.NewCredentials())
}

// newRigWith is a rig with credentials for direct connections.
func newRigWith(t *testing.T, creds credentials.TransportCredentials) *rig {
	t.Helper()
	r := &rig{t: t}
	host := direct.NewHost(creds)
	r.source = NewSource(func(_ context.Context, node string) error { return r.strangers[node] }, host)
	r.source.Open("r", 10*time.Millisecond)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = listener.Addr().String()
	r.server = grpc.NewServer(grpc.StreamInterceptor(r.intercept))
	r.source.Register(r.server)
	var served sync.WaitGroup
	served.Go(func() { _ = r.server.Serve(host.Share(listener)) })
	r.conn, err = grpc.NewClient("passthrough:///"+r.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.conn.Close()
		r.server.Stop()
		served.Wait()
	})
	return r
}

func (r *rig) intercept(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return handle(srv, &tampered{s, r})
}

type tampered struct {
	grpc.ServerStream
	rig *rig
}

func (s *tampered) SendMsg(v any) error {
	m := v.(*outgoing)
	s.rig.mu.Lock()
	if s.rig.tamper != nil && Kind(m.head[0]) != Idle {
		if err := s.rig.tamper(s.rig.sent, m); err != nil {
			s.rig.mu.Unlock()
			return err
		}
		s.rig.sent++
	}
	s.rig.mu.Unlock()
	return s.ServerStream.SendMsg(m)
}

// serve has the source hold the state after a step.
func (r *rig) serve(step int64, nodes ...string) {
	r.t.Helper()
	r.source.Permit(nodes)
	if !r.source.Wanted() {
		r.t.Fatal("no snapshot is wanted of a source that has none")
	}
	state := toyState(step)
	r.source.Offer(Record{step, [][]byte{state[:100], state[100 : PieceBytes+5], state[PieceBytes+5:]}})
}

// step makes a step.
func (r *rig) step(step int64) {
	c := toyChange(step)
	r.source.Append(Record{step, [][]byte{c[:8], c[8:]}})
}

// joiner is a fetch under way.
type joiner struct {
	*toy
	cancel context.CancelFunc
	near   chan Account
	left   chan int64
	ended  chan error
}

func (r *rig) join(node string) *joiner {
	ctx, cancel := context.WithCancel(context.Background())
	j := &joiner{toy: newToy(), cancel: cancel, near: make(chan Account, 1), left: make(chan int64, 8), ended: make(chan error, 1)}
	f := r.fetch(node, j)
	go func() { j.ended <- f.Run(ctx) }()
	r.t.Cleanup(cancel)
	return j
}

func (r *rig) fetch(node string, j *joiner) *Fetch {
	return &Fetch{
		Conn: r.conn, Address: r.addr, Direct: r.dialer, RunID: "r", Node: node, Target: j.toy, Silence: 20 * time.Second,
		Alloc: func(n int) []byte { return make([]byte, n) },
		Near:  func(a Account) { j.near <- a },
		Left:  func(_ uint64, step int64) error { j.left <- step; return nil },
	}
}

// await waits for news of a fetch that is under way.
func await[T any](t *testing.T, j *joiner, news <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-news:
	case err := <-j.ended:
		t.Fatalf("the fetch ended with %v", err)
	}
	return got
}

// close ends a fetch, which must have been under way.
func (j *joiner) close(t *testing.T) {
	t.Helper()
	j.cancel()
	if err := <-j.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

func TestFetchesAndFollows(t *testing.T) {
	r := newRig(t)
	r.serve(3, "a")
	j := r.join("a")
	if got := await(t, j, j.near); got.Step != 3 || got.Bytes != toyBytes || got.Replayed != 0 {
		t.Errorf("near with %+v", got)
	}
	for step := range int64(5) {
		r.step(4 + step)
	}
	r.source.Leave(1, 8)
	if step := await(t, j, j.left); step != 8 {
		t.Errorf("the ranks left after step %d", step)
	}
	j.want(t, 8)
	r.step(9)
	r.source.Leave(2, 9)
	await(t, j, j.left)
	j.want(t, 9)
	j.close(t)
}

// Changes that come while the snapshot is under way are replayed behind it.
func TestFollowsWhileItFetches(t *testing.T) {
	r := newRig(t)
	made := make(chan struct{})
	r.tamper = func(n int, m *outgoing) error {
		if n == 1 {
			for step := range int64(3) {
				r.step(1 + step)
			}
			r.source.Leave(1, 3)
			close(made)
		}
		return nil
	}
	r.serve(0, "a")
	j := r.join("a")
	<-made
	await(t, j, j.left)
	j.want(t, 3)
	j.close(t)
}

// Whatever is damaged or breaks off on the way is asked for again, and nothing else.
func TestDamage(t *testing.T) {
	flip := func(m *outgoing) {
		if len(m.parts) > 0 {
			m.parts[0] = slices.Clone(m.parts[0])
			m.parts[0][0] ^= 1
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for name, tamper := range map[string]func(n int, m *outgoing) error{
		"first piece": func(n int, m *outgoing) error {
			if n == 0 {
				flip(m)
			}
			return nil
		},
		"some pieces": func(_ int, m *outgoing) error {
			if rng.IntN(3) == 0 {
				flip(m)
			}
			return nil
		},
		"header": func(n int, m *outgoing) error {
			if n == 2 {
				m.head[18] ^= 4
			}
			return nil
		},
		"broken stream": func(_ int, m *outgoing) error {
			if rng.IntN(3) == 0 {
				return errors.New("cut")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.tamper = tamper
			r.serve(0, "a")
			j := r.join("a")
			await(t, j, j.near)
			r.step(1)
			r.step(2)
			r.source.Leave(1, 2)
			await(t, j, j.left)
			j.want(t, 2)
			j.close(t)
		})
	}
}

func TestGivesUpWhereNothingComes(t *testing.T) {
	r := newRig(t)
	r.tamper = func(int, *outgoing) error { return errors.New("the disk is made of cheese") }
	r.serve(0, "a")
	if err := <-r.join("a").ended; err == nil || err.Error() != "the disk is made of cheese" {
		t.Errorf("it ended with %v", err)
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	r.strangers = map[string]error{"stranger": errors.New("the certificate is another's")}
	r.serve(0, "a")
	for node, want := range map[string]string{
		"stranger": "the certificate is another's",
		"b":        "the coordinator has not said that b may fetch from here",
	} {
		j := r.join(node)
		if err := <-j.ended; err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", node, err, want)
		}
	}
}

// A source that says nothing is given up at once.
func TestSilence(t *testing.T) {
	r := newRig(t)
	r.source.Open("r", time.Hour)
	r.source.Permit([]string{"a"}) // and nobody offers a snapshot
	j := &joiner{toy: newToy()}
	f := r.fetch("a", j)
	f.Silence = 50 * time.Millisecond
	if err := f.Run(t.Context()); err == nil || err.Error() != "it has said nothing for 50ms" {
		t.Errorf("it ended with %v", err)
	}
}

// Two joiners share a snapshot, and the last one to go takes it with it.
func TestSharesTheSnapshot(t *testing.T) {
	r := newRig(t)
	r.serve(5, "a")
	a := r.join("a")
	await(t, a, a.near)
	r.source.Permit([]string{"a", "b"})
	b := r.join("b")
	await(t, b, b.near)
	if r.source.Wanted() {
		t.Error("a second snapshot is wanted")
	}
	r.step(6)
	r.source.Leave(1, 6)
	await(t, a, a.left)
	await(t, b, b.left)
	b.want(t, 6)
	a.close(t)
	b.close(t)
	r.source.Permit(nil)
	if r.source.Recording() || r.source.Wanted() || r.source.held != nil || r.source.log != nil {
		t.Error("memory is held for nobody")
	}
}

// A joiner that falls behind the log begins again with a new snapshot.
func TestBoundedLog(t *testing.T) {
	r := newRig(t)
	r.source.logBytes = 2 * changeBytes
	r.serve(0, "a")
	for step := range int64(5) {
		r.step(1 + step)
	}
	if len(r.source.log) != 2 || r.source.logged != 2*changeBytes {
		t.Errorf("the log has %d changes of %d bytes", len(r.source.log), r.source.logged)
	}
	j := r.join("a")
	for !r.source.Wanted() {
		time.Sleep(time.Millisecond)
	}
	r.source.Offer(Record{5, [][]byte{toyState(5)}})
	if got := await(t, j, j.near); got.Step != 5 {
		t.Errorf("near with %+v", got)
	}
	r.step(6)
	r.source.Leave(1, 6)
	await(t, j, j.left)
	j.want(t, 6)
	j.close(t)
}

// When the source's state becomes another the joiner begins again.
func TestBreak(t *testing.T) {
	r := newRig(t)
	r.serve(0, "a")
	j := r.join("a")
	await(t, j, j.near)
	r.source.Break()
	if r.source.Recording() || !r.source.Wanted() {
		t.Error("a source whose state has jumped still records")
	}
	r.source.Offer(Record{7, [][]byte{toyState(7)}})
	r.step(8)
	r.source.Leave(1, 8)
	await(t, j, j.left)
	j.want(t, 8)
	j.close(t)
}
