// sum = q, or sum + q (ACCUMULATE), with q = g * scale rounded to nearest even within
// +-limit, a NaN to limit; then g = 0. peak[0] is raised to the bits of the largest
// |g|. scale is a power of two. Integers do not mind in which order blocks come.

KERNEL void quantize(int* sum, float* g, int* peak, i64 n, float scale, float limit) {
    i64 step = (i64)gridDim.x * blockDim.x;
    int bits = 0;
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        float x = g[i], y = x * scale;
        bits = max(bits, __float_as_int(x) & 0x7fffffff);
        y = y < limit ? y : limit;
        int q = __float2int_rn(y > -limit ? y : -limit);
        sum[i] = ACCUMULATE ? sum[i] + q : q;
        g[i] = 0.f;
    }
    bits = __reduce_max_sync(0xffffffffu, bits);
    if ((threadIdx.x & 31) == 0 && bits > 0) atomicMax(peak, bits);
}
