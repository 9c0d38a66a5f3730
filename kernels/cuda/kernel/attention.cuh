// What the attention kernels share. Set from outside:
//
//   DIM      head size, 1..256
//   WIDTH    DIM rounded up to whole 16 columns (32 above 128)
//   SLICE    columns of the output that one block computes: WIDTH, or half of it
//            above 128, so that accumulators fit the registers
//   PROBE    1: Parallax, 0: softmax attention without r
//   STARTS   1: first[i] is the first key that query i of a sequence sees, which never
//            decreases (windows, packed documents); 0: every query sees key 0
//   ALIGNED  1: rows start at 16 bytes and DIM is a multiple of 8
//
// All tiles have stride LD, whose rows begin in different banks.
#include "mma.cuh"

#define LD (WIDTH + 8)
#define SLICED(n) (WIDTH == SLICE ? 0 : (int)(n) * SLICE)
#define THREADS 128

__device__ __forceinline__ int first_key(const int* first, int i) { return STARTS ? first[i] : 0; }
