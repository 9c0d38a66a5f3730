// RMSNorm of each head's vector with a shared gain (NORM), then the rotation by the
// row's position. A warp takes a row, LANES lanes a head's vector, so that the row's
// sines and the gain are read once for all heads. DIM is the head size; lane l of a
// vector holds the pairs (i, i + DIM/2) for the runs of VEC elements at
// i = VEC l, VEC (l+LANES), ...
#include "rotary.cuh"

KERNEL void rotary_forward(bf16* y, const bf16* x, const float* table, const bf16* gain, float* rstd, u32 rows, u32 heads,
                           u32 seq, i64 sy, i64 sx, float eps) {
    u32 row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
    if (row >= rows) return;
    u32 lane = threadIdx.x % LANES;
    Turn turn(table + (i64)(row % seq) * DIM, gain, lane);
    x += row * sx;
    y += row * sy;
#pragma unroll 2
    for (u32 first = 0; first < heads; first += TOGETHER) {
        u32 head = first + (threadIdx.x & 31) / LANES;
        bool there = head < heads;
        const bf16* from = x + head * DIM;
        bf16* to = y + head * DIM;
        Run<VEC> lo[RUNS], hi[RUNS];
        float sum = 0.f;
#pragma unroll
        for (int p = 0; p < RUNS; p++) {
            u32 i = (lane + LANES * p) * VEC;
            if (!there || i >= HALF) continue;
            lo[p] = load_run<VEC>(from + i);
            hi[p] = load_run<VEC>(from + i + HALF);
            for (int j = 0; j < VEC; j++) sum += widen(lo[p].x[j]) * widen(lo[p].x[j]) + widen(hi[p].x[j]) * widen(hi[p].x[j]);
        }
        float scale = 1.f;
        if (NORM) scale = rsqrtf(lanes_sum(sum) / DIM + eps);
        if (!there) continue;
        if (NORM && lane == 0) rstd[(i64)row * heads + head] = scale;
#pragma unroll
        for (int p = 0; p < RUNS; p++) {
            u32 i = (lane + LANES * p) * VEC;
            if (i >= HALF) continue;
            for (int j = 0; j < VEC; j++) {
                float a = widen(lo[p].x[j]), b = widen(hi[p].x[j]);
                if (NORM) {
                    a *= scale * turn.glo[p][j];
                    b *= scale * turn.ghi[p][j];
                }
                narrow(a * turn.c[p][j] - b * turn.s[p][j], lo[p].x[j]);
                narrow(b * turn.c[p][j] + a * turn.s[p][j], hi[p].x[j]);
            }
            store_run(to + i, lo[p]);
            store_run(to + i + HALF, hi[p]);
        }
    }
}
