// first[n] = the first key that the query at position n sees: its document's start
// (0 without doc), or where the sliding window begins, whichever is later.

KERNEL void attention_starts(int* first, const int* doc, i64 n, i64 seq, i64 window) {
    i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int start = doc ? doc[i] : 0;
    first[i] = max(start, (int)(i % seq - window + 1));
}
