// attention_forward for Hopper, head sizes 64 and 128. What it computes, and the
// names, are there; this file says how.
//
// A block of three warpgroups computes 128 queries of one head: two compute, 64
// queries each, and one thread of the third copies tiles of 64 keys and values into
// a ring of STAGES. Scores come from wgmma with both operands in shared memory, the
// outputs with the weights in registers; while one warpgroup is at its exponentials
// the other one feeds the matrix units.
//
// Shared memory: q and r (128 rows), then per stage k and v (64 rows), each as
// DIM/64 tiles side by side.
#include "hopper.cuh"

#define KEYS 64
#define HALVES (DIM / 64)
#define ROW_TILES 2  // tiles of 64 queries
#define QUERY_BYTES (ROW_TILES * HALVES * TILE_BYTES)
#define STAGE_BYTES (2 * HALVES * TILE_BYTES)

__device__ __forceinline__ int first_key(const int* first, int i) { return STARTS ? first[i] : 0; }

KERNEL void __launch_bounds__(384, 1)
    attention_forward_hopper(const __grid_constant__ TensorMap mq, const __grid_constant__ TensorMap mr,
                             const __grid_constant__ TensorMap mk, const __grid_constant__ TensorMap mv, bf16* o, bf16* vbar,
                             float* lse, float* tbar, const int* first, i64 so, i64 svbar, int seq, int q_heads, int kv_heads,
                             float scale) {
    extern __shared__ __align__(1024) char shared[];
    __shared__ u64 ready_q, ready[STAGES], spent[STAGES];
    char* qs = shared;
    char* rs = qs + QUERY_BYTES;
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
        barrier_expect(&ready_q, (PROBE ? 2 : 1) * QUERY_BYTES);
        for (int i = 0; i < ROW_TILES; i++) {
            for (int h = 0; h < HALVES; h++) {
                int at = (i * HALVES + h) * TILE_BYTES;
                copy_tile(qs + at, &mq, &ready_q, q_col + 64 * h, row0 + 64 * i, batch);
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
    int last_row = min(row0 + 63, seq - 1), last = row0 < seq ? last_row / KEYS : -1;
    int inside = row0 < seq ? first_key(first, last_row) : 0;
    const float unset = -__int_as_float(0x7f800000);
    float sl2 = scale * LOG2E;
    float top[2] = {unset, unset}, d1[2] = {0.f, 0.f}, d2[2] = {0.f, 0.f}, shift[2] = {0.f, 0.f};
    float o1[DIM / 8][4], o2[DIM / 8][4];
    clear(o1);
    clear(o2);
    barrier_wait(&ready_q, 0);
    u64 q_operand = operand(qs + group * HALVES * TILE_BYTES), r_operand = operand(rs + group * HALVES * TILE_BYTES);

    int stage = 0, phase = 0;
    for (int tile = lo; tile <= hi; tile++) {
        int key0 = tile * KEYS;
        barrier_wait(&ready[stage], phase);  // also to skip: or a warpgroup runs a round ahead
        if (tile <= last) {
            u64 k_operand = operand(ring + stage * STAGE_BYTES);
            u64 v_operand = operand_trans(ring + stage * STAGE_BYTES + HALVES * TILE_BYTES);
            float s[KEYS / 8][4], t[KEYS / 8][4];
            wgmma_begin();
            product_shared<DIM>(s, q_operand, k_operand);
            wgmma_commit();
            if (PROBE) product_shared<DIM>(t, r_operand, k_operand);
            wgmma_commit();
            wgmma_wait<1>();

            bool masked = key0 + KEYS - 1 > row0 || key0 < inside;
            float old[2], sum[2];
#pragma unroll
            for (int h = 0; h < 2; h++) {
                if (masked) {
                    int first_seen = first_key(first, min(row + 8 * h, seq - 1));
#pragma unroll
                    for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
                        for (int x = 0; x < 2; x++) {
                            int key = key0 + j * 8 + lane % 4 * 2 + x;
                            if (key > row + 8 * h || key < first_seen) s[j][2 * h + x] = unset;
                        }
                    }
                }
                float best = top[h];
#pragma unroll
                for (int j = 0; j < KEYS / 8; j++) best = fmaxf(best, fmaxf(s[j][2 * h], s[j][2 * h + 1]));
                old[h] = top[h];
                top[h] = quad_max(best);
                float origin = top[h] == unset ? 0.f : top[h] * sl2;
                sum[h] = 0.f;
#pragma unroll
                for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
                    for (int x = 0; x < 2; x++) {
                        float e = power(s[j][2 * h + x] * sl2 - origin);
                        s[j][2 * h + x] = e;
                        sum[h] += e;
                    }
                }
                float grow = power(old[h] * sl2 - origin);
                d1[h] = d1[h] * grow + sum[h];
                d2[h] *= grow;
#pragma unroll
                for (int j = 0; j < DIM / 8; j++) {
                    o1[j][2 * h] *= grow;
                    o1[j][2 * h + 1] *= grow;
                    if (PROBE) {
                        o2[j][2 * h] *= grow;
                        o2[j][2 * h + 1] *= grow;
                    }
                }
            }
            wgmma_wait<0>();
            if (PROBE) {
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    bool starts = old[h] == unset && top[h] != unset;
                    if (__any_sync(0xffffffffu, starts)) {
                        float dot = 0.f;
#pragma unroll
                        for (int j = 0; j < KEYS / 8; j++) dot += s[j][2 * h] * t[j][2 * h] + s[j][2 * h + 1] * t[j][2 * h + 1];
                        float all = quad_sum(sum[h]), mean = quad_sum(dot);
                        if (starts) shift[h] = mean / all;
                    }
#pragma unroll
                    for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
                        for (int x = 0; x < 2; x++) {
                            t[j][2 * h + x] = s[j][2 * h + x] * (t[j][2 * h + x] - shift[h]);
                            d2[h] += t[j][2 * h + x];
                        }
                    }
                }
            }
            u32 ea[KEYS / 16][4], ta[KEYS / 16][4];
#pragma unroll
            for (int c = 0; c < KEYS / 16; c++) {
                as_a(ea[c], s[2 * c], s[2 * c + 1]);
                if (PROBE) as_a(ta[c], t[2 * c], t[2 * c + 1]);
            }
            wgmma_begin();
#pragma unroll
            for (int c = 0; c < KEYS / 16; c++) {
                wgmma_register(o1, ea[c], v_operand + c * (2048 >> 4));
                if (PROBE) wgmma_register(o2, ta[c], v_operand + c * (2048 >> 4));
            }
            wgmma_commit();
            wgmma_wait<0>();
        }
        if (lane == 0) barrier_arrive(&spent[stage]);
        if (++stage == STAGES) stage = 0, phase ^= 1;
    }

    i64 base = (i64)batch * seq;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        int at = row + 8 * h;
        float sum = quad_sum(d1[h]), mean = PROBE ? quad_sum(d2[h]) / sum : 0.f, inv = 1.f / sum;
        if (at >= seq) continue;
        if (lane % 4 == 0) {
            i64 stat = ((i64)batch * q_heads + head) * seq + at;
            lse[stat] = top[h] * scale + logf(sum);
            if (PROBE) tbar[stat] = shift[h] + mean;
        }
        bf16* to = o + (base + at) * so + head * DIM + lane % 4 * 2;
        bf16* bar = PROBE ? vbar + (base + at) * svbar + head * DIM + lane % 4 * 2 : to;
#pragma unroll
        for (int j = 0; j < DIM / 8; j++) {
            float a = o1[j][2 * h] * inv, b = o1[j][2 * h + 1] * inv;
            if (PROBE) {
                *(u32*)(bar + 8 * j) = pack(a, b);
                a = a * (1.f + mean) - o2[j][2 * h] * inv;
                b = b * (1.f + mean) - o2[j][2 * h + 1] * inv;
            }
            *(u32*)(to + 8 * j) = pack(a, b);
        }
    }
}
