// y = x * rstd * gain with rstd = 1/sqrt(mean(x^2) + eps), one block a row.
// VEC elements an access; cols and the strides are multiples of VEC.

KERNEL void rmsnorm_forward(bf16* y, const bf16* x, const bf16* gain, float* rstd, i64 cols, i64 sy, i64 sx, float eps) {
    i64 row = blockIdx.x;
    x += row * sx;
    y += row * sy;
    float sum = 0.f;
    for (i64 i = threadIdx.x * VEC; i < cols; i += blockDim.x * VEC) {
        Run<VEC> r = load_run<VEC>(x + i);
        for (int j = 0; j < VEC; j++) sum += widen(r.x[j]) * widen(r.x[j]);
    }
    float scale = rsqrtf(block_sum(sum) / cols + eps);
    if (threadIdx.x == 0) rstd[row] = scale;
    for (i64 i = threadIdx.x * VEC; i < cols; i += blockDim.x * VEC) {
        Run<VEC> r = load_run<VEC>(x + i), g = load_run<VEC>(gain + i);
        for (int j = 0; j < VEC; j++) narrow(widen(r.x[j]) * scale * widen(g.x[j]), r.x[j]);
        store_run(y + i, r);
    }
}
