// One head's vector a warp: RMSNorm with a shared gain (NORM), then the rotation
// by the row's position. DIM is the head size; lane l holds the pairs
// (i, i + DIM/2) for the runs of VEC elements at i = VEC l, VEC (l+32), ...

#define HALF (DIM / 2)
#define RUNS ((HALF + 32 * VEC - 1) / (32 * VEC))

KERNEL void rotary_forward(bf16* y, const bf16* x, const float* table, const bf16* gain, float* rstd, u32 rows, u32 heads,
                           u32 seq, i64 sy, i64 sx, float eps) {
    u32 item = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
    if (item >= rows * heads) return;
    u32 lane = threadIdx.x & 31, row = item / heads, head = item - row * heads;
    x += row * sx + head * DIM;
    y += row * sy + head * DIM;
    table += (i64)(row % seq) * DIM;
    Run<VEC> lo[RUNS], hi[RUNS];
    float sum = 0.f;
    for (int p = 0; p < RUNS; p++) {
        u32 i = (lane + 32 * p) * VEC;
        if (i >= HALF) continue;
        lo[p] = load_run<VEC>(x + i);
        hi[p] = load_run<VEC>(x + i + HALF);
        for (int j = 0; j < VEC; j++) sum += widen(lo[p].x[j]) * widen(lo[p].x[j]) + widen(hi[p].x[j]) * widen(hi[p].x[j]);
    }
    float scale = 1.f;
    if (NORM) {
        scale = rsqrtf(warp_sum(sum) / DIM + eps);
        if (lane == 0) rstd[item] = scale;
    }
    for (int p = 0; p < RUNS; p++) {
        u32 i = (lane + 32 * p) * VEC;
        if (i >= HALF) continue;
        for (int j = 0; j < VEC; j++) {
            float a = widen(lo[p].x[j]), b = widen(hi[p].x[j]), c = table[i + j], s = table[i + j + HALF];
            if (NORM) {
                a *= scale * widen(gain[i + j]);
                b *= scale * widen(gain[i + j + HALF]);
            }
            narrow(a * c - b * s, lo[p].x[j]);
            narrow(b * c + a * s, hi[p].x[j]);
        }
        store_run(y + i, lo[p]);
        store_run(y + i + HALF, hi[p]);
    }
}
