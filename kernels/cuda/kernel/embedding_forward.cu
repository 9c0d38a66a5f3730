// y_n = w[token_n], one block a row.

KERNEL void embedding_forward(bf16* y, const bf16* w, const int* tokens, i64 cols, i64 sy, i64 sw) {
    i64 n = blockIdx.x;
    const bf16* from = w + (i64)tokens[n] * sw;
    for (i64 i = threadIdx.x * VEC; i < cols; i += blockDim.x * VEC) store_run(y + n * sy + i, load_run<VEC>(from + i));
}
