//go:build cuda

package cuda

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parallax/kernels"
)

// seats opens n GPUs and joins them to a group.
func seats(t *testing.T, n int, id []byte) ([]*Backend, []kernels.Group) {
	t.Helper()
	backends, groups := make([]*Backend, n), make([]kernels.Group, n)
	for i := range backends {
		b, err := open(i % 2) // the fake driver has two
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		backends[i] = b
	}
	each(n, func(i int) {
		var err error
		if groups[i], err = backends[i].JoinGroup(context.Background(), id, i, n); err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return backends, groups
}

// each runs one function a rank at once.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func newGroupID(t *testing.T, b *Backend) []byte {
	t.Helper()
	id, err := b.NewGroupID()
	if err != nil || len(id) > kernels.MaxGroupID {
		t.Fatalf("a name of %d bytes, error %v", len(id), err)
	}
	return id
}

// TestOnFakeGroup reduces and gathers over one, two and three ranks.
func TestOnFakeGroup(t *testing.T) {
	first := onFake(t)
	defer first.Close()
	for n := 1; n <= 3; n++ {
		exchange(t, n, newGroupID(t, first))
	}
}

// TestGroupOfTwo does so on two real GPUs.
func TestGroupOfTwo(t *testing.T) {
	if _, err := findDevice(1); err != nil {
		t.Skipf("needs two GPUs: %v", err)
	}
	n, err := loadNCCL()
	if err != nil {
		t.Skipf("needs NCCL: %v", err)
	}
	id, err := n.newID()
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, 2, id)
}

// exchange has n ranks add and gather.
func exchange(t *testing.T, n int, id []byte) {
	t.Helper()
	backends, groups := seats(t, n, id)
	bounds := append([]int{0, 1, 1, 4}[:n:n], 5)
	each(n, func(i int) {
		sum, parts := floats(t, backends[i], 1, 2, 3), floats(t, backends[i], 0, 0, 0, 0, 0)
		for at := bounds[i]; at < bounds[i+1]; at++ {
			if err := kernels.WriteFloats(backends[i], parts.Slice(at, at+1), []float64{float64(10 + at)}); err != nil {
				t.Error(err)
			}
		}
		for _, e := range []kernels.Event{groups[i].AllReduce(sum), groups[i].AllGather(parts, bounds)} {
			if err := e.Wait(); err != nil {
				t.Error(err)
			}
		}
		m := float64(n)
		expect(t, backends[i], sum, m, 2*m, 3*m)
		expect(t, backends[i], parts, 10, 11, 12, 13, 14)
		groups[i].Close()
	})
}

func floats(t *testing.T, b *Backend, x ...float64) kernels.Buffer {
	buf, err := b.Alloc(kernels.F32, len(x))
	if err == nil {
		err = kernels.WriteFloats(b, buf, x)
	}
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(buf.Free)
	return buf
}

func expect(t *testing.T, b *Backend, buf kernels.Buffer, want ...float64) {
	if got, err := kernels.ReadFloats(b, buf); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, error %v, want %v", got, err, want)
	}
}

// TestOnFakeGroupAbort frees a rank that waits for one that never comes, and leaves
// the device usable.
func TestOnFakeGroupAbort(t *testing.T) {
	first := onFake(t)
	defer first.Close()
	backends, groups := seats(t, 2, newGroupID(t, first))
	why := errors.New("rank 1 is gone")
	e := groups[0].AllReduce(floats(t, backends[0], 1))
	groups[0].Abort(why)
	if err := e.Wait(); !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
	if err := groups[0].AllReduce(floats(t, backends[0], 1)).Wait(); !errors.Is(err, why) {
		t.Errorf("after it, error %v, want %v", err, why)
	}
	expect(t, backends[0], floats(t, backends[0], 7), 7)
	groups[1].Close()
}

// TestOnFakeGroupFailure wants the library's word where a collective fails.
func TestOnFakeGroupFailure(t *testing.T) {
	onFake(t).Close()
	id := make([]byte, 128)
	id[0] = 'x'
	backends, groups := seats(t, 1, id)
	if err := groups[0].AllReduce(floats(t, backends[0], 1)).Wait(); err == nil || !strings.Contains(err.Error(), "failure of the network") {
		t.Errorf("error %v, want NCCL's", err)
	}
	expect(t, backends[0], floats(t, backends[0], 7), 7)
}

// TestOnFakeGroupPatience gives up on a rank that does not come.
func TestOnFakeGroupPatience(t *testing.T) {
	b := onFake(t)
	defer b.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := b.JoinGroup(ctx, newGroupID(t, b), 0, 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that the time is over", err)
	}
	if _, err := b.JoinGroup(ctx, []byte("short"), 0, 2); err == nil {
		t.Error("a name of 5 bytes: taken")
	}
	one, err := b.FabricDevice()
	if err != nil {
		t.Fatal(err)
	}
	other, err := open(1)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if two, err := other.FabricDevice(); err != nil || one == two {
		t.Errorf("two GPUs have the names %s and %s, error %v", one, two, err)
	}
}

// TestGroupOfOne makes a communicator of the GPU that there is.
func TestGroupOfOne(t *testing.T) {
	b := openGPU(t)
	t.Cleanup(func() { b.Close() })
	if _, err := loadNCCL(); err != nil {
		t.Skipf("needs NCCL: %v", err)
	}
	id, err := b.NewGroupID()
	if err != nil {
		t.Fatal(err)
	}
	g, err := b.JoinGroup(context.Background(), id, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	buf := floats(t, b, 1, 2, 3)
	for _, e := range []kernels.Event{g.AllReduce(buf), g.AllGather(buf, []int{0, 3})} {
		if err := e.Wait(); err != nil {
			t.Error(err)
		}
	}
	expect(t, b, buf, 1, 2, 3)
	g.Close()
	if err := g.AllReduce(buf).Wait(); !errors.Is(err, errLeft) {
		t.Errorf("after Close: error %v", err)
	}
}
