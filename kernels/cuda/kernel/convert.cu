// dst[i] = src[i], with the element types SRC and DST (float or bf16).

KERNEL void convert(DST* dst, const SRC* src, i64 n) {
    i64 step = (i64)gridDim.x * blockDim.x;
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) narrow(widen(src[i]), dst[i]);
}
