// partial[b] = the sum of x^2 over block b's elements, b, b + gridDim.x, ... in
// runs of blockDim.x. The grid depends on n alone. SRC is the type of x.

KERNEL void sum_squares(float* partial, const SRC* x, i64 n) {
    i64 step = (i64)gridDim.x * blockDim.x;
    float sum = 0.f;
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        float v = widen(x[i]);
        sum += v * v;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}
