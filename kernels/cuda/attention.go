//go:build cuda

package cuda

import (
	"fmt"

	"parallax/kernels"
)

// attentionPlan is what one attention shape needs of the kernels: see
// kernel/attention.cuh for the macros.
type attentionPlan struct {
	dim, width, slice int
	tile              int // keys (or queries) of a streamed tile
	probe, aligned    bool
	starts            bool // a window or documents
}

// planAttention chooses the tiles so that accumulators stay in registers: above a
// width of 128 each block computes half of the output's columns.
func planAttention(s kernels.AttentionShape, probe, aligned bool) attentionPlan {
	p := attentionPlan{dim: s.HeadDim, probe: probe, aligned: aligned, starts: s.Window > 0 || s.DocStart != nil}
	p.width, p.tile = (s.HeadDim+15)/16*16, 32
	p.slice = p.width
	if p.width > 128 {
		p.width = (s.HeadDim + 31) / 32 * 32
		p.slice, p.tile = p.width/2, 16
	}
	return p
}

func (p attentionPlan) defines(tile string) string {
	return fmt.Sprintf("DIM=%d WIDTH=%d SLICE=%d %s=%d %s %s %s", p.dim, p.width, p.slice, tile, p.tile,
		flag("PROBE", p.probe), flag("STARTS", p.starts), flag("ALIGNED", p.aligned))
}

// rows is the bytes of so many rows in shared memory.
func (p attentionPlan) rows(n int) int { return 2 * n * (p.width + 8) }

// per is n with a probe, n-1 without: the number of query-side tiles.
func (p attentionPlan) per(n int) int {
	if p.probe {
		return n
	}
	return n - 1
}

// forward, backwardQ and backwardK are the three programs with the shared memory
// that each needs, as laid out at the head of its source.
func (p attentionPlan) forward() (program, int) {
	return program{"attention_forward", p.defines("KEYS")}, p.rows(64*p.per(2)+2*p.tile) + 2*2*p.tile*(p.slice+8)
}

func (p attentionPlan) backwardQ() (program, int) {
	return program{"attention_backward_q", p.defines("KEYS")}, p.rows(64*p.per(3) + 4*p.tile)
}

func (p attentionPlan) backwardK() (program, int) {
	const stats = 5
	return program{"attention_backward_k", p.defines("QUERIES")}, p.rows(128+2*p.per(3)*p.tile) + 2*stats*4*p.tile
}

// grid is a block for every 64 rows (queries or keys), slice, head and
// sequence.
func (p attentionPlan) grid(s kernels.AttentionShape, heads, shared int) grid {
	return grid{x: (s.SeqLen + 63) / 64 * (p.width / p.slice), y: heads, z: s.Batch, threads: 128, shared: shared}
}

// firstKeys is the first key that each position sees, as the kernels read it; nil
// where all see key 0.
func (b *Backend) firstKeys(s kernels.AttentionShape) (first *buffer, free func(), ok bool) {
	doc := b.typed("attention DocStart", s.DocStart, kernels.I32)
	if s.Window == 0 {
		return doc, func() {}, true
	}
	n := s.Batch * s.SeqLen
	first, free, ok = b.scratch("attention", kernels.I32, n)
	if ok {
		b.queue.do("attention", func() error {
			return b.launch(program{name: "attention_starts"}, blocks((n+255)/256, 256), ptr(first), ptr(doc), num(n), num(s.SeqLen), num(s.Window))
		})
	}
	return first, free, ok
}

// Attention computes the output and the statistics that the backward pass needs.
func (b *Backend) Attention(op kernels.Attention) {
	kernels.Must(op.Check())
	kernels.Must(op.CheckVBar())
	probe := !op.R.Empty()
	o, q, k, v := b.mat("attention O", op.O, kernels.BF16), b.mat("attention Q", op.Q, kernels.BF16), b.mat("attention K", op.K, kernels.BF16), b.mat("attention V", op.V, kernels.BF16)
	var r, vbar matrix
	var tbar *buffer
	if probe {
		r, vbar = b.mat("attention R", op.R, kernels.BF16), b.mat("attention VBar", op.VBar, kernels.BF16)
		tbar = b.typed("attention TBar", op.TBar, kernels.F32)
	}
	lse := b.typed("attention LSE", op.LSE, kernels.F32)
	first, free, ok := b.firstKeys(op.AttentionShape)
	if !ok {
		return
	}
	defer free()
	plan := planAttention(op.AttentionShape, probe, run(op.HeadDim, q, r, k, v) == 8)
	if b.hopper(plan, o, vbar) {
		b.queue.do("attention", func() error {
			return b.attentionForwardHopper(op.AttentionShape, plan, o, vbar, q, r, k, v, lse, tbar, first)
		})
		return
	}
	p, shared := plan.forward()
	b.queue.do("attention", func() error {
		return b.launch(p, plan.grid(op.AttentionShape, op.QHeads, shared),
			ptr(o.buf), ptr(vbar.buf), ptr(lse), ptr(tbar), ptr(q.buf), ptr(r.buf), ptr(k.buf), ptr(v.buf), ptr(first),
			num(o.stride), num(vbar.stride), num(q.stride), num(r.stride), num(k.stride), num(v.stride),
			num(op.SeqLen), num(op.QHeads), num(op.KVHeads), real(op.Scale))
	})
}

// AttentionBackward computes the gradients: one kernel for dq and dr, one for dk
// and dv, so that no two blocks add to one number.
func (b *Backend) AttentionBackward(op kernels.AttentionBackward) {
	kernels.Must(op.Check())
	kernels.Must(op.CheckVBar())
	a := b.attentionArgs(op)
	first, free, ok := b.firstKeys(op.AttentionShape)
	if !ok {
		return
	}
	defer free()
	a.first = first
	hopper := b.hopper(a.plan, a.dq, a.dr, a.dk, a.dv, a.o, a.vbar)
	rows := op.Batch * op.QHeads * op.SeqLen
	n := 2 * rows
	if hopper {
		n = op.Batch * op.QHeads * ((op.SeqLen + 63) / 64) * hopperStats
	}
	stats, freeStats, ok := b.scratch("attention backward", kernels.F32, n)
	if !ok {
		return
	}
	defer freeStats()
	a.stats = stats
	b.queue.do("attention backward", func() error {
		if hopper {
			return b.attentionBackwardHopper(op.AttentionShape, a)
		}
		a.tau, a.beta = stats.Slice(0, rows).(*buffer), stats.Slice(rows, n).(*buffer)
		return b.attentionBackward(op.AttentionShape, a)
	})
}

// attentionArgs are the checked arguments of a backward pass.
type attentionArgs struct {
	dq, dr, dk, dv, g, q, r, k, v, o, vbar matrix
	lse, tbar, tau, beta, first, stats     *buffer
	plan                                   attentionPlan
}

// NeedsVBar is true: rows are never whole in a kernel.
func (b *Backend) NeedsVBar(kernels.AttentionShape) bool { return true }

func (b *Backend) attentionArgs(op kernels.AttentionBackward) attentionArgs {
	a := attentionArgs{
		dq: b.mat("attention DQ", op.DQ, kernels.BF16), dk: b.mat("attention DK", op.DK, kernels.BF16), dv: b.mat("attention DV", op.DV, kernels.BF16),
		g: b.mat("attention DO", op.DO, kernels.BF16), q: b.mat("attention Q", op.Q, kernels.BF16), k: b.mat("attention K", op.K, kernels.BF16),
		v: b.mat("attention V", op.V, kernels.BF16), o: b.mat("attention O", op.O, kernels.BF16),
		lse: b.typed("attention LSE", op.LSE, kernels.F32),
	}
	probe := !op.R.Empty()
	if probe {
		a.dr, a.r = b.mat("attention DR", op.DR, kernels.BF16), b.mat("attention R", op.R, kernels.BF16)
		a.vbar, a.tbar = b.mat("attention VBar", op.VBar, kernels.BF16), b.typed("attention TBar", op.TBar, kernels.F32)
	}
	a.plan = planAttention(op.AttentionShape, probe, run(op.HeadDim, a.g, a.q, a.r, a.k, a.v) == 8)
	return a
}

func (b *Backend) attentionBackward(s kernels.AttentionShape, a attentionArgs) error {
	rows := s.Batch * s.SeqLen
	p := program{"attention_stats", fmt.Sprintf("DIM=%d %s", s.HeadDim, flag("PROBE", a.plan.probe))}
	err := b.launch(p, blocks((rows*s.QHeads+7)/8, 256), ptr(a.tau), ptr(a.beta), ptr(a.g.buf), ptr(a.o.buf), ptr(a.vbar.buf),
		num(a.g.stride), num(a.o.stride), num(a.vbar.stride), num(rows), num(s.QHeads), num(s.SeqLen))
	if err != nil {
		return err
	}
	p, shared := a.plan.backwardQ()
	err = b.launch(p, a.plan.grid(s, s.QHeads, shared), a.params(s, a.dq, a.dr)...)
	if err != nil {
		return err
	}
	p, shared = a.plan.backwardK()
	return b.launch(p, a.plan.grid(s, s.KVHeads, shared), a.params(s, a.dk, a.dv)...)
}

// params are the parameters of either kernel, whose outputs are x and y.
func (a attentionArgs) params(s kernels.AttentionShape, x, y matrix) []uint64 {
	return []uint64{
		ptr(x.buf), ptr(y.buf), ptr(a.g.buf), ptr(a.q.buf), ptr(a.r.buf), ptr(a.k.buf), ptr(a.v.buf),
		ptr(a.lse), ptr(a.tbar), ptr(a.tau), ptr(a.beta), ptr(a.first),
		num(x.stride), num(y.stride), num(a.g.stride), num(a.q.stride), num(a.r.stride), num(a.k.stride), num(a.v.stride),
		num(s.SeqLen), num(s.QHeads), num(s.KVHeads), real(s.Scale),
	}
}
