//go:build cuda

// The CUDA driver, found when it is first needed rather than by the linker: each
// function of cuda_api.h is defined here and passes its arguments on to the
// driver's own. So a binary built with the tag cuda starts where no driver is.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <cuda.h>
#include "shim.h"

static pthread_once_t opened = PTHREAD_ONCE_INIT;
static void *driver;
static const char *place = "";
static char problem[1024];

static void note_missing(char *where, size_t size) {
    snprintf(problem, sizeof problem, "no CUDA driver library found (looked for %.*s)", (int)size, where);
}

static void open_driver(void) {
    const char *places[] = {
        getenv("PARALLAX_LIBCUDA"), "libcuda.so.1", "libcuda.so", "/usr/local/nvidia/lib64/libcuda.so.1",
        "/usr/lib/x86_64-linux-gnu/libcuda.so.1", "/usr/lib/aarch64-linux-gnu/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1",
    };
    char tried[800];
    size_t n = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i] == NULL || *places[i] == 0) continue;
        if ((driver = dlopen(places[i], RTLD_NOW | RTLD_GLOBAL)) != NULL) {
            place = strdup(places[i]);
            return;
        }
        int w = snprintf(tried + n, sizeof tried - n, "%s%s", n ? ", " : "", places[i]);
        if (w > 0 && n + (size_t)w < sizeof tried) n += (size_t)w;
    }
    note_missing(tried, n);
}

static void *resolve(const char *symbol) {
    pthread_once(&opened, open_driver);
    return driver == NULL ? NULL : dlsym(driver, symbol);
}

// cuInit hides its failure: gorgonia.org/cu calls it before main and would end
// the process. px_driver_problem tells it to whoever opens a device.
CUresult cuInit(unsigned int flags) {
    CUresult (*init)(unsigned int) = resolve("cuInit");
    if (init == NULL) {
        if (driver != NULL) snprintf(problem, sizeof problem, "the CUDA driver library has no cuInit");
        return CUDA_SUCCESS;
    }
    CUresult err = init(flags);
    if (err != CUDA_SUCCESS) {
        const char *text = NULL;
        cuGetErrorString(err, &text);
        snprintf(problem, sizeof problem, "the CUDA driver does not start: %s (error %d)", text ? text : "unknown error", err);
    }
    return CUDA_SUCCESS;
}

const char *px_driver_problem(void) { return problem; }

const char *px_driver_place(void) { return place; }

#define PX(name, symbol, params, args)                                             \
    CUresult name params {                                                         \
        static CUresult(*px_found) params;                                         \
        CUresult(*px_call) params = __atomic_load_n(&px_found, __ATOMIC_ACQUIRE);  \
        if (px_call == NULL) {                                                     \
            if ((px_call = resolve(#symbol)) == NULL) return CUDA_ERROR_NOT_FOUND; \
            __atomic_store_n(&px_found, px_call, __ATOMIC_RELEASE);                \
        }                                                                          \
        return px_call args;                                                       \
    }
#include <cuda_api.h>
