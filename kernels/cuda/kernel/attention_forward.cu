// Parallax attention, forward (softmax attention without PROBE). For queries i and
// keys j, s = scale q_i.k_j and t = r_i.k_j - c_i, streaming over tiles of KEYS
// keys with the running maximum m of s:
//
//   e = exp(s - m)   d1 = sum e   d2 = sum e t   O1 = sum e v   O2 = sum e t v
//   vbar = O1/d1     tbar = c + d2/d1     o = vbar (1 + d2/d1) - O2/d1
//
// c_i, the mean of t under e over the first tile that the query sees, leaves o as
// it is and keeps the difference of two large numbers out of it.
//
// A block of 4 warps computes 64 queries of one head, 16 a warp, and SLICE columns
// of o. Keys and values are double buffered: one tile is copied while the other is
// used. q and r share each fragment of k, e and e t each fragment of v.
#include "attention.cuh"

#define VLD (SLICE + 8)

KERNEL void __launch_bounds__(THREADS) attention_forward(bf16* o, bf16* vbar, float* lse, float* tbar, const bf16* q, const bf16* r,
                                                         const bf16* k, const bf16* v, const int* first, i64 so, i64 svbar, i64 sq,
                                                         i64 sr, i64 sk, i64 sv, int seq, int q_heads, int kv_heads, float scale) {
    extern __shared__ __align__(16) bf16 shared[];
    bf16* qs = shared;
    bf16* rs = qs + 64 * LD;
    bf16* ks = rs + (PROBE ? 64 * LD : 0);
    bf16* vs = ks + 2 * KEYS * LD;
    int tiles = (seq + 63) / 64;
    int row0 = (tiles - 1 - (int)(blockIdx.x % tiles)) * 64, slice = SLICED(blockIdx.x / tiles);  // longest first
    int head = blockIdx.y, batch = blockIdx.z, group = q_heads / kv_heads;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    i64 base = (i64)batch * seq;
    q += base * sq + head * DIM;
    k += base * sk + head / group * DIM;
    v += base * sv + head / group * DIM + slice;
    if (PROBE) r += base * sr + head * DIM;
    if (STARTS) first += base;

    int last_row = min(row0 + 63, seq - 1);
    int lo = first_key(first, row0) / KEYS, hi = last_row / KEYS;
    int inside = first_key(first, last_row);  // from this key on, no row's start masks

    load_tile<64, WIDTH, LD, THREADS, ALIGNED>(qs, q, sq, row0, seq, DIM);
    if (PROBE) load_tile<64, WIDTH, LD, THREADS, ALIGNED>(rs, r, sr, row0, seq, DIM);
    load_tile<KEYS, WIDTH, LD, THREADS, ALIGNED>(ks, k, sk, lo * KEYS, seq, DIM);
    load_tile<KEYS, SLICE, VLD, THREADS, ALIGNED>(vs, v, sv, lo * KEYS, seq, DIM - slice);
    copy_commit();

    int my_row[2];
#pragma unroll
    for (int h = 0; h < 2; h++) my_row[h] = row0 + warp * 16 + lane / 4 + 8 * h;
    const float unset = -__int_as_float(0x7f800000);
    float sl2 = scale * LOG2E;
    float top[2] = {unset, unset}, d1[2] = {0.f, 0.f}, d2[2] = {0.f, 0.f}, shift[2] = {0.f, 0.f};
    float o1[SLICE / 8][4], o2[PROBE ? SLICE / 8 : 1][4];
#pragma unroll
    for (int n = 0; n < SLICE / 8; n++) {
#pragma unroll
        for (int x = 0; x < 4; x++) {
            o1[n][x] = 0.f;
            if (PROBE) o2[n][x] = 0.f;
        }
    }

    for (int tile = lo; tile <= hi; tile++) {
        int stage = tile - lo & 1, key0 = tile * KEYS;
        copy_wait();
        __syncthreads();
        if (tile < hi) {
            load_tile<KEYS, WIDTH, LD, THREADS, ALIGNED>(ks + (stage ^ 1) * KEYS * LD, k, sk, key0 + KEYS, seq, DIM);
            load_tile<KEYS, SLICE, VLD, THREADS, ALIGNED>(vs + (stage ^ 1) * KEYS * VLD, v, sv, key0 + KEYS, seq,
                                                           DIM - slice);
            copy_commit();
        }
        const bf16* kt = ks + stage * KEYS * LD;
        const bf16* vt = vs + stage * KEYS * VLD;

        float s[KEYS / 8][4], t[PROBE ? KEYS / 8 : 1][4];
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
            for (int x = 0; x < 4; x++) {
                s[n][x] = 0.f;
                if (PROBE) t[n][x] = 0.f;
            }
        }
#pragma unroll 4
        for (int c = 0; c < WIDTH; c += 16) {
            u32 qa[4], ra[4];
            load_a<LD>(qa, qs, warp * 16, c);
            if (PROBE) load_a<LD>(ra, rs, warp * 16, c);
#pragma unroll
            for (int n = 0; n < KEYS; n += 16) {
                u32 b[4];
                load_b<LD>(b, kt, n, c);
                mma(s[n / 8], qa, b[0], b[1]);
                mma(s[n / 8 + 1], qa, b[2], b[3]);
                if (PROBE) {
                    mma(t[n / 8], ra, b[0], b[1]);
                    mma(t[n / 8 + 1], ra, b[2], b[3]);
                }
            }
        }

        bool masked = key0 + KEYS - 1 > row0 || key0 < inside;
        float old[2], grow[2];
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int first_seen = masked && key0 < inside ? first_key(first, min(my_row[h], seq - 1)) : 0;
            float best = top[h];
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
                for (int x = 0; x < 2; x++) {
                    int key = key0 + n * 8 + lane % 4 * 2 + x;
                    if (masked && (key > my_row[h] || key < first_seen)) s[n][2 * h + x] = unset;
                    best = fmaxf(best, s[n][2 * h + x]);
                }
            }
            old[h] = top[h];
            top[h] = quad_max(best);
            float origin = top[h] == unset ? 0.f : top[h] * sl2;
            grow[h] = power(old[h] * sl2 - origin);
            float sum = 0.f, dot = 0.f;
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
                for (int x = 0; x < 2; x++) {
                    float e = power(s[n][2 * h + x] * sl2 - origin);
                    s[n][2 * h + x] = e;
                    sum += e;
                    if (PROBE) dot += e * t[n][2 * h + x];
                }
            }
            if (PROBE) {
                bool first = old[h] == unset && top[h] != unset;
                if (__any_sync(0xffffffffu, first)) {
                    float all = quad_sum(sum), mean = quad_sum(dot);
                    if (first) shift[h] = mean / all;
                }
#pragma unroll
                for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
                    for (int x = 0; x < 2; x++) t[n][2 * h + x] = s[n][2 * h + x] * (t[n][2 * h + x] - shift[h]);
                }
                d2[h] = d2[h] * grow[h] + dot - shift[h] * sum;
            }
            d1[h] = d1[h] * grow[h] + sum;
        }
#pragma unroll
        for (int n = 0; n < SLICE / 8; n++) {
#pragma unroll
            for (int x = 0; x < 4; x++) {
                o1[n][x] *= grow[x / 2];
                if (PROBE) o2[n][x] *= grow[x / 2];
            }
        }
#pragma unroll
        for (int c = 0; c < KEYS; c += 16) {
            u32 ea[4], ta[4];
            as_a(ea, s[c / 8], s[c / 8 + 1]);
            if (PROBE) as_a(ta, t[c / 8], t[c / 8 + 1]);
#pragma unroll
            for (int n = 0; n < SLICE; n += 16) {
                u32 b[4];
                load_bt<VLD>(b, vt, c, n);
                mma(o1[n / 8], ea, b[0], b[1]);
                mma(o1[n / 8 + 1], ea, b[2], b[3]);
                if (PROBE) {
                    mma(o2[n / 8], ta, b[0], b[1]);
                    mma(o2[n / 8 + 1], ta, b[2], b[3]);
                }
            }
        }
    }

#pragma unroll
    for (int h = 0; h < 2; h++) {
        float sum = quad_sum(d1[h]), mean = PROBE ? quad_sum(d2[h]) / sum : 0.f, inv = 1.f / sum;
        if (my_row[h] >= seq) continue;
        i64 stat = ((i64)batch * q_heads + head) * seq + my_row[h];
        if (slice == 0 && lane % 4 == 0) {
            lse[stat] = top[h] * scale + logf(sum);
            if (PROBE) tbar[stat] = shift[h] + mean;
        }
        bf16* to = o + (base + my_row[h]) * so + head * DIM + slice;
        bf16* bar = PROBE ? vbar + (base + my_row[h]) * svbar + head * DIM + slice : to;
#pragma unroll
        for (int n = 0; n < SLICE / 8; n++) {
#pragma unroll
            for (int x = 0; x < 2; x++) {
                int col = n * 8 + lane % 4 * 2 + x;
                if (slice + col >= DIM) continue;
                float vb = o1[n][2 * h + x] * inv;
                if (PROBE) {
                    narrow(vb, bar[col]);
                    vb = vb * (1.f + mean) - o2[n][2 * h + x] * inv;
                }
                narrow(vb, to[col]);
            }
        }
    }
}
