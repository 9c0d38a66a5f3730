// y = x / (factor sqrt(sum[0]) + eps)

KERNEL void normalize(bf16* y, const float* x, const float* sum, i64 n, float factor, float eps) {
    float scale = 1.f / (factor * sqrtf(sum[0]) + eps);
    i64 step = (i64)gridDim.x * blockDim.x;
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) narrow(x[i] * scale, y[i]);
}
