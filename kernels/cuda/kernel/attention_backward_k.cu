// dk and dv. With w = p (1 + tbar_i - t) and ds, dt as in attention_backward_q:
//
//   dk_j = sum_i (scale ds q_i + dt r_i)        dv_j = sum_i w g_i
//
// summed over the query heads of a group. A block of 4 warps takes 64 keys of one
// key head, 16 a warp, SLICE columns of dk and dv, and streams over tiles of
// QUERIES queries, head after head, double buffered; so every sum has one order.
// The products are computed transposed, keys down the rows.
#include "attention.cuh"

#define STATS 5  // L, tau, tbar, beta and first key of each query

template <int N>
__device__ __forceinline__ void clear(float (&x)[N][4]) {
#pragma unroll
    for (int n = 0; n < N; n++) x[n][0] = x[n][1] = x[n][2] = x[n][3] = 0.f;
}

KERNEL void __launch_bounds__(THREADS) attention_backward_k(bf16* dk, bf16* dv, const bf16* g, const bf16* q, const bf16* r,
                                                            const bf16* k, const bf16* v, const float* lse, const float* tbar,
                                                            const float* tau, const float* beta, const int* first, i64 sdk, i64 sdv,
                                                            i64 sg, i64 sq, i64 sr, i64 sk, i64 sv, int seq, int q_heads,
                                                            int kv_heads, float scale) {
    extern __shared__ __align__(16) bf16 shared[];
    const int per = (PROBE ? 3 : 2) * QUERIES * LD;  // elements of one stage
    bf16* ks = shared;
    bf16* vs = ks + 64 * LD;
    bf16* qs = vs + 64 * LD;
    float* stat = (float*)(qs + 2 * per);
    int slices = WIDTH / SLICE;
    int key0 = blockIdx.x / slices * 64, slice = SLICED(blockIdx.x % slices);  // longest first
    int head = blockIdx.y, batch = blockIdx.z, group = q_heads / kv_heads;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    i64 base = (i64)batch * seq, stats = ((i64)batch * q_heads + head * group) * seq;
    g += base * sg + head * group * DIM;
    q += base * sq + head * group * DIM;
    k += base * sk + head * DIM;
    v += base * sv + head * DIM;
    if (PROBE) r += base * sr + head * group * DIM;
    if (STARTS) first += base;
    lse += stats;
    tau += stats;
    tbar += stats;
    beta += stats;

    int last_key = min(key0 + 63, seq - 1);
    int lo = key0 / QUERIES, hi = (seq - 1) / QUERIES;
    if (STARTS) {
        int sees = lo;  // a tile whose first query sees a key of this block, unless it is lo
        while (sees < hi) {
            int mid = (sees + hi + 1) / 2;
            if (first[mid * QUERIES] > last_key) hi = mid - 1; else sees = mid;
        }
    }
    int tiles = hi - lo + 1, total = tiles * group;

    auto load = [&](int n) {
        bf16* to = qs + (n & 1) * per;
        float* st = stat + (n & 1) * STATS * QUERIES;
        int h = n / tiles, row0 = (lo + n % tiles) * QUERIES;
        load_tile<QUERIES, WIDTH, LD, THREADS, ALIGNED>(to, q + h * DIM, sq, row0, seq, DIM);
        load_tile<QUERIES, WIDTH, LD, THREADS, ALIGNED>(to + QUERIES * LD, g + h * DIM, sg, row0, seq, DIM);
        if (PROBE) load_tile<QUERIES, WIDTH, LD, THREADS, ALIGNED>(to + 2 * QUERIES * LD, r + h * DIM, sr, row0, seq, DIM);
        for (int i = threadIdx.x; i < QUERIES; i += THREADS) {
            bool there = row0 + i < seq;
            i64 at = there ? (i64)h * seq + row0 + i : 0;
            copy_float(st + i, lse + at, there);
            copy_float(st + QUERIES + i, tau + at, there);
            if (PROBE) copy_float(st + 2 * QUERIES + i, tbar + at, there);
            if (PROBE) copy_float(st + 3 * QUERIES + i, beta + at, there);
            if (STARTS) copy_float(st + 4 * QUERIES + i, (const float*)first + (there ? row0 + i : 0), there);
        }
        copy_commit();
    };

    load_tile<64, WIDTH, LD, THREADS, ALIGNED>(ks, k, sk, key0, seq, DIM);
    load_tile<64, WIDTH, LD, THREADS, ALIGNED>(vs, v, sv, key0, seq, DIM);
    load(0);

    int my_key = key0 + warp * 16 + lane / 4;  // and my_key + 8
    float sl2 = scale * LOG2E;
    float k1[SLICE / 8][4], v1[SLICE / 8][4];
    clear(k1);
    clear(v1);

    for (int n = 0; n < total; n++) {
        copy_wait();
        __syncthreads();
        if (n + 1 < total) load(n + 1);
        const bf16* qt = qs + (n & 1) * per;
        const bf16* gt = qt + QUERIES * LD;
        const bf16* rt = gt + QUERIES * LD;
        const float* st = stat + (n & 1) * STATS * QUERIES;
        int row0 = (lo + n % tiles) * QUERIES;

        float s[QUERIES / 8][4], a[QUERIES / 8][4], t[PROBE ? QUERIES / 8 : 1][4];
        clear(s);
        clear(a);
        clear(t);
#pragma unroll 1
        for (int c = 0; c < WIDTH; c += 16) {
            u32 ka[4], va[4];
            load_a<LD>(ka, ks, warp * 16, c);
            load_a<LD>(va, vs, warp * 16, c);
#pragma unroll
            for (int m = 0; m < QUERIES; m += 16) {
                u32 b[4];
                load_b<LD>(b, qt, m, c);
                mma(s[m / 8], ka, b[0], b[1]);
                mma(s[m / 8 + 1], ka, b[2], b[3]);
                load_b<LD>(b, gt, m, c);
                mma(a[m / 8], va, b[0], b[1]);
                mma(a[m / 8 + 1], va, b[2], b[3]);
                if (PROBE) {
                    load_b<LD>(b, rt, m, c);
                    mma(t[m / 8], ka, b[0], b[1]);
                    mma(t[m / 8 + 1], ka, b[2], b[3]);
                }
            }
        }

        // From here: s holds w, a holds scale ds, t holds dt.
#pragma unroll
        for (int m = 0; m < QUERIES / 8; m++) {
#pragma unroll
            for (int x = 0; x < 4; x++) {
                int i = m * 8 + lane % 4 * 2 + x % 2, row = row0 + i, key = my_key + x / 2 * 8;
                bool seen = key <= row && row < seq;
                if (STARTS) seen = seen && key >= __float_as_int(st[4 * QUERIES + i]);
                float p = seen ? power(s[m][x] * sl2 - st[i] * LOG2E) : 0.f;
                float d = a[m][x] - st[QUERIES + i], w = p;
                if (PROBE) {
                    float off = st[2 * QUERIES + i] - t[m][x], delta = a[m][x] - st[3 * QUERIES + i];
                    d += off * delta;
                    w += p * off;
                    t[m][x] = -p * delta;
                }
                s[m][x] = w;
                a[m][x] = scale * p * d;
            }
        }
#pragma unroll
        for (int c = 0; c < QUERIES; c += 16) {
            u32 wa[4], sa[4], ta[4];
            as_a(wa, s[c / 8], s[c / 8 + 1]);
            as_a(sa, a[c / 8], a[c / 8 + 1]);
            if (PROBE) as_a(ta, t[c / 8], t[c / 8 + 1]);
#pragma unroll
            for (int m = 0; m < SLICE; m += 16) {
                u32 b[4];
                load_bt<LD>(b, gt, c, slice + m);
                mma(v1[m / 8], wa, b[0], b[1]);
                mma(v1[m / 8 + 1], wa, b[2], b[3]);
                load_bt<LD>(b, qt, c, slice + m);
                mma(k1[m / 8], sa, b[0], b[1]);
                mma(k1[m / 8 + 1], sa, b[2], b[3]);
                if (PROBE) {
                    load_bt<LD>(b, rt, c, slice + m);
                    mma(k1[m / 8], ta, b[0], b[1]);
                    mma(k1[m / 8 + 1], ta, b[2], b[3]);
                }
            }
        }
    }

#pragma unroll
    for (int h = 0; h < 2; h++) {
        int key = my_key + 8 * h;
        if (key >= seq) continue;
        bf16* tk = dk + (base + key) * sdk + head * DIM + slice;
        bf16* tv = dv + (base + key) * sdv + head * DIM + slice;
#pragma unroll
        for (int m = 0; m < SLICE / 8; m++) {
#pragma unroll
            for (int x = 0; x < 2; x++) {
                int col = m * 8 + lane % 4 * 2 + x;
                if (slice + col >= DIM) continue;
                narrow(k1[m][2 * h + x], tk[col]);
                narrow(v1[m][2 * h + x], tv[col]);
            }
        }
    }
}
