// The gradient of rotary_forward: the inverse rotation gives dn; with a NORM,
// xhat = x rstd and h = dn gain,
//
//   dx = rstd (h - xhat mean(h xhat))        dgain += sum of dn xhat
//
// Warp w of the grid takes the rows w, w+warps, ...; each block leaves its share of
// dgain in partial[block], which reduce_rows adds. Lanes hold vectors as in
// rotary_forward.
#include "rotary.cuh"

#define SHARES (8 * TOGETHER)  // of dgain in a block of 8 warps

KERNEL void rotary_backward(bf16* dx, const bf16* dy, const bf16* x, const float* table, const bf16* gain, const float* rstd,
                            float* partial, u32 rows, u32 heads, u32 seq, i64 sdx, i64 sdy, i64 sx) {
    __shared__ float share[NORM ? SHARES : 1][NORM ? DIM : 1];
    u32 lane = threadIdx.x % LANES, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    float glo[RUNS][VEC], ghi[RUNS][VEC];
    for (int p = 0; p < RUNS; p++) {
        for (int j = 0; j < VEC; j++) glo[p][j] = ghi[p][j] = 0.f;
    }
    for (u32 row = blockIdx.x * warps + warp; row < rows; row += gridDim.x * warps) {
        Turn turn(table + (i64)(row % seq) * DIM, gain, lane);
#pragma unroll 2
        for (u32 first = 0; first < heads; first += TOGETHER) {
            u32 head = first + (threadIdx.x & 31) / LANES;
            bool there = head < heads;
            const bf16* from = dy + row * sdy + head * DIM;
            const bf16* in = x + row * sx + head * DIM;
            bf16* to = dx + row * sdx + head * DIM;
            float lo[RUNS][VEC], hi[RUNS][VEC], xlo[RUNS][VEC], xhi[RUNS][VEC], dot = 0.f;
            float scale = NORM && there ? rstd[(i64)row * heads + head] : 1.f;
#pragma unroll
            for (int p = 0; p < RUNS; p++) {
                u32 i = (lane + LANES * p) * VEC;
                if (!there || i >= HALF) continue;
                Run<VEC> dlo = load_run<VEC>(from + i), dhi = load_run<VEC>(from + i + HALF), vlo, vhi;
                if (NORM) vlo = load_run<VEC>(in + i), vhi = load_run<VEC>(in + i + HALF);
                for (int j = 0; j < VEC; j++) {
                    float a = widen(dlo.x[j]), b = widen(dhi.x[j]), c = turn.c[p][j], s = turn.s[p][j];
                    lo[p][j] = a * c + b * s;
                    hi[p][j] = b * c - a * s;
                    if (NORM) {
                        xlo[p][j] = widen(vlo.x[j]) * scale;
                        xhi[p][j] = widen(vhi.x[j]) * scale;
                        glo[p][j] += lo[p][j] * xlo[p][j];
                        ghi[p][j] += hi[p][j] * xhi[p][j];
                        lo[p][j] *= turn.glo[p][j];
                        hi[p][j] *= turn.ghi[p][j];
                        dot += lo[p][j] * xlo[p][j] + hi[p][j] * xhi[p][j];
                    }
                }
            }
            float mean = NORM ? lanes_sum(dot) / DIM : 0.f;
            if (!there) continue;
#pragma unroll
            for (int p = 0; p < RUNS; p++) {
                u32 i = (lane + LANES * p) * VEC;
                if (i >= HALF) continue;
                Run<VEC> rlo, rhi;
                for (int j = 0; j < VEC; j++) {
                    narrow(NORM ? scale * (lo[p][j] - xlo[p][j] * mean) : lo[p][j], rlo.x[j]);
                    narrow(NORM ? scale * (hi[p][j] - xhi[p][j] * mean) : hi[p][j], rhi.x[j]);
                }
                store_run(to + i, rlo);
                store_run(to + i + HALF, rhi);
            }
        }
    }
    if (NORM) {
        for (int p = 0; p < RUNS; p++) {
            u32 i = (lane + LANES * p) * VEC;
            if (i >= HALF) continue;
            for (int j = 0; j < VEC; j++) {
                share[threadIdx.x / LANES][i + j] = glo[p][j];
                share[threadIdx.x / LANES][i + j + HALF] = ghi[p][j];
            }
        }
        __syncthreads();
        for (int i = threadIdx.x; i < DIM; i += blockDim.x) {
            float sum = 0.f;
            for (u32 w = 0; w < SHARES; w++) sum += share[w][i];
            partial[(i64)blockIdx.x * DIM + i] = sum;
        }
    }
}
