// attention_backward_q for Hopper, head sizes 64 and 128: what it computes is there,
// how the block is organised in attention_forward_hopper. A warpgroup takes a tile's
// keys STEP at a time: three score tiles of 64 keys do not fit the registers beside
// two outputs of 128 columns.
//
// Shared memory: q, g and r (128 rows), then per stage k and v (64 rows).
#include "hopper.cuh"

#define KEYS 64
#define STEP (PROBE && DIM == 128 ? 32 : 64)
#define HALVES (DIM / 64)
#define QUERY_BYTES (2 * HALVES * TILE_BYTES)
#define STAGE_BYTES (2 * HALVES * TILE_BYTES)

__device__ __forceinline__ int first_key(const int* first, int i) { return STARTS ? first[i] : 0; }

KERNEL void __launch_bounds__(384, 1)
    attention_backward_q_hopper(const __grid_constant__ TensorMap mg, const __grid_constant__ TensorMap mq,
                                const __grid_constant__ TensorMap mr, const __grid_constant__ TensorMap mk,
                                const __grid_constant__ TensorMap mv, bf16* dq, bf16* dr, const float* stats, const int* first,
                                i64 sdq, i64 sdr, int seq, int q_heads, int kv_heads, float scale) {
    extern __shared__ __align__(1024) char shared[];
    __shared__ u64 ready_q, ready[STAGES], spent[STAGES];
    char* qs = shared;
    char* gs = qs + QUERY_BYTES;
    char* rs = gs + QUERY_BYTES;
    char* ring = rs + (PROBE ? QUERY_BYTES : 0);
    int tiles = (seq + 127) / 128;
    int row0 = (tiles - 1 - (int)blockIdx.x) * 128;  // longest first
    int head = blockIdx.y, batch = blockIdx.z;
    if (STARTS) first += (i64)batch * seq;
    int lo = first_key(first, row0) / KEYS, hi = min(row0 + 127, seq - 1) / KEYS;

    if (threadIdx.x == 0) {
        barrier_init(&ready_q, 1);
        for (int i = 0; i < STAGES; i++) {
            barrier_init(&ready[i], 1);
            barrier_init(&spent[i], 8);  // one arrival a computing warp
        }
        barriers_ready();
    }
    __syncthreads();

    int group = warpgroup();
    if (group == 2) {
        registers_few();
        if (threadIdx.x != 256) return;
        int q_col = head * DIM, k_col = head / (q_heads / kv_heads) * DIM;
        barrier_expect(&ready_q, (PROBE ? 3 : 2) * QUERY_BYTES);
        for (int i = 0; i < 2; i++) {
            for (int h = 0; h < HALVES; h++) {
                int at = (i * HALVES + h) * TILE_BYTES;
                copy_tile(qs + at, &mq, &ready_q, q_col + 64 * h, row0 + 64 * i, batch);
                copy_tile(gs + at, &mg, &ready_q, q_col + 64 * h, row0 + 64 * i, batch);
                if (PROBE) copy_tile(rs + at, &mr, &ready_q, q_col + 64 * h, row0 + 64 * i, batch);
            }
        }
        for (int tile = lo; tile <= hi; tile++) {
            int n = tile - lo, stage = n % STAGES;
            if (n >= STAGES) barrier_wait(&spent[stage], n / STAGES - 1 & 1);
            char* to = ring + stage * STAGE_BYTES;
            barrier_expect(&ready[stage], STAGE_BYTES);
            for (int h = 0; h < HALVES; h++) {
                copy_tile(to + h * TILE_BYTES, &mk, &ready[stage], k_col + 64 * h, tile * KEYS, batch);
                copy_tile(to + (HALVES + h) * TILE_BYTES, &mv, &ready[stage], k_col + 64 * h, tile * KEYS, batch);
            }
        }
        return;
    }
    registers_many();

    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5 & 3;
    row0 += 64 * group;
    int row = row0 + warp * 16 + lane / 4;  // and row + 8
    int last = row0 < seq ? min(row0 + 63, seq - 1) / KEYS : -1;
    float sl2 = scale * LOG2E;
    int my_first[2];
    float my_lse[2], my_tau[2], my_tbar[2], my_beta[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        int i = min(row + 8 * h, seq - 1);
        const float* st = stats + (((i64)batch * q_heads + head) * ((seq + 63) / 64) + i / 64) * 320 + i % 64;
        my_lse[h] = st[0];
        my_tau[h] = st[64];
        my_tbar[h] = st[128];
        my_beta[h] = st[192];
        my_first[h] = __float_as_int(st[256]);
    }
    float q1[DIM / 8][4], r1[DIM / 8][4];
    clear(q1);
    clear(r1);
    barrier_wait(&ready_q, 0);
    int mine = group * HALVES * TILE_BYTES;
    u64 q_operand = operand(qs + mine), g_operand = operand(gs + mine), r_operand = operand(rs + mine);

    int stage = 0, phase = 0;
    for (int tile = lo; tile <= hi; tile++) {
        int key0 = tile * KEYS;
        barrier_wait(&ready[stage], phase);  // also to skip: or a warpgroup runs a round ahead
        if (tile <= last) {
            const char* kt = ring + stage * STAGE_BYTES;
            u64 k_operand = operand(kt), v_operand = operand(kt + HALVES * TILE_BYTES);
#pragma unroll
            for (int part = 0; part < KEYS; part += STEP) {
                float s[STEP / 8][4], a[STEP / 8][4], t[STEP / 8][4];
                wgmma_begin();
                product_shared<DIM>(s, q_operand, k_operand + rows_on(part));
                product_shared<DIM>(a, g_operand, v_operand + rows_on(part));
                if (PROBE) product_shared<DIM>(t, r_operand, k_operand + rows_on(part));
                wgmma_commit();
                wgmma_wait<0>();
                int at = key0 + part + lane % 4 * 2;
                u32 sa[STEP / 16][4], ta[STEP / 16][4];
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    int until = row + 8 * h - at, from = STARTS ? my_first[h] - at : 0;
#pragma unroll
                    for (int j = 0; j < STEP / 8; j++) {
                        float ds[2], dt[2];
#pragma unroll
                        for (int x = 0; x < 2; x++) {
                            float p = power(s[j][2 * h + x] * sl2 - my_lse[h]), av = a[j][2 * h + x], d = av - my_tau[h];
                            if (8 * j + x > until || STARTS && 8 * j + x < from) p = 0.f;
                            if (PROBE) {
                                float delta = av - my_beta[h];
                                d += (my_tbar[h] - t[j][2 * h + x]) * delta;
                                dt[x] = -p * delta;
                            }
                            ds[x] = p * d;
                        }
                        sa[j / 2][j % 2 * 2 + h] = pack(ds[0], ds[1]);
                        if (PROBE) ta[j / 2][j % 2 * 2 + h] = pack(dt[0], dt[1]);
                    }
                }
                u64 k_rows = operand_trans(kt) + rows_on(part);
                wgmma_begin();
                product_register(q1, sa, k_rows);
                if (PROBE) product_register(r1, ta, k_rows);
                wgmma_commit();
            }
            wgmma_wait<0>();
        }
        if (lane == 0) barrier_arrive(&spent[stage]);
        if (++stage == STAGES) stage = 0, phase ^= 1;
    }

#pragma unroll
    for (int h = 0; h < 2; h++) {
        int at = row + 8 * h;
        if (at >= seq) continue;
        i64 to = (i64)batch * seq + at;
        int col = head * DIM + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < DIM / 8; j++) {
            *(u32*)(dq + to * sdq + col + 8 * j) = pack(q1[j][2 * h] * scale, q1[j][2 * h + 1] * scale);
            if (PROBE) *(u32*)(dr + to * sdr + col + 8 * j) = pack(r1[j][2 * h], r1[j][2 * h + 1]);
        }
    }
}
