// dst[0] = sum of partial, added to dst[0] where accumulate is set; one block of
// 256 threads, in double, always in one order.

KERNEL void sum_partials(float* dst, const float* partial, i64 n, i64 accumulate) {
    __shared__ double part[256];
    double sum = 0;
    for (i64 i = threadIdx.x; i < n; i += 256) sum += partial[i];
    part[threadIdx.x] = sum;
    for (int d = 128; d > 0; d >>= 1) {
        __syncthreads();
        if (threadIdx.x < d) part[threadIdx.x] += part[threadIdx.x + d];
    }
    if (threadIdx.x == 0) dst[0] = (float)part[0] + (accumulate ? dst[0] : 0.f);
}
