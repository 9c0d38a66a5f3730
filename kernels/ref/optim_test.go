package ref

import (
	"math"
	"testing"

	"parallax/kernels"
)

func TestAdamWByHand(t *testing.T) {
	d := newDevice(t)
	op := kernels.AdamW{
		P: d.numbers(2, -1), G: d.numbers(8, 0), M: d.numbers(1, 0), V: d.numbers(4, 0),
		Work: d.zeros(2), GradScale: d.numbers(0.5),
		LR: 0.1, Beta1: 0.5, Beta2: 0.75, Eps: 1, WeightDecay: 0.2, Step: 2,
	}
	d.AdamW(op)
	// g = 4: m = 0.5+2 = 2.5, v = 3+4 = 7; corrections 1-1/4 and 1-9/16.
	p := 2*(1-0.02) - 0.1*(2.5/0.75)/(math.Sqrt(7/0.4375)+1)
	wantClose(t, "m", d.read(op.M), 2.5, 0)
	wantClose(t, "v", d.read(op.V), 7, 0)
	wantClose(t, "p", d.read(op.P), p, -0.98)
	wantClose(t, "work", d.read(op.Work), p, -0.98)
}

func TestMomentumByHand(t *testing.T) {
	for _, test := range []struct {
		nesterov bool
		u        float64
	}{{false, 2 * 0.5 * 3}, {true, 2 + 0.5*3}} {
		d := newDevice(t)
		op := kernels.Momentum{M: d.numbers(2), G: d.numbers(4), GradScale: d.numbers(0.5), Mu: 0.5, Nesterov: test.nesterov}
		op.U = op.G // in place
		d.Momentum(op)
		wantClose(t, "m", d.read(op.M), 3)
		wantClose(t, "u", d.read(op.U), test.u)
	}
}

func TestUpdateAndNormalizeByHand(t *testing.T) {
	d := newDevice(t)
	p, work, u := d.numbers(10, -4), d.zeros(2), d.numbers(2, 8)
	d.Update(kernels.Update{P: p, Work: work, U: u, Decay: 0.5, Rate: 0.25})
	wantClose(t, "p", d.read(p), 4.5, -4)
	wantClose(t, "work", d.read(work), 4.5, -4)

	y := d.zeros(2)
	d.Normalize(kernels.Normalize{Y: y, X: p, SumSquares: d.numbers(16), Factor: 2, Eps: 1})
	wantClose(t, "y", d.read(y), 0.5, -4.0/9)
}

func TestClippingByHand(t *testing.T) {
	d := newDevice(t)
	sum, scale := d.numbers(100), d.zeros(1)
	d.SumSquares(sum, d.numbers(3, 4), false)
	wantClose(t, "sum", d.read(sum), 25)
	d.SumSquares(sum, d.numbers(5, 5, 5), true)
	wantClose(t, "accumulated sum", d.read(sum), 100)
	for _, test := range []struct{ maxNorm, want float64 }{{4, 0.4}, {10, 1}, {20, 1}, {0, 1}} {
		d.ClipScale(scale, sum, test.maxNorm)
		wantClose(t, "scale", d.read(scale), test.want)
	}
	d.Zero(sum)
	d.ClipScale(scale, sum, 1)
	wantClose(t, "scale of a zero gradient", d.read(scale), 1)
}

func TestHeadLossByHand(t *testing.T) {
	d := newDevice(t)
	// Logits (0, ln 3) give probabilities 1/4 and 3/4.
	op := kernels.HeadLoss{
		X: kernels.Mat(d.numbers(math.Log(3), 5), 2, 1), W: kernels.Mat(d.numbers(0, 1), 2, 1),
		Targets: d.ints(0, -1), Loss: d.numbers(9, 9), Scale: 2,
		DX: kernels.Mat(d.numbers(9, 9), 2, 1), DW: kernels.Mat(d.numbers(10, 20), 2, 1),
	}
	d.HeadLoss(op)
	wantClose(t, "loss", d.read(op.Loss), math.Log(4), 0)
	wantClose(t, "dx", d.read(op.DX.Buf), 2*0.75, 0)
	wantClose(t, "dw", d.read(op.DW.Buf), 10-2*0.75*math.Log(3), 20+2*0.75*math.Log(3))
}
