// p = decay p - rate u, and with WORK a bf16 copy of p. SRC is the type of u.

KERNEL void update(float* p, bf16* work, const SRC* u, i64 n, float decay, float rate) {
    i64 step = (i64)gridDim.x * blockDim.x;
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        float v = decay * p[i] - rate * widen(u[i]);
        p[i] = v;
        if (WORK) narrow(v, work[i]);
    }
}
