// C = alpha op(A) op(B) + beta Add, one 32x32 tile of C a block, for what cuBLASLt
// has no algorithm for. AB is the type of A and B, CD that of C and Add; TRANS_A
// and TRANS_B are 0 or 1. Matrices are row-major with a stride.

KERNEL void gemm(CD* c, const AB* a, const AB* b, const CD* add, i64 m, i64 n, i64 k, i64 sc, i64 sa, i64 sb, i64 sadd,
                 float alpha, float beta) {
    __shared__ float at[32][33], bt[32][33];
    i64 row0 = (i64)blockIdx.y * 32, col0 = (i64)blockIdx.x * 32;
    int x = threadIdx.x & 31, y = threadIdx.x >> 5;  // 256 threads: rows y, y+8, y+16, y+24
    float sum[4] = {0.f, 0.f, 0.f, 0.f};
    for (i64 k0 = 0; k0 < k; k0 += 32) {
        for (int i = y; i < 32; i += 8) {
            i64 ar = TRANS_A ? k0 + i : row0 + i, ac = TRANS_A ? row0 + x : k0 + x;
            bool in_a = TRANS_A ? ar < k && ac < m : ar < m && ac < k;
            float av = in_a ? widen(a[ar * sa + ac]) : 0.f;
            if (TRANS_A) at[x][i] = av; else at[i][x] = av;
            i64 br = TRANS_B ? col0 + i : k0 + i, bc = TRANS_B ? k0 + x : col0 + x;
            bool in_b = TRANS_B ? br < n && bc < k : br < k && bc < n;
            float bv = in_b ? widen(b[br * sb + bc]) : 0.f;
            if (TRANS_B) bt[x][i] = bv; else bt[i][x] = bv;
        }
        __syncthreads();
        for (int kk = 0; kk < 32; kk++) {
            for (int i = 0; i < 4; i++) sum[i] += at[y + 8 * i][kk] * bt[kk][x];
        }
        __syncthreads();
    }
    for (int i = 0; i < 4; i++) {
        i64 row = row0 + y + 8 * i, col = col0 + x;
        if (row >= m || col >= n) continue;
        float v = alpha * sum[i];
        if (beta != 0.f) v += beta * widen(add[row * sadd + col]);
        narrow(v, c[row * sc + col]);
    }
}
