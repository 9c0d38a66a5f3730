// What both directions of the rotation share: how lanes hold a head's vector.

#define HALF (DIM / 2)
#define RUNS ((HALF + LANES * VEC - 1) / (LANES * VEC))
#define TOGETHER (32 / LANES)  // heads that a warp has at hand

// lanes_sum adds over the lanes of one vector.
__device__ __forceinline__ float lanes_sum(float x) {
#pragma unroll
    for (int d = LANES / 2; d > 0; d >>= 1) x += __shfl_xor_sync(0xffffffffu, x, d);
    return x;
}

// Turn is a lane's part of a row's cosines and sines, and of the gain.
struct Turn {
    float c[RUNS][VEC], s[RUNS][VEC], glo[RUNS][VEC], ghi[RUNS][VEC];

    __device__ __forceinline__ Turn(const float* table, const bf16* gain, u32 lane) {
#pragma unroll
        for (int p = 0; p < RUNS; p++) {
            u32 i = (lane + LANES * p) * VEC;
            if (i >= HALF) continue;
#pragma unroll
            for (int j = 0; j < VEC; j++) {
                c[p][j] = table[i + j];
                s[p][j] = table[i + j + HALF];
                if (NORM) {
                    glo[p][j] = widen(gain[i + j]);
                    ghi[p][j] = widen(gain[i + j + HALF]);
                }
            }
        }
    }
};
