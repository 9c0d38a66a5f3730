//go:build cuda

package cuda

import (
	"fmt"
	"math"
	"testing"

	"parallax/kernels"
)

// TestHopperAgrees holds the kernels for Hopper against the portable ones, which
// the conformance suite holds against float64, where it would take long: at lengths
// that divide nothing, with windows, documents and groups of heads.
func TestHopperAgrees(t *testing.T) {
	d := newBench(t)
	if d.arch != "sm_90a" {
		t.Skipf("needs a Hopper GPU, this is %s", d.arch)
	}
	if err := Prebuild(d.arch, 64, 128); err != nil {
		t.Fatal(err)
	}
	for _, length := range []int{1, 63, 111, 128, 1025} {
		for _, dim := range []int{64, 128} {
			for _, heads := range [][2]int{{2, 2}, {8, 2}, {8, 1}} {
				s := kernels.AttentionShape{Batch: 2, SeqLen: length, QHeads: heads[0], KVHeads: heads[1], HeadDim: dim, Scale: 1 / math.Sqrt(float64(dim))}
				d.compareHopper(s, true)
				d.compareHopper(s, false)
				if heads[0] != 2 {
					continue
				}
				for _, window := range []int{0, 16, 64, 200} {
					s.Window, s.DocStart = window, d.documents(s)
					d.compareHopper(s, true)
					s.DocStart = nil
					d.compareHopper(s, window < 64)
				}
			}
		}
	}
}

// documents cuts each sequence at odd places.
func (d *bench) documents(s kernels.AttentionShape) kernels.Buffer {
	starts := make([]int32, s.Batch*s.SeqLen)
	for i := range starts {
		at := i % s.SeqLen
		if at > 0 && (i*7)%61 != 0 {
			starts[i] = starts[i-1]
		} else {
			starts[i] = int32(at)
		}
	}
	buf, err := d.Alloc(kernels.I32, len(starts))
	if err == nil {
		err = d.CopyIn(buf, kernels.Bytes(starts)).Wait()
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return buf
}

// compareHopper runs one problem on both kinds of kernels.
func (d *bench) compareHopper(s kernels.AttentionShape, probe bool) {
	d.t.Helper()
	f, b := d.attention(s, probe)
	outputs := map[string]kernels.Buffer{"O": f.O.Buf, "LSE": f.LSE, "DQ": b.DQ.Buf, "DK": b.DK.Buf, "DV": b.DV.Buf}
	if probe {
		outputs["VBar"], outputs["TBar"], outputs["DR"] = f.VBar.Buf, f.TBar, b.DR.Buf
	}
	run := func(portable bool) map[string][]float64 {
		d.portable = portable
		d.Attention(f)
		d.AttentionBackward(b)
		got := map[string][]float64{}
		for name, buf := range outputs {
			var err error
			if got[name], err = kernels.ReadFloats(d, buf); err != nil {
				d.t.Fatal(err)
			}
		}
		return got
	}
	want, got, again := run(true), run(false), run(false)
	what := fmt.Sprintf("T=%d D=%d H=%d/%d window=%d documents=%v probe=%v", s.SeqLen, s.HeadDim, s.QHeads, s.KVHeads, s.Window, s.DocStart != nil, probe)
	for name := range outputs {
		if rms := difference(got[name], want[name]); !(rms < 8e-3) {
			d.t.Errorf("%s: %s is %.2g from the portable kernel's", what, name, rms)
		}
		for i := range got[name] {
			if got[name][i] != again[name][i] {
				d.t.Errorf("%s: %s[%d] is %g, and %g the second time", what, name, i, got[name][i], again[name][i])
				break
			}
		}
	}
	for _, m := range []kernels.Matrix{f.O, f.Q, f.R, f.K, f.V, f.VBar, b.DQ, b.DR, b.DK, b.DV, b.DO} {
		if !m.Empty() {
			m.Buf.Free()
		}
	}
}

// difference is rms(x - y) / rms(y). Where y is all but zero, as gradients are with
// one key, it is rms(x - y).
func difference(x, y []float64) float64 {
	var diff, ref float64
	for i := range y {
		diff += (x[i] - y[i]) * (x[i] - y[i])
		ref += y[i] * y[i]
	}
	if n := float64(len(y)); math.Sqrt(ref/n) < 1e-2 {
		ref = n
	}
	return math.Sqrt(diff / ref)
}
