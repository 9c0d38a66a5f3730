// dw[token] += sum of dy over the token's chain, in the order of positions. Block
// (n, c) works if position n is its chain's head, on the columns of tile c.

KERNEL void embedding_backward(float* dw, const bf16* dy, const int* tokens, const int* next, const int* head, i64 cols,
                               i64 sdw, i64 sdy) {
    i64 n = blockIdx.x;
    if (!head[n]) return;
    i64 col = (i64)blockIdx.y * blockDim.x + threadIdx.x;
    if (col >= cols) return;
    float sum = 0.f;
    for (i64 i = n; i >= 0; i = next[i]) sum += widen(dy[i * sdy + col]);
    dw[(i64)tokens[n] * sdw + col] += sum;
}
