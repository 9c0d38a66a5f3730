// For each row of float logits z: loss = log sum exp(z) - z[target], and with GRAD
// d = softmax(z) - onehot(target) in bf16. A target below 0 gives zeros. One block
// a row; the maximum and the sum are found in one pass over the logits, WIDE of them
// (1 or 4) an access.

struct alignas(4 * WIDE) Logits {
    float x[WIDE];
};

KERNEL void cross_entropy(float* loss, bf16* d, const float* logits, const int* targets, i64 cols) {
    i64 row = blockIdx.x;
    logits += row * cols;
    d += row * cols;
    int target = targets[row];
    if (target < 0) {
        if (threadIdx.x == 0) loss[row] = 0.f;
        if (GRAD) {
            for (i64 i = threadIdx.x; i < cols; i += blockDim.x) d[i] = 0;
        }
        return;
    }
    float top = -3.4e38f, sum = 0.f;
    for (i64 i = threadIdx.x * WIDE; i < cols; i += blockDim.x * WIDE) {
        Logits z = *(const Logits*)(logits + i);
        float best = top;
        for (int j = 0; j < WIDE; j++) best = fmaxf(best, z.x[j]);
        sum *= __expf(top - best);
        top = best;
        for (int j = 0; j < WIDE; j++) sum += __expf(z.x[j] - top);
    }
    float most = block_max(top);
    sum = block_sum(sum * __expf(top - most));
    float scale = 1.f / sum;
    if (threadIdx.x == 0) loss[row] = most + logf(sum) - logits[target];
    if (!GRAD) return;
    for (i64 i = threadIdx.x * WIDE; i < cols; i += blockDim.x * WIDE) {
        Logits z = *(const Logits*)(logits + i);
        Run<WIDE> out;
        for (int j = 0; j < WIDE; j++) narrow(__expf(z.x[j] - most) * scale - (i + j == target ? 1.f : 0.f), out.x[j]);
        store_run(d + i, out);
    }
}
