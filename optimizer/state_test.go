package optimizer

import (
	"slices"
	"testing"

	"parallax/kernels"
)

// TestStateIsAllThatAStepDependsOn moves parameters and named state to a fresh
// optimizer, which must go on with the same bits.
func TestStateIsAllThatAStepDependsOn(t *testing.T) {
	for name, c := range settings() {
		be := cpu(t)
		old, fresh := newRig(t, be, c), newRig(t, be, c)
		for step := 1; step <= 2; step++ {
			old.step(t, step, 1)
		}
		write(t, be, fresh.target.Params, read(t, be, old.target.Params))
		from, to := old.State(), fresh.State()
		for i := range from {
			if from[i].Name != to[i].Name || from[i].Rows*from[i].Cols != from[i].Buffer.Len() {
				t.Errorf("%s: %s, %dx%d, becomes %s", name, from[i].Name, from[i].Rows, from[i].Cols, to[i].Name)
			}
			write(t, be, to[i].Buffer, read(t, be, from[i].Buffer))
		}
		old.step(t, 3, 1)
		fresh.step(t, 3, 1)
		if !slices.Equal(old.contents(t), fresh.contents(t)) {
			t.Errorf("%s: the fresh optimizer goes on differently", name)
		}
	}
}

func TestStateNames(t *testing.T) {
	var names []string
	for _, s := range newRig(t, oracle(t), muonConfig()).State() {
		names = append(names, s.Name)
	}
	want := []string{
		"adam_m.embed", "adam_v.embed", "adam_m.norm0", "adam_v.norm0",
		"momentum.q", "momentum.k", "momentum.up", "adam_m.norm1", "adam_v.norm1",
		"momentum.down", "momentum.square", "adam_m.head", "adam_v.head",
	}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
}

// meter is a backend with some lanes that adds up the bytes it is asked for.
type meter struct {
	kernels.Backend
	lanes int
	bytes int64
}

func (m *meter) Alloc(dt kernels.DType, n int) (kernels.Buffer, error) {
	m.bytes += int64(n * dt.Size())
	return m.Backend.Alloc(dt, n)
}

func (m *meter) Lanes() int                                      { return m.lanes }
func (m *meter) Deal(int, func(be kernels.Backend, lane, i int)) {}

func TestMemoryBytesIsWhatIsAllocated(t *testing.T) {
	for name, c := range settings() {
		for _, backend := range []kernels.Backend{oracle(t), mixed{oracle(t)}} {
			for _, lanes := range []int{1, 2, 100} {
				checkMemoryBytes(t, name, c, &meter{Backend: backend, lanes: lanes})
			}
		}
	}
}

func checkMemoryBytes(t *testing.T, name string, c Config, be *meter) {
	t.Helper()
	precision := be.Info().Precision
	target := Target{Grads: alloc(t, be, precision.Master, make([]float64, someSize))}
	target.Params, target.Work = target.Grads, target.Grads
	be.bytes = 0
	o, err := New(be, c, someParams(), target)
	if err != nil {
		t.Fatal(err)
	}
	count := MemoryBytes(c, someParams(), precision, be.lanes)
	if be.bytes != count.State+count.Scratch {
		t.Errorf("%s, %d lanes: %d bytes allocated, %d counted", name, be.lanes, be.bytes, count.State+count.Scratch)
	}
	var state int64
	for _, b := range o.StateBuffers() {
		state += int64(b.Len() * b.DType().Size())
	}
	if state != count.State {
		t.Errorf("%s: %d bytes of state, %d counted", name, state, count.State)
	}
}

// TestStateIsCompact: momentum for the runs under Muon, two moments for the others,
// each run with the gaps inside it, and rounded up to 16 elements.
func TestStateIsCompact(t *testing.T) {
	f32 := kernels.Precision{Compute: kernels.F32, Master: kernels.F32}
	// Muon: q to up is [48, 182), down to square [208, 308). AdamW: embed, norm0, norm1, head.
	const muon, adam = 144 + 112, 32 + 16 + 16 + 32
	if got := MemoryBytes(muonConfig(), someParams(), f32, 1).State; got != 4*(muon+2*adam) {
		t.Errorf("%d bytes of state, want %d", got, 4*(muon+2*adam))
	}
}
