// One head's vector a warp: RMSNorm with a shared gain (NORM), then the rotation
// by the row's position. DIM is the head size; lane l holds the pairs
// (i, i + DIM/2) for i = l, l+32, ...

#define HALF (DIM / 2)
#define PAIRS ((HALF + 31) / 32)

KERNEL void rotary_forward(bf16* y, const bf16* x, const float* table, const bf16* gain, float* rstd, i64 rows, i64 heads,
                           i64 seq, i64 sy, i64 sx, float eps) {
    i64 item = (i64)blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
    if (item >= rows * heads) return;
    int lane = threadIdx.x & 31;
    i64 row = item / heads, head = item % heads;
    x += row * sx + head * DIM;
    y += row * sy + head * DIM;
    table += (row % seq) * DIM;
    float lo[PAIRS], hi[PAIRS], sum = 0.f;
    for (int p = 0; p < PAIRS; p++) {
        int i = lane + 32 * p;
        lo[p] = i < HALF ? widen(x[i]) : 0.f;
        hi[p] = i < HALF ? widen(x[i + HALF]) : 0.f;
        sum += lo[p] * lo[p] + hi[p] * hi[p];
    }
    float scale = 1.f;
    if (NORM) {
        scale = rsqrtf(warp_sum(sum) / DIM + eps);
        if (lane == 0) rstd[item] = scale;
    }
    for (int p = 0; p < PAIRS; p++) {
        int i = lane + 32 * p;
        if (i >= HALF) continue;
        float a = lo[p], b = hi[p], c = table[i], s = table[i + HALF];
        if (NORM) {
            a *= scale * widen(gain[i]);
            b *= scale * widen(gain[i + HALF]);
        }
        narrow(a * c - b * s, y[i]);
        narrow(b * c + a * s, y[i + HALF]);
    }
}
