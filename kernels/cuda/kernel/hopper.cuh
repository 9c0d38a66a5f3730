// Hopper's own instructions (sm_90a): the bulk tensor copy, barriers in shared
// memory that count its bytes, and the matrix product of a warpgroup (wgmma), which
// reads its operands from shared memory.
//
// Tiles have 64 rows of 64 bf16 (128 bytes), 8 KiB, in the layout that the copy
// engine calls SWIZZLE_128B; a wider matrix is several tiles side by side. A tile
// begins at a multiple of 1024 bytes.
#include "mma.cuh"

#define TILE_BYTES 8192

struct alignas(64) TensorMap {
    u64 opaque[16];
};

__device__ __forceinline__ void barrier_init(u64* b, int count) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(count));
}

__device__ __forceinline__ void barrier_expect(u64* b, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(shared_address(b)), "r"(bytes) : "memory");
}

__device__ __forceinline__ void barrier_arrive(u64* b) {
    asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(shared_address(b)) : "memory");
}

// barrier_wait waits until the barrier's phase of this parity is complete.
__device__ __forceinline__ void barrier_wait(u64* b, int parity) {
    asm volatile(
        "{.reg .pred done;"
        "again: mbarrier.try_wait.parity.shared.b64 done, [%0], %1;"
        "@!done bra again;}" ::"r"(shared_address(b)), "r"(parity) : "memory");
}

// barriers_ready makes initialised barriers visible to the copy engine.
__device__ __forceinline__ void barriers_ready() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

// copy_tile starts to copy one tile whose first element is at (col, row, batch) of
// the map; b counts its bytes. What lies outside the map's bounds is 0.
__device__ __forceinline__ void copy_tile(void* to, const TensorMap* map, u64* b, int col, int row, int batch) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::"r"(
            shared_address(to)),
        "l"(map), "r"(col), "r"(row), "r"(batch), "r"(shared_address(b))
        : "memory");
}

// copy_run starts to copy contiguous bytes, whole 16s of them.
__device__ __forceinline__ void copy_run(void* to, const void* from, int bytes, u64* b) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     shared_address(to)),
                 "l"(from), "r"(bytes), "r"(shared_address(b))
                 : "memory");
}

// load_pair reads two floats at an address in shared memory.
__device__ __forceinline__ float2 load_pair(u32 address) {
    float2 v;
    asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(v.x), "=f"(v.y) : "r"(address));
    return v;
}

// operand describes a tile to wgmma as rows of the product's outer dimension, k
// along the columns: 8 rows are 1024 bytes. Add 2 for the next 16 columns.
__device__ __forceinline__ u64 operand(const void* tile) {
    return (u64)1 << 62 | (u64)(1024 >> 4) << 32 | (u64)1 << 16 | (shared_address(tile) & 0x3ffff) >> 4;
}

// operand_trans describes a tile, or tiles side by side, whose rows run along k: add
// 2048 >> 4 for the next 16 rows.
__device__ __forceinline__ u64 operand_trans(const void* tile) {
    return (u64)1 << 62 | (u64)(1024 >> 4) << 32 | (u64)(TILE_BYTES >> 4) << 16 | (shared_address(tile) & 0x3ffff) >> 4;
}

__device__ __forceinline__ void wgmma_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// wgmma_wait waits until at most N of the groups committed last are unfinished.
template <int N>
__device__ __forceinline__ void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

#define ACC(x) "+f"(x[0]), "+f"(x[1]), "+f"(x[2]), "+f"(x[3])

// d[64 x 32] = a b, or += where add is 1; a and b from shared memory.
__device__ __forceinline__ void wgmma_shared(float (&d)[4][4], u64 a, u64 b, int add) {
    asm volatile(
        "{.reg .pred p; setp.ne.b32 p, %18, 0;"
        "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
        "}, %16, %17, p, 1, 1, 0, 0;}"
        : ACC(d[0]), ACC(d[1]), ACC(d[2]), ACC(d[3])
        : "l"(a), "l"(b), "r"(add));
}

// d[64 x 64] = a b, or += where add is 1; a and b from shared memory.
__device__ __forceinline__ void wgmma_shared(float (&d)[8][4], u64 a, u64 b, int add) {
    asm volatile(
        "{.reg .pred p; setp.ne.b32 p, %34, 0;"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
        "}, %32, %33, p, 1, 1, 0, 0;}"
        : ACC(d[0]), ACC(d[1]), ACC(d[2]), ACC(d[3]), ACC(d[4]), ACC(d[5]), ACC(d[6]), ACC(d[7])
        : "l"(a), "l"(b), "r"(add));
}

// d[64 x 64] += a b; a from registers, b from shared memory, its rows along k.
__device__ __forceinline__ void wgmma_register(float (&d)[8][4], const u32 (&a)[4], u64 b) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
        "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"
        : ACC(d[0]), ACC(d[1]), ACC(d[2]), ACC(d[3]), ACC(d[4]), ACC(d[5]), ACC(d[6]), ACC(d[7])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

// d[64 x 128] += a b; a from registers, b from shared memory, its rows along k.
__device__ __forceinline__ void wgmma_register(float (&d)[16][4], const u32 (&a)[4], u64 b) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
        "}, {%64, %65, %66, %67}, %68, 1, 1, 1, 1;"
        : ACC(d[0]), ACC(d[1]), ACC(d[2]), ACC(d[3]), ACC(d[4]), ACC(d[5]), ACC(d[6]), ACC(d[7]), ACC(d[8]), ACC(d[9]), ACC(d[10]), ACC(d[11]), ACC(d[12]), ACC(d[13]), ACC(d[14]), ACC(d[15])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

// warpgroup is the number of this thread's warpgroup, told to the compiler to be the
// same for the whole warp.
__device__ __forceinline__ int warpgroup() { return __shfl_sync(0xffffffffu, threadIdx.x / 128, 0); }

// Registers move from the warpgroup that copies to those that compute.
__device__ __forceinline__ void registers_few() { asm volatile("setmaxnreg.dec.sync.aligned.u32 24;"); }
__device__ __forceinline__ void registers_many() { asm volatile("setmaxnreg.inc.sync.aligned.u32 240;"); }

template <int N>
__device__ __forceinline__ void clear(float (&x)[N][4]) {
#pragma unroll
    for (int n = 0; n < N; n++) x[n][0] = x[n][1] = x[n][2] = x[n][3] = 0.f;
}

// product_shared: d = a b over Dim columns, both operands as tiles side by side.
template <int Dim, int N>
__device__ __forceinline__ void product_shared(float (&d)[N][4], u64 a, u64 b) {
#pragma unroll
    for (int c = 0; c < Dim / 16; c++) {
        int at = c / 4 * (TILE_BYTES >> 4) + c % 4 * 2;
        wgmma_shared(d, a + at, b + at, c > 0);
    }
}

// product_register: d += a b over 16 Steps rows of b, which lie along k.
template <int N, int Steps>
__device__ __forceinline__ void product_register(float (&d)[N][4], const u32 (&a)[Steps][4], u64 b) {
#pragma unroll
    for (int c = 0; c < Steps; c++) wgmma_register(d, a[c], b + c * (2048 >> 4));
}

// rows_on is what to add to an operand for n rows further on.
__device__ __forceinline__ u64 rows_on(int n) { return n * 128 >> 4; }
