// A driver, an NVRTC, a cuBLASLt and an NCCL that do little but keep books: device
// memory is host memory, streams run at once, kernels are not executed. One library
// plays all four, for tests of the plumbing on hosts without a GPU.
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long ptr;
#define LIMIT (1ull << 30)

static size_t used;
static int registered, blocks, events;
// The books of graphs: kernels started one by one, graphs launched, parameters
// changed, graphs that exist.
static int singles, graphs_launched, changes, graphs_alive;

int cuInit(unsigned flags) { return 0; }
int cuGetErrorString(int code, const char **text) {
    *text = code == 719 ? "the fake launch failed" : code == 2 ? "out of fake memory" : "a fake error";
    return 0;
}
int cuDriverGetVersion(int *v) { *v = 12090; return 0; }
int cuDeviceGetCount(int *n) { *n = 2; return 0; }
int cuDeviceCanAccessPeer(int *can, int dev, int peer) { *can = 1; return 0; }
int cuDeviceGetUuid(char *id, int dev) { memset(id, 0, 16); id[15] = dev + 1; return 0; }
int cuDeviceGet(int *dev, int i) { *dev = i; return 0; }
int cuDeviceGetName(char *name, int len, int dev) { strncpy(name, "Fake", len); return 0; }
int cuDeviceTotalMem_v2(size_t *n, int dev) { *n = LIMIT; return 0; }

// Attributes: compute capability 8.0, 4 multiprocessors; asked for the PCI numbers
// (33, 34, 50), it tells how many host ranges, device blocks and events exist, and
// asked for sizes of textures (21 to 24), the books of graphs.
int cuDeviceGetAttribute(int *v, int attribute, int dev) {
    switch (attribute) {
    case 75: *v = 8; break;
    case 76: *v = 0; break;
    case 16: *v = 4; break;
    case 33: *v = __atomic_load_n(&registered, __ATOMIC_SEQ_CST); break;
    case 34: *v = __atomic_load_n(&blocks, __ATOMIC_SEQ_CST); break;
    case 50: *v = __atomic_load_n(&events, __ATOMIC_SEQ_CST); break;
    case 21: *v = __atomic_load_n(&singles, __ATOMIC_SEQ_CST); break;
    case 22: *v = __atomic_load_n(&graphs_launched, __ATOMIC_SEQ_CST); break;
    case 23: *v = __atomic_load_n(&changes, __ATOMIC_SEQ_CST); break;
    case 24: *v = __atomic_load_n(&graphs_alive, __ATOMIC_SEQ_CST); break;
    default: return 1;
    }
    return 0;
}
int cuDevicePrimaryCtxRetain(void **ctx, int dev) { *ctx = (void *)1; return 0; }
int cuDevicePrimaryCtxRelease_v2(int dev) { return 0; }
int cuCtxSetCurrent(void *ctx) { return ctx == (void *)1 ? 0 : 201; }
int cuCtxSynchronize(void) { return 0; }
int cuStreamDestroy_v2(void *s) { free(s); return 0; }
int cuStreamWaitEvent(void *s, void *e, unsigned flags) { return 0; }
int cuEventCreate(void **e, unsigned flags) { *e = malloc(1); __atomic_add_fetch(&events, 1, __ATOMIC_SEQ_CST); return 0; }
int cuEventDestroy_v2(void *e) { free(e); __atomic_sub_fetch(&events, 1, __ATOMIC_SEQ_CST); return 0; }
int cuEventRecord(void *e, void *s) { return 0; }
int cuEventSynchronize(void *e) { return 0; }
int cuMemGetInfo_v2(size_t *f, size_t *total) { *f = LIMIT - used; *total = LIMIT; return 0; }

int cuMemAlloc_v2(ptr *p, size_t n) {
    if (used + n > LIMIT) return 2;
    size_t *block = malloc(n + 256);
    *block = n;
    used += n;
    __atomic_add_fetch(&blocks, 1, __ATOMIC_SEQ_CST);
    *p = (ptr)(uintptr_t)block + 256;
    memset((void *)(uintptr_t)*p, 0x41, n);
    return 0;
}
int cuMemFree_v2(ptr p) {
    size_t *block = (size_t *)(uintptr_t)(p - 256);
    used -= *block;
    __atomic_sub_fetch(&blocks, 1, __ATOMIC_SEQ_CST);
    free(block);
    return 0;
}
int cuMemcpyHtoDAsync_v2(ptr d, const void *s, size_t n, void *st) { memcpy((void *)(uintptr_t)d, s, n); return 0; }
int cuMemcpyDtoHAsync_v2(void *d, ptr s, size_t n, void *st) { memcpy(d, (void *)(uintptr_t)s, n); return 0; }
int cuMemHostRegister_v2(void *p, size_t n, unsigned flags) { __atomic_add_fetch(&registered, 1, __ATOMIC_SEQ_CST); return 0; }
int cuMemHostUnregister(void *p) { __atomic_sub_fetch(&registered, 1, __ATOMIC_SEQ_CST); return 0; }
int cuModuleLoadData(void **m, const void *image) { *m = strdup(image); return 0; }
int cuModuleUnload(void *m) { free(m); return 0; }
int cuModuleGetFunction(void **f, void *m, const char *name) { *f = m; return strcmp(m, name) ? 500 : 0; }
int cuFuncSetAttribute(void *f, int a, int v) { return 0; }

// A piece of work: what a stream does at once, or a graph keeps.
typedef struct node {
    enum { FILL, MOVE, KERNEL } kind;
    ptr dst, src;
    unsigned char value;
    size_t n;
    const char *fn;
    unsigned long long params[6];
    struct node *next;
} node;
typedef struct { node *first, *last; } graph;
typedef struct { graph *capturing; } stream;

int cuStreamCreate(void **s, unsigned flags) { *s = calloc(1, sizeof(stream)); return 0; }

// The kernel clip_scale fails. update, of float32, computes. All others do nothing.
static int carry_out(node *w) {
    if (w->kind == FILL) memset((void *)(uintptr_t)w->dst, w->value, w->n);
    if (w->kind == MOVE) memmove((void *)(uintptr_t)w->dst, (void *)(uintptr_t)w->src, w->n);
    if (w->kind != KERNEL) return 0;
    if (!strcmp(w->fn, "clip_scale")) return 719;
    if (!strcmp(w->fn, "update")) {
        float *p = (float *)(uintptr_t)w->params[0], *u = (float *)(uintptr_t)w->params[2], decay, rate;
        memcpy(&decay, &w->params[4], 4);
        memcpy(&rate, &w->params[5], 4);
        for (size_t i = 0; i < w->params[3]; i++) p[i] = decay * p[i] - rate * u[i];
    }
    return 0;
}

static int give(stream *s, node w) {
    if (!s->capturing) {
        if (w.kind == KERNEL) __atomic_add_fetch(&singles, 1, __ATOMIC_SEQ_CST);
        return carry_out(&w);
    }
    node *kept = malloc(sizeof w);
    *kept = w;
    kept->next = NULL;
    if (s->capturing->last) s->capturing->last->next = kept; else s->capturing->first = kept;
    s->capturing->last = kept;
    return 0;
}

static void take_params(node *w, void **params) {
    if (!strcmp(w->fn, "update"))
        for (int i = 0; i < 6; i++) memcpy(&w->params[i], params[i], 8);
}

int cuMemcpyDtoDAsync_v2(ptr d, ptr s, size_t n, void *st) { return give(st, (node){.kind = MOVE, .dst = d, .src = s, .n = n}); }
int cuMemsetD8Async(ptr d, unsigned char v, size_t n, void *st) { return give(st, (node){.kind = FILL, .dst = d, .value = v, .n = n}); }
int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void *s, void **params, void **extra) {
    node w = {.kind = KERNEL, .fn = f};
    take_params(&w, params);
    return give(s, w);
}

int cuStreamBeginCapture_v2(stream *s, int mode) {
    if (s->capturing || mode != 2) return 900;
    s->capturing = calloc(1, sizeof(graph));
    __atomic_add_fetch(&graphs_alive, 1, __ATOMIC_SEQ_CST);
    return 0;
}
int cuStreamEndCapture(stream *s, graph **g) { *g = s->capturing; s->capturing = NULL; return 0; }
int cuStreamGetCaptureInfo_v2(stream *s, int *status, unsigned long long *id, void **g, node ***last, size_t *n) {
    *status = s->capturing != NULL;
    *last = &s->capturing->last;
    *n = s->capturing->last != NULL;
    return 0;
}
int cuGraphInstantiateWithFlags(graph **e, graph *g, unsigned long long flags) { *e = g; return 0; }
int cuGraphLaunch(graph *e, stream *s) {
    __atomic_add_fetch(&graphs_launched, 1, __ATOMIC_SEQ_CST);
    for (node *w = e->first; w; w = w->next) {
        int err = carry_out(w);
        if (err) return err;
    }
    return 0;
}
typedef struct { void *fn; unsigned size[7]; void **params, **extra; } kernel_params;
int cuGraphExecKernelNodeSetParams(graph *e, node *w, kernel_params *p) {
    if (w->kind != KERNEL) return 1;
    __atomic_add_fetch(&changes, 1, __ATOMIC_SEQ_CST);
    w->fn = p->fn;
    take_params(w, p->params);
    return 0;
}
int cuGraphExecDestroy(graph *e) { return 0; }
int cuGraphDestroy(graph *g) {
    for (node *w = g->first, *next; w; w = next) { next = w->next; free(w); }
    free(g);
    __atomic_sub_fetch(&graphs_alive, 1, __ATOMIC_SEQ_CST);
    return 0;
}

// NVRTC: the machine code of NAME.cu is NAME.
int nvrtcVersion(int *a, int *b) { *a = 12; *b = 9; return 0; }
int nvrtcCreateProgram(void **p, const char *s, const char *name, int n, const char **h, const char **i) {
    char *copy = strdup(name), *dot = strchr(copy, '.');
    if (dot) *dot = 0;
    *p = copy;
    return 0;
}
int nvrtcDestroyProgram(void **p) { free(*p); return 0; }
int nvrtcCompileProgram(void *p, int n, const char **o) { return 0; }
int nvrtcGetProgramLogSize(void *p, size_t *n) { *n = 1; return 0; }
int nvrtcGetProgramLog(void *p, char *log) { *log = 0; return 0; }
int nvrtcGetCUBINSize(void *p, size_t *n) { *n = strlen(p); return 0; }
int nvrtcGetCUBIN(void *p, char *image) { memcpy(image, p, strlen(p)); return 0; }
const char *nvrtcGetErrorString(int code) { return "a fake error"; }

// cuBLASLt: knows no algorithm.
int cublasLtCreate(void **h) { *h = (void *)1; return 0; }
int cublasLtDestroy(void *h) { return 0; }
size_t cublasLtGetVersion(void) { return 120900; }
int cublasLtMatmulDescCreate(void **d, int c, int s) { *d = malloc(1); return 0; }
int cublasLtMatmulDescDestroy(void *d) { free(d); return 0; }
int cublasLtMatmulDescSetAttribute(void *d, int a, const void *v, size_t n) { return 0; }
int cublasLtMatrixLayoutCreate(void **l, int t, uint64_t r, uint64_t c, int64_t ld) { *l = malloc(1); return 0; }
int cublasLtMatrixLayoutDestroy(void *l) { free(l); return 0; }
int cublasLtMatmulPreferenceCreate(void **p) { *p = malloc(1); return 0; }
int cublasLtMatmulPreferenceDestroy(void *p) { free(p); return 0; }
int cublasLtMatmulPreferenceSetAttribute(void *p, int a, const void *v, size_t n) { return 0; }
int cublasLtMatmulAlgoGetHeuristic(void *h, void *d, void *a, void *b, void *c, void *e, void *p, int n, void *r, int *found) {
    *found = 0;
    return 0;
}
int cublasLtMatmul(void) { return 1; }

// NCCL: a group of up to 4 ranks of one process. A collective is done once all ranks
// have come to it, and in progress until then. A group whose name begins with 'x'
// fails at its first collective.
#define RANKS 4
typedef struct { char bytes[128]; } nccl_id;
typedef struct { int kind, type, root; size_t n; void *at; } call;
typedef struct group_ {
    char id[128];
    int size, joined, gone, waiting[RANKS], broken;
    call calls[RANKS][RANKS]; // a rank's calls between group start and end
    struct group_ *next;
} group_;
typedef struct { group_ *g; int rank; } comm;
static pthread_mutex_t nccl_lock = PTHREAD_MUTEX_INITIALIZER;
static group_ *groups;
static int named;
static __thread int nested;
static __thread comm *pending;

int ncclGetVersion(int *v) { *v = 22809; return 0; }
const char *ncclGetErrorString(int code) { return "a fake failure of the network"; }
int ncclGetUniqueId(nccl_id *id) {
    memset(id, 'g', sizeof *id);
    int n = __atomic_add_fetch(&named, 1, __ATOMIC_SEQ_CST);
    memcpy(id->bytes + 1, &n, sizeof n);
    return 0;
}
typedef struct { size_t size; unsigned magic, version; int blocking; } nccl_config;
int ncclCommInitRankConfig(comm **out, int size, nccl_id id, int rank, nccl_config *c) {
    if (c->blocking || c->magic != 0xcafebeef || size > RANKS || rank >= size) return 4;
    pthread_mutex_lock(&nccl_lock);
    group_ *g = groups;
    while (g && memcmp(g->id, &id, sizeof id)) g = g->next;
    if (!g) {
        g = calloc(1, sizeof *g);
        memcpy(g->id, &id, sizeof id);
        g->size = size;
        g->next = groups;
        groups = g;
    }
    g->joined++;
    pthread_mutex_unlock(&nccl_lock);
    *out = malloc(sizeof **out);
    **out = (comm){g, rank};
    return 7;
}

// combine carries a collective out that all ranks have come to.
static void combine(group_ *g, int count) {
    for (int k = 0; k < count; k++) {
        call *c = &g->calls[0][k];
        for (int r = 1; c->kind == 1 && r < g->size; r++) {
            for (size_t i = 0; i < c->n; i++) {
                if (c->type == 2) ((int *)c->at)[i] += ((int *)g->calls[r][k].at)[i];
                if (c->type == 7) ((float *)c->at)[i] += ((float *)g->calls[r][k].at)[i];
            }
        }
        void *from = c->kind == 1 ? c->at : g->calls[c->root][k].at;
        size_t width = c->type == 1 ? 1 : c->type == 9 ? 2 : 4;
        for (int r = 0; r < g->size; r++) memmove(g->calls[r][k].at, from, c->n * width);
    }
}
static int arrive(comm *c) {
    pthread_mutex_lock(&nccl_lock);
    group_ *g = c->g;
    int all = 1, result = g->id[0] == 'x' ? 6 : 7;
    if (result == 6) g->broken = 1;
    for (int r = 0; r < g->size; r++) all = all && g->waiting[r];
    if (all && !g->broken) {
        combine(g, g->waiting[0]);
        memset(g->waiting, 0, sizeof g->waiting);
        result = 0;
    }
    pthread_mutex_unlock(&nccl_lock);
    return result;
}
static int add_call(comm *c, call k) {
    pthread_mutex_lock(&nccl_lock);
    c->g->calls[c->rank][c->g->waiting[c->rank]++] = k;
    pthread_mutex_unlock(&nccl_lock);
    pending = c;
    return nested ? 0 : arrive(c);
}
int ncclAllReduce(void *s, void *d, size_t n, int type, int op, comm *c, void *st) { return add_call(c, (call){1, type, 0, n, d}); }
int ncclBroadcast(void *s, void *d, size_t n, int type, int root, comm *c, void *st) { return add_call(c, (call){2, type, root, n, d}); }
int ncclGroupStart(void) { nested = 1; pending = NULL; return 0; }
int ncclGroupEnd(void) { nested = 0; return pending ? arrive(pending) : 0; }
int ncclCommGetAsyncError(comm *c, int *state) {
    pthread_mutex_lock(&nccl_lock);
    *state = c->g->broken ? 6 : c->g->joined < c->g->size || c->g->waiting[c->rank] ? 7 : 0;
    pthread_mutex_unlock(&nccl_lock);
    return 0;
}
int ncclCommFinalize(comm *c) { return 7; }
int ncclCommDestroy(comm *c) { free(c); return 0; }
int ncclCommAbort(comm *c) {
    pthread_mutex_lock(&nccl_lock);
    if (++c->g->gone < c->g->size) c->g->broken = 1;
    pthread_mutex_unlock(&nccl_lock);
    free(c);
    return 0;
}
