// Tiles in shared memory and the warp-level matrix product m16n8k16 in bf16 with
// float accumulation (mma.sync, sm_80 and up).
//
// A warp's accumulator of 16 x 8 lies, for lane l, at rows l/4 and l/4 + 8 and the
// columns 2 (l%4) and 2 (l%4) + 1: c[0], c[1] and c[2], c[3]. Rounded to bf16, the
// accumulators of two neighbouring 16 x 8 blocks are the A operand of 16 x 16.

__device__ __forceinline__ u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }

__device__ __forceinline__ void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void ldmatrix(u32 (&r)[4], const bf16* p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(p)));
}

__device__ __forceinline__ void ldmatrix_trans(u32 (&r)[4], const bf16* p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(p)));
}

// load_a: the A operand at (row, col) of a row-major tile with stride Ld.
template <int Ld>
__device__ __forceinline__ void load_a(u32 (&r)[4], const bf16* tile, int row, int col) {
    int lane = threadIdx.x & 31;
    ldmatrix(r, tile + (row + (lane & 15)) * Ld + col + (lane >> 4) * 8);
}

// load_b: the B operands of two neighbouring blocks of 8 columns, B[k][n] =
// tile[n0 + n][k0 + k]: {r[0], r[1]} for n < 8, {r[2], r[3]} for the next 8.
template <int Ld>
__device__ __forceinline__ void load_b(u32 (&r)[4], const bf16* tile, int n0, int k0) {
    int lane = threadIdx.x & 31;
    ldmatrix(r, tile + (n0 + (lane & 7) + (lane >> 4) * 8) * Ld + k0 + (lane >> 3 & 1) * 8);
}

// load_bt: the same for B[k][n] = tile[k0 + k][n0 + n].
template <int Ld>
__device__ __forceinline__ void load_bt(u32 (&r)[4], const bf16* tile, int k0, int n0) {
    int lane = threadIdx.x & 31;
    ldmatrix_trans(r, tile + (k0 + (lane & 15)) * Ld + n0 + (lane >> 4) * 8);
}

// as_a: two accumulator blocks, rounded, as the A operand.
__device__ __forceinline__ void as_a(u32 (&r)[4], const float (&lo)[4], const float (&hi)[4]) {
    r[0] = pack(lo[0], lo[1]);
    r[1] = pack(lo[2], lo[3]);
    r[2] = pack(hi[0], hi[1]);
    r[3] = pack(hi[2], hi[3]);
}

// Sum and maximum over the four lanes that share a row of an accumulator.
__device__ __forceinline__ float quad_sum(float x) {
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

__device__ __forceinline__ float quad_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

__device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;"); }
__device__ __forceinline__ void copy_wait() { asm volatile("cp.async.wait_group 0;" ::: "memory"); }

// copy_float starts to copy one float, or writes 0.
__device__ __forceinline__ void copy_float(float* to, const float* from, bool there) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from), "r"(there ? 4 : 0));
}

// load_tile starts to copy rows [row0, row0+Rows) of a matrix of `rows` rows and
// `cols` columns into a tile of Width columns (a multiple of 8) with stride Ld; what
// lies outside is 0. Aligned: every row starts at 16 bytes and cols is a multiple
// of 8. Threads threads take part.
template <int Rows, int Width, int Ld, int Threads, bool Aligned>
__device__ __forceinline__ void load_tile(bf16* tile, const bf16* from, i64 stride, int row0, int rows, int cols) {
    const int runs = Width / 8;
    if constexpr (Aligned) {
#pragma unroll
        for (int at = 0; at < (Rows * runs + Threads - 1) / Threads; at++) {
            int n = at * Threads + threadIdx.x;
            if (Rows * runs % Threads != 0 && n >= Rows * runs) break;
            int row = n / runs, col = n % runs * 8;
            bool there = row0 + row < rows && col < cols;
            const bf16* src = there ? from + (i64)(row0 + row) * stride + col : from;
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(tile + row * Ld + col)), "l"(src),
                         "r"(there ? 16 : 0));
        }
    } else {
        for (int n = threadIdx.x; n < Rows * Width; n += Threads) {
            int row = n / Width, col = n % Width;
            bool there = row0 + row < rows && col < cols;
            tile[row * Ld + col] = there ? from[(i64)(row0 + row) * stride + col] : (bf16)0;
        }
    }
}

#define LOG2E 1.4426950408889634f

// power is 2^x to about 2 units in the last place; 0 for -infinity.
__device__ __forceinline__ float power(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
