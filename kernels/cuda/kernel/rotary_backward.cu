// The gradient of rotary_forward, one head's vector a warp at a time: the inverse
// rotation gives dn; with a NORM, xhat = x rstd and h = dn gain,
//
//   dx = rstd (h - xhat mean(h xhat))        dgain += sum of dn xhat
//
// Warp w of the grid takes the vectors w, w+warps, ...; each block leaves its share
// of dgain in partial[block], which reduce_rows adds. Lanes hold runs of VEC
// elements, as in rotary_forward.

#define HALF (DIM / 2)
#define RUNS ((HALF + 32 * VEC - 1) / (32 * VEC))

KERNEL void rotary_backward(bf16* dx, const bf16* dy, const bf16* x, const float* table, const bf16* gain, const float* rstd,
                            float* partial, u32 rows, u32 heads, u32 seq, i64 sdx, i64 sdy, i64 sx) {
    __shared__ float share[NORM ? 8 : 1][NORM ? DIM : 1];  // 8 warps
    u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    float glo[RUNS][VEC], ghi[RUNS][VEC];
    for (int p = 0; p < RUNS; p++) {
        for (int j = 0; j < VEC; j++) glo[p][j] = ghi[p][j] = 0.f;
    }
    for (u32 item = blockIdx.x * warps + warp; item < rows * heads; item += gridDim.x * warps) {
        u32 row = item / heads, head = item - row * heads;
        const bf16* from = dy + row * sdy + head * DIM;
        const bf16* in = x + row * sx + head * DIM;
        bf16* to = dx + row * sdx + head * DIM;
        const float* cs = table + (i64)(row % seq) * DIM;
        float lo[RUNS][VEC], hi[RUNS][VEC], xlo[RUNS][VEC], xhi[RUNS][VEC], dot = 0.f, scale = NORM ? rstd[item] : 1.f;
        for (int p = 0; p < RUNS; p++) {
            u32 i = (lane + 32 * p) * VEC;
            if (i >= HALF) continue;
            Run<VEC> dlo = load_run<VEC>(from + i), dhi = load_run<VEC>(from + i + HALF), vlo, vhi;
            if (NORM) vlo = load_run<VEC>(in + i), vhi = load_run<VEC>(in + i + HALF);
            for (int j = 0; j < VEC; j++) {
                float a = widen(dlo.x[j]), b = widen(dhi.x[j]), c = cs[i + j], s = cs[i + j + HALF];
                lo[p][j] = a * c + b * s;
                hi[p][j] = b * c - a * s;
                if (NORM) {
                    xlo[p][j] = widen(vlo.x[j]) * scale;
                    xhi[p][j] = widen(vhi.x[j]) * scale;
                    glo[p][j] += lo[p][j] * xlo[p][j];
                    ghi[p][j] += hi[p][j] * xhi[p][j];
                    lo[p][j] *= widen(gain[i + j]);
                    hi[p][j] *= widen(gain[i + j + HALF]);
                    dot += lo[p][j] * xlo[p][j] + hi[p][j] * xhi[p][j];
                }
            }
        }
        float mean = NORM ? warp_sum(dot) / DIM : 0.f;
        for (int p = 0; p < RUNS; p++) {
            u32 i = (lane + 32 * p) * VEC;
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
    if (NORM) {
        for (int p = 0; p < RUNS; p++) {
            u32 i = (lane + 32 * p) * VEC;
            if (i >= HALF) continue;
            for (int j = 0; j < VEC; j++) {
                share[warp][i + j] = glo[p][j];
                share[warp][i + j + HALF] = ghi[p][j];
            }
        }
        __syncthreads();
        for (int i = threadIdx.x; i < DIM; i += blockDim.x) {
            float sum = 0.f;
            for (u32 w = 0; w < warps; w++) sum += share[w][i];
            partial[(i64)blockIdx.x * DIM + i] = sum;
        }
    }
}
