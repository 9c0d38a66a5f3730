// The gradient of rotary_forward, one head's vector a warp at a time: the inverse
// rotation gives dn; with a NORM, xhat = x rstd and h = dn gain,
//
//   dx = rstd (h - xhat mean(h xhat))        dgain += sum of dn xhat
//
// Warp w of the grid takes the vectors w, w+warps, ...; each block leaves its share
// of dgain in partial[block], which reduce_rows adds.

#define HALF (DIM / 2)
#define PAIRS ((HALF + 31) / 32)

KERNEL void rotary_backward(bf16* dx, const bf16* dy, const bf16* x, const float* table, const bf16* gain, const float* rstd,
                            float* partial, i64 rows, i64 heads, i64 seq, i64 sdx, i64 sdy, i64 sx) {
    __shared__ float share[NORM ? 8 : 1][NORM ? DIM : 1];  // 8 warps
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    float glo[PAIRS], ghi[PAIRS];
    for (int p = 0; p < PAIRS; p++) glo[p] = ghi[p] = 0.f;
    for (i64 item = (i64)blockIdx.x * warps + warp; item < rows * heads; item += (i64)gridDim.x * warps) {
        i64 row = item / heads, head = item % heads;
        const bf16* from = dy + row * sdy + head * DIM;
        const bf16* in = x + row * sx + head * DIM;
        bf16* to = dx + row * sdx + head * DIM;
        const float* cs = table + (row % seq) * DIM;
        float lo[PAIRS], hi[PAIRS], xlo[PAIRS], xhi[PAIRS], dot = 0.f, scale = NORM ? rstd[item] : 1.f;
        for (int p = 0; p < PAIRS; p++) {
            int i = lane + 32 * p;
            lo[p] = hi[p] = xlo[p] = xhi[p] = 0.f;
            if (i >= HALF) continue;
            float a = widen(from[i]), b = widen(from[i + HALF]), c = cs[i], s = cs[i + HALF];
            lo[p] = a * c + b * s;
            hi[p] = b * c - a * s;
            if (NORM) {
                xlo[p] = widen(in[i]) * scale;
                xhi[p] = widen(in[i + HALF]) * scale;
                glo[p] += lo[p] * xlo[p];
                ghi[p] += hi[p] * xhi[p];
                lo[p] *= widen(gain[i]);
                hi[p] *= widen(gain[i + HALF]);
                dot += lo[p] * xlo[p] + hi[p] * xhi[p];
            }
        }
        float mean = NORM ? warp_sum(dot) / DIM : 0.f;
        for (int p = 0; p < PAIRS; p++) {
            int i = lane + 32 * p;
            if (i >= HALF) continue;
            narrow(scale * (lo[p] - xlo[p] * mean), to[i]);
            narrow(scale * (hi[p] - xhi[p] * mean), to[i + HALF]);
        }
    }
    if (NORM) {
        for (int p = 0; p < PAIRS; p++) {
            int i = lane + 32 * p;
            if (i >= HALF) continue;
            share[warp][i] = glo[p];
            share[warp][i + HALF] = ghi[p];
        }
        __syncthreads();
        for (int i = threadIdx.x; i < DIM; i += blockDim.x) {
            float sum = 0.f;
            for (int w = 0; w < warps; w++) sum += share[w][i];
            partial[(i64)blockIdx.x * DIM + i] = sum;
        }
    }
}
