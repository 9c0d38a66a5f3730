// attention_backward_k for Hopper, head sizes 64 and 128: what it computes is there,
// how the block is organised in attention_forward_hopper. A block takes 128 keys of
// one key head, 64 a warpgroup; the ring brings in tiles of 64 queries, head after
// head of the group, with their statistics (attention_stats_hopper). A tile is taken
// STEP queries at a time, as in attention_backward_q_hopper.
//
// Shared memory: k and v (128 rows), then per stage q, g and r (64 rows), then per
// stage the statistics.
#include "hopper.cuh"

#define QUERIES 64
#define STEP (PROBE && DIM == 128 ? 32 : 64)
#define HALVES (DIM / 64)
#define KEY_BYTES (2 * HALVES * TILE_BYTES)
#define SIDES (PROBE ? 3 : 2)
#define STAGE_BYTES (SIDES * HALVES * TILE_BYTES)
#define STAT_BYTES (5 * QUERIES * 4)

KERNEL void __launch_bounds__(384, 1)
    attention_backward_k_hopper(const __grid_constant__ TensorMap mg, const __grid_constant__ TensorMap mq,
                                const __grid_constant__ TensorMap mr, const __grid_constant__ TensorMap mk,
                                const __grid_constant__ TensorMap mv, bf16* dk, bf16* dv, const float* stats, const int* first,
                                i64 sdk, i64 sdv, int seq, int q_heads, int kv_heads, float scale) {
    extern __shared__ __align__(1024) char shared[];
    __shared__ u64 ready_k, ready[STAGES], spent[STAGES];
    char* ks = shared;
    char* vs = ks + KEY_BYTES;
    char* ring = vs + KEY_BYTES;
    char* stat = ring + STAGES * STAGE_BYTES;
    int key0 = blockIdx.x * 128, head = blockIdx.y, batch = blockIdx.z, group = q_heads / kv_heads;  // longest first
    if (STARTS) first += (i64)batch * seq;
    int last_key = min(key0 + 127, seq - 1), all = (seq + QUERIES - 1) / QUERIES;
    int lo = key0 / QUERIES, hi = all - 1;
    if (STARTS) {
        int sees = lo;  // a tile whose first query sees a key of this block, unless it is lo
        while (sees < hi) {
            int mid = (sees + hi + 1) / 2;
            if (first[mid * QUERIES] > last_key) hi = mid - 1; else sees = mid;
        }
    }
    u32 tiles = hi - lo + 1, total = tiles * group;

    if (threadIdx.x == 0) {
        barrier_init(&ready_k, 1);
        for (int i = 0; i < STAGES; i++) {
            barrier_init(&ready[i], 1);
            barrier_init(&spent[i], 256);  // every thread that computes reads the statistics
        }
        barriers_ready();
    }
    __syncthreads();

    int mine = warpgroup();
    if (mine == 2) {
        registers_few();
        if (threadIdx.x != 256) return;
        barrier_expect(&ready_k, 2 * KEY_BYTES);
        for (int i = 0; i < 2; i++) {
            for (int h = 0; h < HALVES; h++) {
                int at = (i * HALVES + h) * TILE_BYTES;
                copy_tile(ks + at, &mk, &ready_k, head * DIM + 64 * h, key0 + 64 * i, batch);
                copy_tile(vs + at, &mv, &ready_k, head * DIM + 64 * h, key0 + 64 * i, batch);
            }
        }
        for (u32 n = 0; n < total; n++) {
            int stage = n % STAGES, q_head = head * group + n / tiles, tile = lo + n % tiles;
            if (n >= STAGES) barrier_wait(&spent[stage], n / STAGES - 1 & 1);
            char* to = ring + stage * STAGE_BYTES;
            barrier_expect(&ready[stage], STAGE_BYTES + STAT_BYTES);
            for (int h = 0; h < HALVES; h++) {
                int col = q_head * DIM + 64 * h, row = tile * QUERIES;
                copy_tile(to + h * TILE_BYTES, &mq, &ready[stage], col, row, batch);
                copy_tile(to + (HALVES + h) * TILE_BYTES, &mg, &ready[stage], col, row, batch);
                if (PROBE) copy_tile(to + (2 * HALVES + h) * TILE_BYTES, &mr, &ready[stage], col, row, batch);
            }
            copy_run(stat + stage * STAT_BYTES, stats + (((i64)batch * q_heads + q_head) * all + tile) * (STAT_BYTES / 4), STAT_BYTES,
                     &ready[stage]);
        }
        return;
    }
    registers_many();

    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5 & 3;
    key0 += 64 * mine;
    int key = key0 + warp * 16 + lane / 4;  // and key + 8
    float sl2 = scale * LOG2E;
    float k1[DIM / 8][4], v1[DIM / 8][4];
    clear(k1);
    clear(v1);
    barrier_wait(&ready_k, 0);
    u64 k_operand = operand(ks + mine * HALVES * TILE_BYTES), v_operand = operand(vs + mine * HALVES * TILE_BYTES);

    int tile = lo;
    for (u32 n = 0; n < total; n++) {
        u32 stage = n % STAGES, phase = n / STAGES & 1;
        int row0 = tile * QUERIES;
        barrier_wait(&ready[stage], phase);  // also to skip: or a warpgroup runs a round ahead
        if (row0 + QUERIES > key0) {
            const char* qt = ring + stage * STAGE_BYTES;
            const char* gt = qt + HALVES * TILE_BYTES;
            const char* rt = gt + HALVES * TILE_BYTES;
            u32 st = shared_address(stat + stage * STAT_BYTES) + lane % 4 * 8;
#pragma unroll
            for (int part = 0; part < QUERIES; part += STEP) {
                float s[STEP / 8][4], a[STEP / 8][4], t[STEP / 8][4];
                wgmma_begin();
                product_shared<DIM>(s, k_operand, operand(qt) + rows_on(part));
                product_shared<DIM>(a, v_operand, operand(gt) + rows_on(part));
                if (PROBE) product_shared<DIM>(t, k_operand, operand(rt) + rows_on(part));
                wgmma_commit();
                wgmma_wait<0>();
                bool masked = row0 + part < key0 + 63;
                u32 wa[STEP / 16][4], sa[STEP / 16][4], ta[STEP / 16][4];
#pragma unroll
                for (int j = 0; j < STEP / 8; j++) {
                    u32 from_stat = st + part * 4 + 32 * j;
                    float2 l = load_pair(from_stat), tau = load_pair(from_stat + 256), tbar, beta, first_seen;
                    if (PROBE) tbar = load_pair(from_stat + 512), beta = load_pair(from_stat + 768);
                    if (STARTS) first_seen = load_pair(from_stat + 1024);
#pragma unroll
                    for (int h = 0; h < 2; h++) {
                        float w[2], ds[2], dt[2];
#pragma unroll
                        for (int x = 0; x < 2; x++) {
                            int at = key + 8 * h, row = row0 + part + 8 * j + lane % 4 * 2 + x;
                            float p = power(s[j][2 * h + x] * sl2 - (x ? l.y : l.x)), av = a[j][2 * h + x], d = av - (x ? tau.y : tau.x);
                            if (masked && at > row) p = 0.f;
                            if (STARTS && at < __float_as_int(x ? first_seen.y : first_seen.x)) p = 0.f;
                            w[x] = p;
                            if (PROBE) {
                                float delta = av - (x ? beta.y : beta.x), off = (x ? tbar.y : tbar.x) - t[j][2 * h + x];
                                d += off * delta;
                                dt[x] = -p * delta;
                                w[x] += p * off;
                            }
                            ds[x] = scale * p * d;
                        }
                        int c = j / 2, to = j % 2 * 2 + h;
                        wa[c][to] = pack(w[0], w[1]);
                        sa[c][to] = pack(ds[0], ds[1]);
                        if (PROBE) ta[c][to] = pack(dt[0], dt[1]);
                    }
                }
                wgmma_begin();
                product_register(v1, wa, operand_trans(gt) + rows_on(part));
                product_register(k1, sa, operand_trans(qt) + rows_on(part));
                if (PROBE) product_register(k1, ta, operand_trans(rt) + rows_on(part));
                wgmma_commit();
            }
            wgmma_wait<0>();
        }
        barrier_arrive(&spent[stage]);
        if (++tile > hi) tile = lo;
    }

#pragma unroll
    for (int h = 0; h < 2; h++) {
        int at = key + 8 * h;
        if (at >= seq) continue;
        i64 to = (i64)batch * seq + at;
        int col = head * DIM + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < DIM / 8; j++) {
            *(u32*)(dk + to * sdk + col + 8 * j) = pack(k1[j][2 * h], k1[j][2 * h + 1]);
            *(u32*)(dv + to * sdv + col + 8 * j) = pack(v1[j][2 * h], v1[j][2 * h + 1]);
        }
    }
}
