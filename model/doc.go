// Package model is the decoder: its configuration, its parameters in one flat
// buffer, its forward and backward pass, and exact counts of what they cost.
//
// # The network
//
// A Qwen3-style decoder (RMSNorm before each block, rotary positions, grouped
// query heads, SwiGLU, optional norm of the heads' queries and keys, tied or
// untied head) whose token mixer is Parallax attention or softmax attention.
// For tokens n of width d:
//
//	x    = Embed[token]
//	for each layer:
//	    q, r, k, v = split(RMSNorm(x) [Wq; Wr; Wk; Wv]^T)     one product
//	    q, r, k    = rotate(norm?(q)), rotate(norm?(r)), rotate(norm?(k))
//	    x          = x + Attention(q, r, k, v) Wo^T
//	    gate, up   = split(RMSNorm(x) [Wgate; Wup]^T)          one product
//	    x          = x + (silu(gate) * up) Wdown^T
//	loss = cross-entropy(RMSNorm(x) Head^T, target)
//
// It is written once, on [parallax/kernels.Backend], and holds no number on the
// host: a pass is a queue of operations without a round trip inside.
//
// # Memory
//
// Kept for the backward pass are, per token and layer, the two residual inputs,
// the projections, the attention's outputs and statistics, and gate and up. What
// one pass over memory restores (norms, rotations, the activation) is computed
// again, no matrix product is, so the model FLOPs are those executed; unless
// [Config.Recompute] says to keep only the layers' inputs and to compute the rest
// twice. Everything else is scratch that all layers share. Nothing grows with the
// vocabulary.
//
// # Where next
//
// config.go and mixer.go say what can be built, layout.go where each parameter
// lies, forward.go and backward.go are the passes side by side, count.go counts.
// Package optimizer updates the parameters, internal/train drives both.
package model
