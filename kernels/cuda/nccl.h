// NCCL as this package calls it, see nccl.c. Results are the library's: 0 for success,
// PX_NCCL_IN_PROGRESS while other ranks are awaited.
#ifndef PARALLAX_NCCL_H
#define PARALLAX_NCCL_H

#include <cuda.h>

enum { PX_NCCL_ID = 128, PX_NCCL_IN_PROGRESS = 7 };

typedef struct px_nccl px_nccl;
px_nccl *px_nccl_bind(void *library, const char **missing);
int px_nccl_version(px_nccl *n);
const char *px_nccl_error(px_nccl *n, int code);
// px_nccl_id writes PX_NCCL_ID bytes that name a group.
int px_nccl_id(px_nccl *n, void *id);
int px_nccl_init(px_nccl *n, void **comm, const void *id, int rank, int size);
int px_nccl_state(px_nccl *n, void *comm);
// px_nccl_all_reduce sums count elements, of ncclDataType_t type, in place.
int px_nccl_all_reduce(px_nccl *n, void *comm, CUdeviceptr buf, size_t count, int type, CUstream stream);
// px_nccl_all_gather hands bytes [bounds[i], bounds[i+1]) of rank i to all.
int px_nccl_all_gather(px_nccl *n, void *comm, CUdeviceptr buf, const size_t *bounds, int size, CUstream stream);
// px_nccl_finalize begins to leave; once the state is well, px_nccl_destroy ends it.
int px_nccl_finalize(px_nccl *n, void *comm);
int px_nccl_destroy(px_nccl *n, void *comm);
// px_nccl_abort ends it at once, whatever is under way.
int px_nccl_abort(px_nccl *n, void *comm);

#endif
