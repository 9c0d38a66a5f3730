// next[n] is the next position with position n's token, or -1; head[n] is 1 where
// no earlier position has it. So each token's positions form one chain in order,
// which embedding_backward follows. One thread a position; head is all 1 before.

KERNEL void embedding_chain(int* next, int* head, const int* tokens, i64 n) {
    i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int token = tokens[i], found = -1;
    for (i64 j = i + 1; j < n; j++) {
        if (tokens[j] == token) {
            found = (int)j;
            break;
        }
    }
    next[i] = found;
    if (found >= 0) head[found] = 0;
}
