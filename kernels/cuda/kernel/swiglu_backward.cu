// With s = 1/(1 + exp(-gate)):
//
//   dup = dy gate s        dgate = dy up s (1 + gate (1 - s))
//
// Each element is read before it is written, so dgate may be gate and dup up.

KERNEL void swiglu_backward(bf16* dgate, bf16* dup, const bf16* dy, const bf16* gate, const bf16* up, i64 rows, i64 cols,
                            i64 sdg, i64 sdu, i64 sdy, i64 sg, i64 su) {
    i64 runs = cols / VEC, step = (i64)gridDim.x * blockDim.x;
    for (i64 n = (i64)blockIdx.x * blockDim.x + threadIdx.x; n < rows * runs; n += step) {
        i64 row = n / runs, col = n % runs * VEC;
        Run<VEC> g = load_run<VEC>(gate + row * sg + col), u = load_run<VEC>(up + row * su + col);
        Run<VEC> d = load_run<VEC>(dy + row * sdy + col);
        for (int j = 0; j < VEC; j++) {
            float a = widen(g.x[j]), b = widen(u.x[j]), e = widen(d.x[j]), s = 1.f / (1.f + __expf(-a));
            narrow(e * a * s, u.x[j]);
            narrow(e * b * s * (1.f + a * (1.f - s)), g.x[j]);
        }
        store_run(dup + row * sdu + col, u);
        store_run(dgate + row * sdg + col, g);
    }
}
