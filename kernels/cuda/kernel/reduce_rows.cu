// dst[c] += sum over r of partial[r][c], in an order that depends on the number of
// rows alone. A block of 1024 threads takes 32 columns; row group y takes the rows
// y, y+32, ..., then the groups are added in turn.

KERNEL void reduce_rows(float* dst, const float* partial, i64 rows, i64 cols) {
    __shared__ float part[32][33];
    int x = threadIdx.x & 31, y = threadIdx.x >> 5;
    i64 col = (i64)blockIdx.x * 32 + x;
    float sum = 0.f;
    if (col < cols) {
#pragma unroll 4
        for (i64 r = y; r < rows; r += 32) sum += partial[r * cols + col];
    }
    part[y][x] = sum;
    __syncthreads();
    if (y == 0 && col < cols) {
        for (int g = 1; g < 32; g++) sum += part[g][x];
        dst[col] += sum;
    }
}
