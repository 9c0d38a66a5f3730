package collective

import (
	"context"
	"fmt"

	"parallax/collective/adder"
)

// AllReduce sums in over all ranks into out, on every rank to the same bits.
// Both have the same length, which is the same on all ranks. out may be in
// itself, whose contents are lost then if the call fails, but must not overlap
// it otherwise.
func (c *Comm) AllReduce(ctx context.Context, at Point, out, in []float32, op Op) error {
	if op == SumI32 {
		return fmt.Errorf("collective: all-reduce of %v: %v adds integers, not floats", at, op)
	}
	return c.allReduce(ctx, at, out, in, op)
}

// AllReduceInts sums in over all ranks into out, as AllReduce does. The sums, and
// all partial sums, must stay within int32.
func (c *Comm) AllReduceInts(ctx context.Context, at Point, out, in []int32) error {
	return c.allReduce(ctx, at, wordsOf(out), wordsOf(in), SumI32)
}

func (c *Comm) allReduce(ctx context.Context, at Point, out, in []float32, op Op) error {
	if len(out) != len(in) {
		return fmt.Errorf("collective: all-reduce of %v from %d elements into %d", at, len(in), len(out))
	}
	r := &reduction{comm: c, op: op, out: out, in: in}
	return r.run(ctx, at, split(len(in), c.Size()), 2*(c.Size()-1))
}

// ReduceScatter sums in over all ranks and leaves in[bounds[i]:bounds[i+1]] of
// the sum in rank i's out, which has just that length. bounds has Size()+1
// elements, starts at 0, does not fall, and ends at len(in); it is the same on
// all ranks. out may be this rank's own part of in. With SumBF16 the sum in out
// is not rounded any more: it does not travel.
func (c *Comm) ReduceScatter(ctx context.Context, at Point, out, in []float32, bounds []int, op Op) error {
	if err := c.checkBounds(bounds, len(in)); err != nil {
		return fmt.Errorf("collective: reduce-scatter of %v: %w", at, err)
	}
	base, own := bounds[c.Rank()], bounds[c.Rank()+1]-bounds[c.Rank()]
	if len(out) != own {
		return fmt.Errorf("collective: reduce-scatter of %v: rank %d owns %d elements and has room for %d", at, c.Rank(), own, len(out))
	}
	if op == SumI32 {
		return fmt.Errorf("collective: reduce-scatter of %v: %v adds integers, not floats", at, op)
	}
	r := &reduction{comm: c, op: op, out: out, in: in, base: base, scatter: true}
	return r.run(ctx, at, bounds, c.Size()-1)
}

// checkBounds checks that bounds deal total units out to the ranks.
func (c *Comm) checkBounds(bounds []int, total int) error {
	n := c.Size()
	if len(bounds) != n+1 || bounds[0] != 0 || bounds[n] != total {
		return fmt.Errorf("bounds %v do not deal %d units out to %d ranks", bounds, total, n)
	}
	for i := range n {
		if bounds[i] > bounds[i+1] {
			return fmt.Errorf("bounds %v fall at rank %d", bounds, i)
		}
	}
	return nil
}

// split deals total units out evenly.
func split(total, n int) []int {
	bounds := make([]int, n+1)
	for i := range bounds {
		bounds[i] = int(int64(total) * int64(i) / int64(n))
	}
	return bounds
}

// reduction is a lap that adds. Segment s starts at rank s+1 as that rank's own
// values, each rank adds its own to what comes, and rank s adds last, in hop
// n-2: the order of additions is s+1, s+2, ..., s. In the hops after that the
// sum goes round once more.
type reduction struct {
	comm    *Comm
	op      Op
	out, in []float32 // with SumI32 the bits of int32
	base    int       // out[0] is the sum of in[base]
	scatter bool      // the sum stays where it is complete
}

func (r *reduction) run(ctx context.Context, at Point, bounds []int, hops int) error {
	c := r.comm
	if r.op >= ops {
		return fmt.Errorf("collective: all-reduce of %v: unknown operation %d", at, r.op)
	}
	if err := c.begin(ctx, at, ReduceScatter); err != nil {
		return err
	}
	defer c.end()
	if c.Size() == 1 {
		copy(r.out, r.in)
		return nil
	}
	return c.circulate(&lap{
		ctx: ctx, at: at, op: r.op, bounds: bounds, width: r.op.width(), chunk: c.cfg.ChunkBytes / r.op.width(),
		hops: hops, first: -1, phase: r.phase, load: r.load, turn: r.turn, place: r.place,
	})
}

func (r *reduction) phase(hop int) Phase {
	if hop < r.comm.Size()-1 {
		return ReduceScatter
	}
	return AllGather
}

func (r *reduction) load(lo, hi int) *Buffer {
	if r.op != SumBF16 {
		return r.comm.lend(bytesOf(r.in[lo:hi]))
	}
	b := r.comm.pool.get(2 * (hi - lo))
	adder.Narrow(viewOf[uint16](b.Parts[0]), r.in[lo:hi])
	return &b.Buffer
}

// place is where a sum that has been completed elsewhere belongs, if it travels as
// it stays.
func (r *reduction) place(hop, lo, hi int) []byte {
	if hop <= r.complete() || r.op == SumBF16 {
		return nil
	}
	return bytesOf(r.out[lo:hi])
}

// complete is the hop after which a segment has been added by all.
func (r *reduction) complete() int { return r.comm.Size() - 2 }

func (r *reduction) turn(hop, lo, hi int, b *Buffer) *Buffer {
	b = r.comm.aligned(b, r.op.width())
	switch {
	case hop < r.complete():
		return r.add(lo, hi, b)
	case hop > r.complete() && r.op != SumBF16:
		return r.comm.deliver(bytesOf(r.out[lo:hi]), b)
	case hop > r.complete():
		r.widen(r.out[lo:hi], b)
		return b
	case r.op == SumBF16 && !r.scatter:
		b = r.add(lo, hi, b)
		r.widen(r.out[lo:hi], b)
		return b
	}
	sum := r.out[lo-r.base : hi-r.base]
	r.addInto(sum, r.in[lo:hi], b)
	b.Release()
	if r.scatter {
		return nil
	}
	return r.comm.lend(bytesOf(sum))
}

// add puts in[lo:hi] plus what came in b, as it travels, in b's place.
func (r *reduction) add(lo, hi int, b *Buffer) *Buffer {
	if b.Writable && len(b.Parts) == 1 {
		r.addAs(b.Parts[0], b.Parts[0], r.in[lo:hi])
		return b
	}
	sum := r.comm.pool.get(b.Len())
	dst, own := sum.Parts[0], r.in[lo:hi]
	for _, part := range b.Parts {
		n := len(part) / r.op.width()
		r.addAs(dst[:len(part)], part, own[:n])
		dst, own = dst[len(part):], own[n:]
	}
	b.Release()
	return &sum.Buffer
}

// addAs sets dst to own plus what came, both as they travel.
func (r *reduction) addAs(dst, came []byte, own []float32) {
	switch r.op {
	case SumBF16:
		adder.BF16(viewOf[uint16](dst), viewOf[uint16](came), own)
	case SumI32:
		adder.I32(viewOf[int32](dst), viewOf[int32](came), viewOf[int32](bytesOf(own)))
	default:
		adder.F32(viewOf[float32](dst), viewOf[float32](came), own)
	}
}

// addInto sets dst to own plus what came in b, not rounded.
func (r *reduction) addInto(dst, own []float32, b *Buffer) {
	for _, part := range b.Parts {
		n := len(part) / r.op.width()
		if r.op == SumBF16 {
			adder.Wide(dst[:n], viewOf[uint16](part), own[:n])
		} else {
			r.addAs(bytesOf(dst[:n]), part, own[:n])
		}
		dst, own = dst[n:], own[n:]
	}
}

// widen sets dst to the bfloat16 values in b.
func (r *reduction) widen(dst []float32, b *Buffer) {
	for _, part := range b.Parts {
		n := len(part) / r.op.width()
		adder.Widen(dst[:n], viewOf[uint16](part))
		dst = dst[n:]
	}
}

// aligned returns b, or in its place a copy that can be viewed as values of
// width bytes.
func (c *Comm) aligned(b *Buffer, width int) *Buffer {
	if alignedTo(b.Parts, width) {
		return b
	}
	whole := c.pool.get(b.Len())
	b.AppendTo(whole.Parts[0][:0])
	b.Release()
	return &whole.Buffer
}
