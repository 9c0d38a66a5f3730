// next[n] is the next position with position n's token, or -1; head[n] is 1 where
// no earlier position has it. So each token's positions form one chain in order,
// which embedding_backward follows. A warp looks ahead from one position, 32 others
// at a time; head is all 1 before.

KERNEL void embedding_chain(int* next, int* head, const int* tokens, i64 n) {
    i64 i = (i64)blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
    if (i >= n) return;
    int lane = threadIdx.x & 31, token = tokens[i], found = -1;
    for (i64 j = i + 1; j < n; j += 32) {
        u32 same = __ballot_sync(0xffffffffu, j + lane < n && tokens[j + lane] == token);
        if (same) {
            found = (int)j + __ffs(same) - 1;
            break;
        }
    }
    if (lane != 0) return;
    next[i] = found;
    if (found >= 0) head[found] = 0;
}
