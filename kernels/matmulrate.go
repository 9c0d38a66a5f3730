package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

const (
	smallestProduct = 512 // rows and columns
	largestProduct  = 8192
	repeats         = 80 // at most, in the time given: so long a product that timers and launches are lost in it
	leastRepeats    = 5
)

// MatMulRate measures the FLOP/s of a device in square matrix products of its
// Compute type: the best of some, because whatever disturbs them makes them
// slower. It takes a little more than the time it is given; half a second is enough
// on a quiet host.
func MatMulRate(be Backend, within time.Duration) (float64, error) {
	for n := smallestProduct; ; n *= 2 {
		p, err := newProduct(be, n)
		if err != nil {
			return 0, err
		}
		once, err := p.time()
		if err != nil || once < within/repeats && n < largestProduct {
			p.free()
			if err != nil {
				return 0, err
			}
			continue
		}
		best, err := p.best(within)
		p.free()
		return p.flops / best.Seconds(), err
	}
}

// product is a matrix product to be timed.
type product struct {
	be    Backend
	op    MatMul
	flops float64
}

func newProduct(be Backend, n int) (*product, error) {
	p := &product{be: be, op: MatMul{Alpha: 1}}
	for _, m := range []*Matrix{&p.op.A, &p.op.B, &p.op.C} {
		buf, err := be.Alloc(be.Info().Precision.Compute, n*n)
		if err != nil {
			p.free()
			return nil, fmt.Errorf("measuring matrix products: %w", err)
		}
		*m = Mat(buf, n, n)
		if err := be.CopyIn(buf, noise(buf)).Wait(); err != nil {
			p.free()
			return nil, fmt.Errorf("measuring matrix products: %w", err)
		}
	}
	p.flops = float64(p.op.FLOPs())
	_, err := p.time() // the first one pays for what is set up once
	return p, err
}

// noise is random numbers of magnitude 1 to 2 for a buffer: products of zeros take
// less power, and some devices then run at a higher clock than with any real ones.
func noise(buf Buffer) []byte {
	r := rand.New(rand.NewPCG(1, 1))
	switch buf.DType() {
	case BF16:
		x := make([]uint16, buf.Len())
		for i := range x {
			x[i] = 0x3f80 | uint16(r.Uint32())&0x807f
		}
		return Bytes(x)
	case F32:
		x := make([]float32, buf.Len())
		for i := range x {
			x[i] = math.Float32frombits(0x3f800000 | r.Uint32()&0x807fffff)
		}
		return Bytes(x)
	}
	return nil // the oracle's speed is not to be estimated
}

func (p *product) free() {
	for _, m := range []Matrix{p.op.A, p.op.B, p.op.C} {
		if !m.Empty() {
			m.Buf.Free()
		}
	}
}

func (p *product) time() (time.Duration, error) {
	began := time.Now()
	p.be.MatMul(p.op)
	err := p.be.Sync()
	return time.Since(began), err
}

func (p *product) best(within time.Duration) (time.Duration, error) {
	best := time.Duration(0)
	began := time.Now()
	for i := 0; i < leastRepeats || time.Since(began) < within; i++ {
		d, err := p.time()
		if err != nil {
			return 0, err
		}
		if i == 0 || d < best {
			best = d
		}
	}
	return best, nil
}
