// One step of AdamW on every element, with g = gradient * scale[0]:
//
//   m = b1 m + (1-b1) g        v = b2 v + (1-b2) g^2
//   p = p decay - rate (m / c1) / (sqrt(v / c2) + eps)
//
// SCALE and WORK say whether there is a scale, and a bf16 copy of p to write.

KERNEL void adamw(float* p, const float* g, float* m, float* v, bf16* work, const float* scale, i64 n, float rate, float b1,
                  float b2, float eps, float decay, float c1, float c2) {
    float s = SCALE ? scale[0] : 1.f;
    i64 step = (i64)gridDim.x * blockDim.x;
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        float d = g[i] * s;
        float mi = b1 * m[i] + (1.f - b1) * d, vi = b2 * v[i] + (1.f - b2) * d * d;
        float pi = p[i] * decay - rate * (mi / c1) / (sqrtf(vi / c2) + eps);
        m[i] = mi;
        v[i] = vi;
        p[i] = pi;
        if (WORK) narrow(pi, work[i]);
    }
}
