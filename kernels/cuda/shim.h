// What this package calls in C: libraries found at run time (NVRTC, cuBLASLt) and
// the few driver calls that gorgonia.org/cu has no binding for.
#ifndef PARALLAX_SHIM_H
#define PARALLAX_SHIM_H

#include <cuda.h>

// px_driver_problem says why there is no working driver; "" when there is one.
const char *px_driver_problem(void);

// px_driver_place is what the driver was found as.
const char *px_driver_place(void);

// px_dlopen opens a shared library; on failure it returns NULL and *why is the
// loader's message, valid until this thread's next call.
void *px_dlopen(const char *path, const char **why);

// px_unpin unlocks host memory by its address, which the caller may hold as a
// number so that it does not keep the memory alive.
CUresult px_unpin(uintptr_t address);

typedef struct px_nvrtc px_nvrtc;
// px_nvrtc_bind finds NVRTC's functions in a library; on failure it returns NULL
// and *missing names the function.
px_nvrtc *px_nvrtc_bind(void *library, const char **missing);
int px_nvrtc_version(px_nvrtc *n, int *major, int *minor);
// px_nvrtc_compile compiles a program to machine code. 0 on success. *image and
// *log are malloc'ed (and may be NULL); the caller frees them.
int px_nvrtc_compile(px_nvrtc *n, const char *source, const char *name, int noptions, const char **options, char **image,
                     size_t *image_size, char **log);
const char *px_nvrtc_error(px_nvrtc *n, int code);

// The arguments of a matrix product as cuBLASLt counts them, column by column:
// D[m,n] = alpha op(A) op(B) + beta C.
typedef struct {
    int64_t m, n, k;
    int64_t lda, ldb, ldc, ldd;
    int32_t trans_a, trans_b;
    int32_t type_ab, type_cd;              // cudaDataType_t
    int32_t align_a, align_b, align_c, align_d; // bytes
} px_gemm_shape;

typedef struct px_blas px_blas;
typedef struct px_plan px_plan;
px_blas *px_blas_bind(void *library, const char **missing);
int px_blas_create(px_blas *b);
void px_blas_destroy(px_blas *b);
size_t px_blas_version(px_blas *b);
// px_plan_create asks the library's heuristic for the best algorithm within the
// workspace; 15 (not supported) when it has none.
int px_plan_create(px_blas *b, const px_gemm_shape *shape, size_t workspace, px_plan **plan);
void px_plan_destroy(px_blas *b, px_plan *p);
int px_plan_run(px_blas *b, px_plan *p, float alpha, CUdeviceptr a, CUdeviceptr bm, float beta, CUdeviceptr c, CUdeviceptr d,
                CUdeviceptr workspace, size_t workspace_size, CUstream stream);

// px_tensor_map describes to the copy engine a bf16 matrix of batch x rows rows of
// cols elements, stride elements apart, to be copied in tiles of 64 x 64 with the
// 128-byte swizzle. map has 128 bytes.
CUresult px_tensor_map(void *map, CUdeviceptr base, uint64_t cols, uint64_t rows, uint64_t batch, uint64_t stride);

// px_launch launches with parameters that lie one after another in block;
// offsets[i] is where parameter i begins.
CUresult px_launch(CUfunction fn, const unsigned int *grid, const unsigned int *threads, unsigned int shared, CUstream stream,
                   void *block, const unsigned int *offsets, int n);

// px_capture_begin has a stream note what it is given instead of starting it;
// px_capture_last is the node of what was given last.
CUresult px_capture_begin(CUstream stream);
CUresult px_capture_last(CUstream stream, CUgraphNode *node);

// px_graph_set replaces the grid and the parameters, as for px_launch, of a kernel in
// a graph that can be launched.
CUresult px_graph_set(CUgraphExec exec, CUgraphNode node, CUfunction fn, const unsigned int *grid, const unsigned int *threads,
                      unsigned int shared, void *block, const unsigned int *offsets, int n);

#endif
