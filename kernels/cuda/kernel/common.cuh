// What every kernel here shares: types without CUDA's headers, conversions
// between bfloat16 and float, reductions. It is put before each kernel's source.

typedef unsigned short bf16;  // the upper half of a float
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define KERNEL extern "C" __global__

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(bf16 x) { return __uint_as_float((u32)x << 16); }

// narrow rounds to nearest even, NaN stays NaN.
__device__ __forceinline__ void narrow(float x, float& to) { to = x; }
__device__ __forceinline__ void narrow(float x, bf16& to) { asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to) : "f"(x)); }

// pack rounds two floats into one register, lo in the lower half.
__device__ __forceinline__ u32 pack(float lo, float hi) {
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
    return r;
}

// A run of N elements, moved in one access.
template <int N>
struct alignas(2 * N) Run {
    bf16 x[N];
};

template <int N>
__device__ __forceinline__ Run<N> load_run(const bf16* p) { return *(const Run<N>*)p; }

template <int N>
__device__ __forceinline__ void store_run(bf16* p, const Run<N>& r) { *(Run<N>*)p = r; }

__device__ __forceinline__ float warp_sum(float x) {
    for (int d = 16; d > 0; d >>= 1) x += __shfl_xor_sync(0xffffffffu, x, d);
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
    for (int d = 16; d > 0; d >>= 1) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, d));
    return x;
}

// block_sum returns the sum over the block, of a multiple of 32 threads, to all
// of them. The order of summation is fixed.
__device__ __forceinline__ float block_sum(float x) {
    __shared__ float part[32];
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    x = warp_sum(x);
    __syncthreads();
    if (lane == 0) part[warp] = x;
    __syncthreads();
    return warp_sum(lane < warps ? part[lane] : 0.f);
}

__device__ __forceinline__ float block_max(float x) {
    __shared__ float part[32];
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    x = warp_max(x);
    __syncthreads();
    if (lane == 0) part[warp] = x;
    __syncthreads();
    return warp_max(lane < warps ? part[lane] : -__int_as_float(0x7f800000));
}
