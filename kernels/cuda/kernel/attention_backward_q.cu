// dq and dr. For query i and key j, with p = exp(s - L), a = g_i.v_j,
// delta = a - beta_i:
//
//   ds = p (a - tau_i + (tbar_i - t) delta)     dq_i = scale sum_j ds k_j
//   dt = -p delta                               dr_i = sum_j dt k_j
//
// (softmax attention without PROBE: ds = p (a - tau_i).) A block of 4 warps takes 64
// queries of one head, 16 a warp, SLICE columns of dq and dr, and streams over
// tiles of KEYS keys, double buffered.
#include "attention.cuh"

KERNEL void __launch_bounds__(THREADS) attention_backward_q(bf16* dq, bf16* dr, const bf16* g, const bf16* q, const bf16* r,
                                                            const bf16* k, const bf16* v, const float* lse, const float* tbar,
                                                            const float* tau, const float* beta, const int* first, i64 sdq, i64 sdr,
                                                            i64 sg, i64 sq, i64 sr, i64 sk, i64 sv, int seq, int q_heads,
                                                            int kv_heads, float scale) {
    extern __shared__ __align__(16) bf16 shared[];
    bf16* gs = shared;
    bf16* qs = gs + 64 * LD;
    bf16* rs = qs + 64 * LD;
    bf16* ks = rs + (PROBE ? 64 * LD : 0);
    bf16* vs = ks + 2 * KEYS * LD;
    int tiles = (seq + 63) / 64;
    int row0 = (tiles - 1 - (int)(blockIdx.x % tiles)) * 64, slice = SLICED(blockIdx.x / tiles);
    int head = blockIdx.y, batch = blockIdx.z, group = q_heads / kv_heads;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    i64 base = (i64)batch * seq, stats = ((i64)batch * q_heads + head) * seq;
    g += base * sg + head * DIM;
    q += base * sq + head * DIM;
    k += base * sk + head / group * DIM;
    v += base * sv + head / group * DIM;
    if (PROBE) r += base * sr + head * DIM;
    if (STARTS) first += base;

    int last_row = min(row0 + 63, seq - 1);
    int lo = first_key(first, row0) / KEYS, hi = last_row / KEYS;
    int inside = first_key(first, last_row);

    load_tile<64, WIDTH, LD, THREADS, ALIGNED>(gs, g, sg, row0, seq, DIM);
    load_tile<64, WIDTH, LD, THREADS, ALIGNED>(qs, q, sq, row0, seq, DIM);
    if (PROBE) load_tile<64, WIDTH, LD, THREADS, ALIGNED>(rs, r, sr, row0, seq, DIM);
    load_tile<KEYS, WIDTH, LD, THREADS, ALIGNED>(ks, k, sk, lo * KEYS, seq, DIM);
    load_tile<KEYS, WIDTH, LD, THREADS, ALIGNED>(vs, v, sv, lo * KEYS, seq, DIM);
    copy_commit();

    int my_row[2];
    float my_lse[2], my_tbar[2], my_tau[2], my_beta[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        my_row[h] = row0 + warp * 16 + lane / 4 + 8 * h;
        int row = min(my_row[h], seq - 1);
        my_lse[h] = lse[stats + row] * LOG2E;
        my_tau[h] = tau[stats + row];
        my_tbar[h] = PROBE ? tbar[stats + row] : 0.f;
        my_beta[h] = PROBE ? beta[stats + row] : 0.f;
    }
    float sl2 = scale * LOG2E;
    float q1[SLICE / 8][4], r1[PROBE ? SLICE / 8 : 1][4];
#pragma unroll
    for (int n = 0; n < SLICE / 8; n++) {
#pragma unroll
        for (int x = 0; x < 4; x++) {
            q1[n][x] = 0.f;
            if (PROBE) r1[n][x] = 0.f;
        }
    }

    for (int tile = lo; tile <= hi; tile++) {
        int stage = tile - lo & 1, key0 = tile * KEYS;
        copy_wait();
        __syncthreads();
        if (tile < hi) {
            load_tile<KEYS, WIDTH, LD, THREADS, ALIGNED>(ks + (stage ^ 1) * KEYS * LD, k, sk, key0 + KEYS, seq, DIM);
            load_tile<KEYS, WIDTH, LD, THREADS, ALIGNED>(vs + (stage ^ 1) * KEYS * LD, v, sv, key0 + KEYS, seq, DIM);
            copy_commit();
        }
        const bf16* kt = ks + stage * KEYS * LD;
        const bf16* vt = vs + stage * KEYS * LD;

        float s[KEYS / 8][4], a[KEYS / 8][4], t[PROBE ? KEYS / 8 : 1][4];
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
            for (int x = 0; x < 4; x++) {
                s[n][x] = a[n][x] = 0.f;
                if (PROBE) t[n][x] = 0.f;
            }
        }
#pragma unroll 1
        for (int c = 0; c < WIDTH; c += 16) {
            u32 qa[4], ra[4], ga[4];
            load_a<LD>(qa, qs, warp * 16, c);
            load_a<LD>(ga, gs, warp * 16, c);
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
                load_b<LD>(b, vt, n, c);
                mma(a[n / 8], ga, b[0], b[1]);
                mma(a[n / 8 + 1], ga, b[2], b[3]);
            }
        }

        bool masked = key0 + KEYS - 1 > row0 || key0 < inside;
        int first_seen[2] = {0, 0};
        if (masked) {
            first_seen[0] = first_key(first, min(my_row[0], seq - 1));
            first_seen[1] = first_key(first, min(my_row[1], seq - 1));
        }
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
            for (int x = 0; x < 4; x++) {
                int h = x / 2, key = key0 + n * 8 + lane % 4 * 2 + x % 2;
                float p = power(s[n][x] * sl2 - my_lse[h]);
                if (masked && (key > my_row[h] || key < first_seen[h])) p = 0.f;
                float d = a[n][x] - my_tau[h];
                if (PROBE) {
                    float delta = a[n][x] - my_beta[h];
                    d += (my_tbar[h] - t[n][x]) * delta;
                    t[n][x] = -p * delta;
                }
                s[n][x] = p * d;
            }
        }
#pragma unroll
        for (int c = 0; c < KEYS; c += 16) {
            u32 sa[4], ta[4];
            as_a(sa, s[c / 8], s[c / 8 + 1]);
            if (PROBE) as_a(ta, t[c / 8], t[c / 8 + 1]);
#pragma unroll
            for (int n = 0; n < SLICE; n += 16) {
                u32 b[4];
                load_bt<LD>(b, kt, c, slice + n);
                mma(q1[n / 8], sa, b[0], b[1]);
                mma(q1[n / 8 + 1], sa, b[2], b[3]);
                if (PROBE) {
                    mma(r1[n / 8], ta, b[0], b[1]);
                    mma(r1[n / 8 + 1], ta, b[2], b[3]);
                }
            }
        }
    }

#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (my_row[h] >= seq) continue;
        bf16* to = dq + (base + my_row[h]) * sdq + head * DIM + slice;
        bf16* tr = PROBE ? dr + (base + my_row[h]) * sdr + head * DIM + slice : to;
#pragma unroll
        for (int n = 0; n < SLICE / 8; n++) {
#pragma unroll
            for (int x = 0; x < 2; x++) {
                int col = n * 8 + lane % 4 * 2 + x;
                if (slice + col >= DIM) continue;
                narrow(q1[n][2 * h + x] * scale, to[col]);
                if (PROBE) narrow(r1[n][2 * h + x], tr[col]);
            }
        }
    }
}
