//go:build cuda

// NCCL, found at run time. What is called here never blocks for other ranks: the
// communicator is told so, and whoever calls asks px_nccl_state until it is well.

#include "nccl.h"

#include <dlfcn.h>
#include <limits.h>
#include <string.h>

typedef struct { char bytes[PX_NCCL_ID]; } unique_id;

// The library's configuration as of 2.18, which newer ones take as well; what is not
// named is left to it.
typedef struct {
    size_t size;
    unsigned int magic, version;
    int blocking, cga_cluster, min_ctas, max_ctas;
    const char *net;
    int split_share;
} config;

enum { MAGIC = 0xcafebeef, CONFIG_VERSION = 21800, SUM = 0, UINT8 = 1 };

struct px_nccl {
    int (*version)(int *);
    int (*id)(unique_id *);
    int (*init)(void **, int, unique_id, int, config *);
    int (*state)(void *, int *);
    int (*all_reduce)(const void *, void *, size_t, int, int, void *, CUstream);
    int (*broadcast)(const void *, void *, size_t, int, int, void *, CUstream);
    int (*group_start)(void);
    int (*group_end)(void);
    int (*finalize)(void *);
    int (*destroy)(void *);
    int (*abort)(void *);
    const char *(*error)(int);
};

px_nccl *px_nccl_bind(void *library, const char **missing) {
    const char *names[] = {
        "ncclGetVersion", "ncclGetUniqueId", "ncclCommInitRankConfig", "ncclCommGetAsyncError", "ncclAllReduce",
        "ncclBroadcast",  "ncclGroupStart",  "ncclGroupEnd",           "ncclCommFinalize",      "ncclCommDestroy",
        "ncclCommAbort",  "ncclGetErrorString",
    };
    px_nccl *n = calloc(1, sizeof *n);
    void **table = (void **)n;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((table[i] = dlsym(library, names[i])) == NULL) {
            *missing = names[i];
            free(n);
            return NULL;
        }
    }
    return n;
}

int px_nccl_version(px_nccl *n) {
    int v = 0;
    return n->version(&v) == 0 ? v : 0;
}

const char *px_nccl_error(px_nccl *n, int code) { return n->error(code); }

int px_nccl_id(px_nccl *n, void *id) {
    unique_id u;
    int err = n->id(&u);
    memcpy(id, &u, sizeof u);
    return err;
}

int px_nccl_init(px_nccl *n, void **comm, const void *id, int rank, int size) {
    unique_id u;
    memcpy(&u, id, sizeof u);
    config c = {
        .size = sizeof c, .magic = MAGIC, .version = CONFIG_VERSION, .blocking = 0,
        .cga_cluster = INT_MIN, .min_ctas = INT_MIN, .max_ctas = INT_MIN, .split_share = INT_MIN,
    };
    return n->init(comm, size, u, rank, &c);
}

int px_nccl_state(px_nccl *n, void *comm) {
    int state = 0, err = n->state(comm, &state);
    return err ? err : state;
}

int px_nccl_all_reduce(px_nccl *n, void *comm, CUdeviceptr buf, size_t count, int type, CUstream stream) {
    return n->all_reduce((void *)buf, (void *)buf, count, type, SUM, comm, stream);
}

int px_nccl_all_gather(px_nccl *n, void *comm, CUdeviceptr buf, const size_t *bounds, int size, CUstream stream) {
    int err = n->group_start();
    if (err) return err;
    for (int root = 0; root < size && (!err || err == PX_NCCL_IN_PROGRESS); root++) {
        void *part = (void *)(buf + bounds[root]);
        if (bounds[root + 1] > bounds[root]) err = n->broadcast(part, part, bounds[root + 1] - bounds[root], UINT8, root, comm, stream);
    }
    int end = n->group_end();
    return err && err != PX_NCCL_IN_PROGRESS ? err : end;
}

int px_nccl_finalize(px_nccl *n, void *comm) { return n->finalize(comm); }

int px_nccl_destroy(px_nccl *n, void *comm) { return n->destroy(comm); }

int px_nccl_abort(px_nccl *n, void *comm) { return n->abort(comm); }
