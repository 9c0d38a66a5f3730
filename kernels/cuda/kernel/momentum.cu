// m = mu m + g with g = gradient * scale[0]; u = g + mu m (NESTEROV), or m. u may
// be the gradient.

KERNEL void momentum(float* u, float* m, const float* g, const float* scale, i64 n, float mu) {
    float s = SCALE ? scale[0] : 1.f;
    i64 step = (i64)gridDim.x * blockDim.x;
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        float d = g[i] * s, mi = mu * m[i] + d;
        m[i] = mi;
        u[i] = NESTEROV ? d + mu * mi : mi;
    }
}
