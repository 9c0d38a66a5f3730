// The five numbers per query and head that attention_backward_k_hopper reads, in
// tiles of 64 queries that one copy brings in: tile[5][64] of L log2(e), tau = g.o,
// tbar, beta = g.vbar and the first key. Past the end of a sequence L is infinite,
// so that every weight there is 0. One warp a query and head.

KERNEL void attention_stats_hopper(float* stats, const bf16* g, const bf16* o, const bf16* vbar, const float* lse,
                                   const float* tbar, const int* first, i64 sg, i64 so, i64 svbar, i64 batch, i64 heads,
                                   i64 seq) {
    i64 tiles = (seq + 63) / 64;
    i64 item = (i64)blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
    if (item >= batch * heads * tiles * 64) return;
    i64 i = item % (tiles * 64), head = item / (tiles * 64) % heads, b = item / (tiles * 64) / heads, row = b * seq + i;
    int lane = threadIdx.x & 31;
    bool there = i < seq;
    float tau = 0.f, beta = 0.f;
    for (int c = lane * 2; there && c < DIM; c += 64) {
        u32 x = *(const u32*)(g + row * sg + head * DIM + c), y = *(const u32*)(o + row * so + head * DIM + c);
        float x0 = widen((bf16)x), x1 = widen((bf16)(x >> 16));
        tau += x0 * widen((bf16)y) + x1 * widen((bf16)(y >> 16));
        if (PROBE) {
            u32 z = *(const u32*)(vbar + row * svbar + head * DIM + c);
            beta += x0 * widen((bf16)z) + x1 * widen((bf16)(z >> 16));
        }
    }
    tau = warp_sum(tau);
    beta = warp_sum(beta);
    if (lane != 0) return;
    i64 stat = (b * heads + head) * seq + i;
    float* to = stats + ((b * heads + head) * tiles + i / 64) * 320 + i % 64;
    to[0] = there ? lse[stat] * 1.4426950408889634f : __int_as_float(0x7f800000);
    to[64] = tau;
    to[128] = PROBE && there ? tbar[stat] : 0.f;
    to[192] = beta;
    to[256] = __int_as_float(STARTS && there ? first[row] : 0);
}
