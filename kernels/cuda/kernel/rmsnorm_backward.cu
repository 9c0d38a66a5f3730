// With xhat = x rstd and h = dy gain, for each row
//
//   dx = rstd (h - xhat mean(h xhat)) + add
//   dgain += sum over rows of dy xhat
//
// Block b takes the rows b, b+gridDim.x, ... and leaves its share of dgain in
// partial[b]; reduce_rows adds the shares, always in one order. ADD says whether
// there is an add. A thread always owns the same columns, so that its share needs
// no barrier; SHARED keeps the shares in shared memory, where they fit.

KERNEL void rmsnorm_backward(bf16* dx, const bf16* dy, const bf16* x, const bf16* add, const bf16* gain, const float* rstd,
                             float* partial, i64 rows, i64 cols, i64 sdx, i64 sdy, i64 sx, i64 sadd) {
    extern __shared__ float shared[];
    float* mine = partial + blockIdx.x * cols;
    float* sums = SHARED ? shared : mine;
    for (i64 i = threadIdx.x * VEC; i < cols; i += blockDim.x * VEC) {
        for (int j = 0; j < VEC; j++) sums[i + j] = 0.f;
    }
    for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        float scale = rstd[row], dot = 0.f;
        for (i64 i = threadIdx.x * VEC; i < cols; i += blockDim.x * VEC) {
            Run<VEC> a = load_run<VEC>(dy + row * sdy + i), b = load_run<VEC>(x + row * sx + i), g = load_run<VEC>(gain + i);
            for (int j = 0; j < VEC; j++) {
                float d = widen(a.x[j]), xhat = widen(b.x[j]) * scale;
                dot += d * widen(g.x[j]) * xhat;
                sums[i + j] += d * xhat;
            }
        }
        float mean = block_sum(dot) / cols;
        for (i64 i = threadIdx.x * VEC; i < cols; i += blockDim.x * VEC) {
            Run<VEC> a = load_run<VEC>(dy + row * sdy + i), b = load_run<VEC>(x + row * sx + i), g = load_run<VEC>(gain + i), past;
            if (ADD) past = load_run<VEC>(add + row * sadd + i);
            for (int j = 0; j < VEC; j++) {
                float v = scale * (widen(a.x[j]) * widen(g.x[j]) - widen(b.x[j]) * scale * mean);
                narrow(ADD ? v + widen(past.x[j]) : v, a.x[j]);
            }
            store_run(dx + row * sdx + i, a);
        }
    }
    if (SHARED) {
        for (i64 i = threadIdx.x * VEC; i < cols; i += blockDim.x * VEC) {
            for (int j = 0; j < VEC; j++) mine[i + j] = sums[i + j];
        }
    }
}
