// y = silu(gate) up, VEC elements an access.

KERNEL void swiglu_forward(bf16* y, const bf16* gate, const bf16* up, i64 rows, i64 cols, i64 sy, i64 sg, i64 su) {
    i64 runs = cols / VEC, step = (i64)gridDim.x * blockDim.x;
    for (i64 n = (i64)blockIdx.x * blockDim.x + threadIdx.x; n < rows * runs; n += step) {
        i64 row = n / runs, col = n % runs * VEC;
        Run<VEC> g = load_run<VEC>(gate + row * sg + col), u = load_run<VEC>(up + row * su + col);
        for (int j = 0; j < VEC; j++) {
            float a = widen(g.x[j]);
            narrow(a / (1.f + __expf(-a)) * widen(u.x[j]), u.x[j]);
        }
        store_run(y + row * sy + col, u);
    }
}
