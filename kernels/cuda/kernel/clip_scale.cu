// dst[0] = min(1, limit / sqrt(sum[0])); 1 where the limit is 0.

KERNEL void clip_scale(float* dst, const float* sum, float limit) {
    float norm = sqrtf(sum[0]);
    dst[0] = limit > 0.f && norm > limit ? limit / norm : 1.f;
}
