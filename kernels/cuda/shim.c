//go:build cuda

#include "shim.h"

#include <dlfcn.h>
#include <string.h>

void *px_dlopen(const char *path, const char **why) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) *why = dlerror();
    return library;
}

CUresult px_unpin(uintptr_t address) { return cuMemHostUnregister((void *)address); }

// bind_all fills a table of function pointers, in the order of names. It returns
// the first name that the library lacks, or NULL.
static const char *bind_all(void *library, const char **names, void **table, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if ((table[i] = dlsym(library, names[i])) == NULL) return names[i];
    }
    return NULL;
}

// ---- NVRTC ----

typedef struct nvrtc_program *program;

struct px_nvrtc {
    int (*version)(int *, int *);
    int (*create)(program *, const char *, const char *, int, const char **, const char **);
    int (*destroy)(program *);
    int (*compile)(program, int, const char **);
    int (*log_size)(program, size_t *);
    int (*log)(program, char *);
    int (*image_size)(program, size_t *);
    int (*image)(program, char *);
    const char *(*error)(int);
};

px_nvrtc *px_nvrtc_bind(void *library, const char **missing) {
    const char *names[] = {
        "nvrtcVersion", "nvrtcCreateProgram", "nvrtcDestroyProgram", "nvrtcCompileProgram", "nvrtcGetProgramLogSize",
        "nvrtcGetProgramLog", "nvrtcGetCUBINSize", "nvrtcGetCUBIN", "nvrtcGetErrorString",
    };
    px_nvrtc *n = calloc(1, sizeof *n);
    if ((*missing = bind_all(library, names, (void **)n, sizeof names / sizeof *names)) != NULL) {
        free(n);
        return NULL;
    }
    return n;
}

int px_nvrtc_version(px_nvrtc *n, int *major, int *minor) { return n->version(major, minor); }

const char *px_nvrtc_error(px_nvrtc *n, int code) { return n->error(code); }

static void take(program p, int (*size)(program, size_t *), int (*get)(program, char *), char **out, size_t *n) {
    if (size(p, n) != 0 || *n == 0) return;
    *out = malloc(*n);
    if (get(p, *out) != 0) {
        free(*out);
        *out = NULL;
    }
}

int px_nvrtc_compile(px_nvrtc *n, const char *source, const char *name, int noptions, const char **options, char **image,
                     size_t *image_size, char **log) {
    program p = NULL;
    size_t log_size = 0;
    *image = *log = NULL;
    int err = n->create(&p, source, name, 0, NULL, NULL);
    if (err != 0) return err;
    err = n->compile(p, noptions, options);
    take(p, n->log_size, n->log, log, &log_size);
    if (err == 0) take(p, n->image_size, n->image, image, image_size);
    n->destroy(&p);
    return err;
}

// ---- cuBLASLt ----

typedef struct { uint64_t data[8]; } algo;
typedef struct {
    algo algorithm;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
} heuristic;

// The values of the library's enumerations that are used here.
enum { COMPUTE_32F = 68, R_32F = 0, DESC_TRANSA = 3, DESC_TRANSB = 4, PREF_MAX_WORKSPACE = 1, PREF_ALIGN_A = 5, NOT_SUPPORTED = 15 };

struct px_blas {
    int (*create)(void **);
    int (*destroy)(void *);
    size_t (*version)(void);
    int (*desc_create)(void **, int, int);
    int (*desc_destroy)(void *);
    int (*desc_set)(void *, int, const void *, size_t);
    int (*layout_create)(void **, int, uint64_t, uint64_t, int64_t);
    int (*layout_destroy)(void *);
    int (*pref_create)(void **);
    int (*pref_destroy)(void *);
    int (*pref_set)(void *, int, const void *, size_t);
    int (*choose)(void *, void *, void *, void *, void *, void *, void *, int, heuristic *, int *);
    int (*matmul)(void *, void *, const void *, const void *, void *, const void *, void *, const void *, const void *, void *,
                  void *, void *, const algo *, void *, size_t, CUstream);
    void *handle;
};

px_blas *px_blas_bind(void *library, const char **missing) {
    const char *names[] = {
        "cublasLtCreate", "cublasLtDestroy", "cublasLtGetVersion", "cublasLtMatmulDescCreate", "cublasLtMatmulDescDestroy",
        "cublasLtMatmulDescSetAttribute", "cublasLtMatrixLayoutCreate", "cublasLtMatrixLayoutDestroy",
        "cublasLtMatmulPreferenceCreate", "cublasLtMatmulPreferenceDestroy", "cublasLtMatmulPreferenceSetAttribute",
        "cublasLtMatmulAlgoGetHeuristic", "cublasLtMatmul",
    };
    px_blas *b = calloc(1, sizeof *b);
    if ((*missing = bind_all(library, names, (void **)b, sizeof names / sizeof *names)) != NULL) {
        free(b);
        return NULL;
    }
    return b;
}

int px_blas_create(px_blas *b) { return b->create(&b->handle); }

void px_blas_destroy(px_blas *b) {
    b->destroy(b->handle);
    free(b);
}

size_t px_blas_version(px_blas *b) { return b->version(); }

struct px_plan {
    void *desc, *a, *b, *c, *d;
    algo algorithm;
};

void px_plan_destroy(px_blas *b, px_plan *p) {
    if (p->desc) b->desc_destroy(p->desc);
    void *layouts[] = {p->a, p->b, p->c, p->d};
    for (int i = 0; i < 4; i++) {
        if (layouts[i]) b->layout_destroy(layouts[i]);
    }
    free(p);
}

static int describe(px_blas *b, const px_gemm_shape *s, px_plan *p) {
    int err = b->desc_create(&p->desc, COMPUTE_32F, R_32F);
    if (!err) err = b->desc_set(p->desc, DESC_TRANSA, &s->trans_a, sizeof s->trans_a);
    if (!err) err = b->desc_set(p->desc, DESC_TRANSB, &s->trans_b, sizeof s->trans_b);
    if (!err) err = b->layout_create(&p->a, s->type_ab, s->trans_a ? s->k : s->m, s->trans_a ? s->m : s->k, s->lda);
    if (!err) err = b->layout_create(&p->b, s->type_ab, s->trans_b ? s->n : s->k, s->trans_b ? s->k : s->n, s->ldb);
    if (!err) err = b->layout_create(&p->c, s->type_cd, s->m, s->n, s->ldc);
    if (!err) err = b->layout_create(&p->d, s->type_cd, s->m, s->n, s->ldd);
    return err;
}

static int choose(px_blas *b, const px_gemm_shape *s, size_t workspace, px_plan *p) {
    void *pref = NULL;
    int err = b->pref_create(&pref);
    if (err) return err;
    int32_t align[] = {s->align_a, s->align_b, s->align_c, s->align_d};
    uint64_t limit = workspace;
    err = b->pref_set(pref, PREF_MAX_WORKSPACE, &limit, sizeof limit);
    for (int i = 0; i < 4 && !err; i++) err = b->pref_set(pref, PREF_ALIGN_A + i, &align[i], sizeof align[i]);
    heuristic found;
    int n = 0;
    if (!err) err = b->choose(b->handle, p->desc, p->a, p->b, p->c, p->d, pref, 1, &found, &n);
    b->pref_destroy(pref);
    if (err) return err;
    if (n == 0) return NOT_SUPPORTED;
    p->algorithm = found.algorithm;
    return found.state;
}

int px_plan_create(px_blas *b, const px_gemm_shape *shape, size_t workspace, px_plan **plan) {
    px_plan *p = calloc(1, sizeof *p);
    int err = describe(b, shape, p);
    if (!err) err = choose(b, shape, workspace, p);
    if (err) {
        px_plan_destroy(b, p);
        return err;
    }
    *plan = p;
    return 0;
}

int px_plan_run(px_blas *b, px_plan *p, float alpha, CUdeviceptr a, CUdeviceptr bm, float beta, CUdeviceptr c, CUdeviceptr d,
                CUdeviceptr workspace, size_t workspace_size, CUstream stream) {
    return b->matmul(b->handle, p->desc, &alpha, (void *)a, p->a, (void *)bm, p->b, &beta, (void *)c, p->c, (void *)d, p->d,
                     &p->algorithm, (void *)workspace, workspace_size, stream);
}

// ---- launches ----

CUresult px_tensor_map(void *map, CUdeviceptr base, uint64_t cols, uint64_t rows, uint64_t batch, uint64_t stride) {
    cuuint64_t dims[] = {cols, rows, batch}, strides[] = {2 * stride, 2 * stride * rows};
    cuuint32_t box[] = {64, 64, 1}, steps[] = {1, 1, 1};
    CUtensorMap m;
    CUresult err = cuTensorMapEncodeTiled(&m, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, (void *)base, dims, strides, box, steps,
                                          CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                          CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    memcpy(map, &m, sizeof m);
    return err;
}

enum { MAX_PARAMS = 32 };

static CUresult locate(void **params, void *block, const unsigned int *offsets, int n) {
    if (n > MAX_PARAMS) return CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; i < n; i++) params[i] = (char *)block + offsets[i];
    return CUDA_SUCCESS;
}

CUresult px_launch(CUfunction fn, const unsigned int *grid, const unsigned int *threads, unsigned int shared, CUstream stream,
                   void *block, const unsigned int *offsets, int n) {
    void *params[MAX_PARAMS];
    CUresult err = locate(params, block, offsets, n);
    if (err != CUDA_SUCCESS) return err;
    return cuLaunchKernel(fn, grid[0], grid[1], grid[2], threads[0], threads[1], threads[2], shared, stream, params, NULL);
}

// ---- graphs ----

// The mode that leaves other threads, and calls that are not captured, alone.
enum { CAPTURE_RELAXED = 2 };

CUresult px_capture_begin(CUstream stream) { return cuStreamBeginCapture(stream, CAPTURE_RELAXED); }

CUresult px_capture_last(CUstream stream, CUgraphNode *node) {
    int status = 0;
    size_t n = 0;
    const CUgraphNode *last = NULL;
    CUresult err = cuStreamGetCaptureInfo(stream, &status, NULL, NULL, &last, &n);
    if (err == CUDA_SUCCESS && n != 1) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (err == CUDA_SUCCESS) *node = last[0];
    return err;
}

CUresult px_graph_set(CUgraphExec exec, CUgraphNode node, CUfunction fn, const unsigned int *grid, const unsigned int *threads,
                      unsigned int shared, void *block, const unsigned int *offsets, int n) {
    void *params[MAX_PARAMS];
    CUresult err = locate(params, block, offsets, n);
    if (err != CUDA_SUCCESS) return err;
    CUDA_KERNEL_NODE_PARAMS p = {
        .func = fn, .gridDimX = grid[0], .gridDimY = grid[1], .gridDimZ = grid[2],
        .blockDimX = threads[0], .blockDimY = threads[1], .blockDimZ = threads[2],
        .sharedMemBytes = shared, .kernelParams = params,
    };
    return cuGraphExecKernelNodeSetParams(exec, node, &p);
}
