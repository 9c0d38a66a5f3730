// The two numbers per query and head that the backward pass needs beside those the
// forward pass saved: tau = g.o and, with PROBE, beta = g.vbar. One warp a pair.

KERNEL void attention_stats(float* tau, float* beta, const bf16* g, const bf16* o, const bf16* vbar, i64 sg, i64 so, i64 svbar,
                            i64 rows, i64 heads, i64 seq) {
    i64 item = (i64)blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
    if (item >= rows * heads) return;
    int lane = threadIdx.x & 31;
    i64 row = item / heads, head = item % heads;
    g += row * sg + head * DIM;
    o += row * so + head * DIM;
    if (PROBE) vbar += row * svbar + head * DIM;
    float a = 0.f, b = 0.f;
    for (int i = lane; i < DIM; i += 32) {
        float d = widen(g[i]);
        a += d * widen(o[i]);
        if (PROBE) b += d * widen(vbar[i]);
    }
    a = warp_sum(a);
    if (PROBE) b = warp_sum(b);
    if (lane != 0) return;
    i64 at = (row / seq * heads + head) * seq + row % seq;
    tau[at] = a;
    if (PROBE) beta[at] = b;
}
