package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"parallax/collective"
	"parallax/kernels"
)

// hub is where the devices of a test meet.
type hub struct {
	mu      sync.Mutex
	changed *sync.Cond
	rounds  map[int]map[int][]byte // what ranks brought, by number of the collective
	why     error
	refuse  bool // nobody can join
}

func newHub() *hub {
	h := &hub{rounds: map[int]map[int][]byte{}}
	h.changed = sync.NewCond(&h.mu)
	return h
}

// meet brings a rank's bytes and returns all ranks', once all are there.
func (h *hub) meet(round, rank, size int, mine []byte) (map[int][]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rounds[round] == nil {
		h.rounds[round] = map[int][]byte{}
	}
	h.rounds[round][rank] = mine
	h.changed.Broadcast()
	for h.why == nil && len(h.rounds[round]) < size {
		h.changed.Wait()
	}
	return h.rounds[round], h.why
}

// linked is a CPU whose memory others reach through a hub.
type linked struct {
	kernels.Backend
	hub  *hub
	name string
}

func (l *linked) FabricDevice() (string, error) { return l.name, nil }
func (l *linked) NewGroupID() ([]byte, error)   { return []byte("a name"), nil }

func (l *linked) JoinGroup(_ context.Context, id []byte, rank, size int) (kernels.Group, error) {
	if string(id) != "a name" {
		return nil, fmt.Errorf("the name %q", id)
	}
	if l.hub.refuse {
		return nil, errors.New("the cable is missing")
	}
	return &linkedGroup{l, rank, size, 0}, nil
}

type linkedGroup struct {
	l                 *linked
	rank, size, round int
}

type later func() error

func (f later) Wait() error { return f() }

// collective brings buf and calls done with what all have brought.
func (g *linkedGroup) collective(buf kernels.Buffer, done func(all map[int][]byte, out []byte)) kernels.Event {
	mine := make([]byte, buf.Len()*buf.DType().Size())
	if err := g.l.CopyOut(mine, buf).Wait(); err != nil {
		return later(func() error { return err })
	}
	g.round++
	round := g.round
	return later(func() error {
		all, err := g.l.hub.meet(round, g.rank, g.size, mine)
		if err != nil {
			return err
		}
		out := bytes.Clone(mine)
		done(all, out)
		return g.l.CopyIn(buf, out).Wait()
	})
}

func (g *linkedGroup) AllReduce(buf kernels.Buffer) kernels.Event {
	return g.collective(buf, func(all map[int][]byte, out []byte) {
		clear(out)
		for rank := range g.size {
			switch buf.DType() {
			case kernels.I32:
				for i, x := range kernels.Cast[int32](all[rank]) {
					kernels.Cast[int32](out)[i] += x
				}
			case kernels.F32:
				for i, x := range kernels.Cast[float32](all[rank]) {
					kernels.Cast[float32](out)[i] += x
				}
			case kernels.BF16:
				sum := kernels.Cast[uint16](out)
				for i, x := range kernels.Cast[uint16](all[rank]) {
					sum[i] = kernels.ToBF16(kernels.FromBF16(sum[i]) + kernels.FromBF16(x))
				}
			}
		}
	})
}

func (g *linkedGroup) AllGather(buf kernels.Buffer, bounds []int) kernels.Event {
	return g.collective(buf, func(all map[int][]byte, out []byte) {
		size := buf.DType().Size()
		for rank := range g.size {
			copy(out[bounds[rank]*size:bounds[rank+1]*size], all[rank][bounds[rank]*size:])
		}
	})
}

func (g *linkedGroup) Abort(why error) {
	g.l.hub.mu.Lock()
	defer g.l.hub.mu.Unlock()
	if g.l.hub.why == nil {
		g.l.hub.why = why
	}
	g.l.hub.changed.Broadcast()
}

func (g *linkedGroup) Close() {}

// link gives each rank's device a place at a hub.
func (c cluster) link(h *hub) {
	for rank, trainer := range c {
		l := &linked{trainer.be, h, fmt.Sprintf("device %d", rank)}
		trainer.be = l
	}
}

// join has all ranks choose, and returns what they say.
func (c cluster) join(t *testing.T, want Fabric) string {
	t.Helper()
	said := make([]string, len(c))
	c.each(t, func(rank int, trainer *Trainer) (err error) {
		said[rank], err = trainer.JoinFabric(context.Background(), want)
		return err
	})
	for rank, s := range said {
		if s != said[0] {
			t.Fatalf("rank %d says %q, rank 0 %q", rank, s, said[0])
		}
	}
	return said[0]
}

// Two ranks end in the same bits through their devices' fabric and through the ring:
// a sum of two has one order.
func TestFabricTrains(t *testing.T) {
	for _, op := range []string{"sum-f32", "sum-exact"} {
		spec := testSpec(t, "train.reduction="+op)
		ring := newCluster(t, spec, 2)
		want := ring.train(t, 4)
		c := newCluster(t, spec, 2)
		h := newHub()
		c.link(h)
		if said := c.join(t, FabricAuto); !strings.Contains(said, "NCCL: 2 ranks") {
			t.Fatalf("%s: %s", op, said)
		}
		got := c.train(t, 4)
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s, step %d: loss %v through the fabric, %v through the ring", op, i+1, got[i], want[i])
			}
		}
		if len(h.rounds) == 0 || !bytes.Equal(c.digest(t), ring.digest(t)) {
			t.Errorf("%s: %d collectives on the fabric; the states must be equal", op, len(h.rounds))
		}
	}
}

// With sum-bf16 the gradients that travel are rounded, and the losses those of float32
// within that.
func TestFabricRounds(t *testing.T) {
	want := newCluster(t, testSpec(t, "train.reduction=sum-f32"), 2).train(t, 6)
	c := newCluster(t, testSpec(t, "train.reduction=sum-bf16"), 2)
	c.link(newHub())
	c.join(t, FabricAuto)
	got := c.train(t, 6)
	same := true
	for i := range want {
		same = same && got[i] == want[i]
		if math.Abs(got[i]-want[i]) > 2e-2*want[i] {
			t.Errorf("step %d: loss %v, with float32 %v", i+1, got[i], want[i])
		}
	}
	if same {
		t.Error("nothing was rounded")
	}
	c.digest(t)
}

// Where the fabric cannot be had, all ranks say why, and the ring does.
func TestFabricRefused(t *testing.T) {
	spec := testSpec(t, "train.reduction=sum-f32")
	for _, c := range []struct {
		prepare func(c cluster)
		want    Fabric
		says    string
	}{
		{func(c cluster) {}, FabricAuto, "rank 0 cannot do better: device cpu has no fabric"},
		{func(c cluster) { c.link(newHub()) }, FabricRing, "--fabric ring"},
		{func(c cluster) { c.link(newHub()); c[1].be.(*linked).name = "device 0" }, FabricAuto, "ranks 0 and 1 share one device"},
		{func(c cluster) { c.link(&hub{refuse: true}) }, FabricAuto, "the cable is missing"},
	} {
		two := newCluster(t, spec, 2)
		c.prepare(two)
		if said := two.join(t, c.want); !strings.Contains(said, "ring of hosts") || !strings.Contains(said, c.says) {
			t.Errorf("said %q, want %q in it", said, c.says)
		}
		two.train(t, 1)
	}
	two := newCluster(t, spec, 2)
	errs := make([]error, 2)
	two.each(t, func(rank int, trainer *Trainer) error {
		_, errs[rank] = trainer.JoinFabric(context.Background(), FabricNCCL)
		return nil
	})
	for rank, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "--fabric nccl") {
			t.Errorf("rank %d: error %v, want one that names the setting", rank, err)
		}
	}
	if said := newCluster(t, spec, 1).join(t, FabricNCCL); !strings.Contains(said, "one rank") {
		t.Errorf("one rank says %q", said)
	}
}

// A rank whose context ends frees the others from the group.
func TestFabricAborts(t *testing.T) {
	c := newCluster(t, testSpec(t, "train.reduction=sum-f32"), 2)
	c.link(newHub())
	c.join(t, FabricAuto)
	gone := errors.New("a neighbour is gone")
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error)
	go func() {
		_, err := c[0].Step(ctx) // rank 1 makes none
		done <- err
	}()
	cancel(gone)
	if err := <-done; !errors.Is(err, gone) {
		t.Errorf("error %v, want %v", err, gone)
	}
}

// What a rank tells fits its place on the ring, however much it has to say.
func TestCardsAreBounded(t *testing.T) {
	comm, err := collective.New(collective.Config{Members: []collective.Member{{Name: "a"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer comm.Close()
	v := &view{comm: comm}
	for _, long := range []string{"no ", "<\n", "ü"} {
		got, err := v.show(context.Background(), 0, 0, card{Want: FabricAuto, Device: "d", Why: strings.Repeat(long, 1000)})
		if err != nil || len(got) != 1 || len(got[0].Why) < 40 || got[0].Device != "d" {
			t.Errorf("%q again and again: cards %v, error %v", long, got, err)
		}
	}
	if _, err := v.show(context.Background(), 0, 0, card{Device: strings.Repeat("x", cardBytes)}); err == nil {
		t.Error("a device's name that is longer than a card: taken")
	}
}

func TestParseFabric(t *testing.T) {
	for _, name := range []string{"auto", "ring", "nccl"} {
		if f, err := ParseFabric(name); err != nil || string(f) != name {
			t.Errorf("%s: %q, %v", name, f, err)
		}
	}
	if _, err := ParseFabric("rings"); err == nil || !strings.Contains(err.Error(), "nccl") {
		t.Errorf("error %v, want one that names what there is", err)
	}
}
