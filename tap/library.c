#include "tap/library.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static struct library library;
static _Atomic int is_looked_for;
static pthread_once_t once = PTHREAD_ONCE_INIT;

__attribute__((visibility("default"))) void *sluice_tap_real[TAP_NAMES_COUNT];

#define TEXT(name) #name,
static const char *const wrapped[TAP_NAMES_COUNT] = {TAP_NAMES(TEXT)};
#undef TEXT

/* ---- which library it is ---- */

/* The n-th object of the process, from 0. */
struct object {
    size_t n;
    char path[4096];
};

static int note_nth(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct object *o = arg;
    (void)size;
    if (o->n--) return 0;
    snprintf(o->path, sizeof o->path, "%s", info->dlpi_name);
    return 1;
}

/* Our wrapper is a function of that name, too. */
static int is_ours(const void *at)
{
    Dl_info own, other;
    return dladdr(&once, &own) && dladdr(at, &other) && own.dli_fbase == other.dli_fbase;
}

/* A function of a library that was loaded for one part of the program, under any name. What is found
 * through an object may lie in one that it needs. Not from within dl_iterate_phdr(), whose lock dlopen()
 * takes after its own. */
static void *find_local(const char *name)
{
    struct object o;
    void *found = NULL;
    for (size_t n = 0; !found; n++) {
        o.n = n;
        if (!dl_iterate_phdr(note_nth, &o)) return NULL;
        void *handle = o.path[0] ? dlopen(o.path, RTLD_LAZY | RTLD_NOLOAD) : NULL;
        if (!handle) continue;
        found = dlsym(handle, name);
        if (found && is_ours(found)) found = NULL;
        dlclose(handle);
    }
    return found;
}

/* The path of the library that holds the functions that the program calls; "": there is none. */
static void find_path(char path[4096])
{
    static const char every_version_has[] = "llama_decode";
    Dl_info info;
    void *at = NULL;
    for (int i = 0; i < TAP_NAMES_COUNT && !at; i++) at = sluice_tap_real[i];
    if (!at) at = dlsym(RTLD_NEXT, every_version_has);
    if (!at) at = find_local(every_version_has);
    path[0] = '\0';
    if (at && dladdr(at, &info) && info.dli_fname) snprintf(path, 4096, "%s", info.dli_fname);
}

/* ---- whether it is the one that we know ---- */

#if defined(__x86_64__)
/* What it writes is a struct that is returned through the address in the first argument. */
typedef void *(*returns_params)(void *);
typedef void *(*returns_batch)(void *, llama_token *, int32_t);
static const unsigned char unwritten = 0xa5;

/* Whether the last 8 of `bytes` bytes were written, and none behind them. */
static int was_written(const unsigned char *at, size_t bytes, size_t room)
{
    size_t same = 0;
    for (size_t i = bytes - 8; i < bytes; i++) same += at[i] == unwritten;
    if (same == 8) return 0;
    for (size_t i = bytes; i < room; i++)
        if (at[i] != unwritten) return 0;
    return 1;
}

static int has_our_structs(const struct library *l)
{
    unsigned char at[1024];
    struct llama_context_params params;
    struct llama_batch batch;
    llama_token token = 7;
    memset(at, unwritten, sizeof at);
    ((returns_params)(void *)l->llama_context_default_params)(at);
    memcpy(&params, at, sizeof params);
    if (!was_written(at, sizeof params, sizeof at) || params.n_ctx != 512 ||
        params.n_batch != 2048 || params.n_ubatch != 512 || params.cb_eval ||
        params.type_k != GGML_TYPE_F16 || params.type_v != GGML_TYPE_F16 || !params.offload_kqv)
        return 0;
    memset(at, unwritten, sizeof at);
    ((returns_batch)(void *)l->llama_batch_get_one)(at, &token, 1);
    memcpy(&batch, at, sizeof batch);
    return was_written(at, sizeof batch, sizeof at) && batch.n_tokens == 1 &&
           batch.token == &token && !batch.embd && !batch.pos && !batch.seq_id;
}
#else
static int has_our_structs(const struct library *l)
{
    struct llama_context_params params = l->llama_context_default_params();
    return params.n_ctx == 512 && params.n_batch == 2048 && !params.cb_eval;
}
#endif

static const size_t object_bytes = 32; /* that ggml keeps beside a tensor */

static int check(struct library *l)
{
    static const char known[] = "0.5."; /* scripts/common.sh: llama_supported */
    if (strncmp(l->llama_version(), known, sizeof known - 1) != 0) {
        snprintf(
            l->why_not, sizeof l->why_not,
            "this program's libllama has version %.32s, and the tap knows %sx; HINT: build Sluice "
            "with that llama.cpp",
            l->llama_version(), known);
        return 0;
    }
    if (has_our_structs(l) &&
        l->ggml_tensor_overhead() == sizeof(struct ggml_tensor) + object_bytes &&
        strcmp(l->ggml_op_name(GGML_OP_ROPE), "ROPE") == 0 &&
        strcmp(l->ggml_op_name(GGML_OP_GET_ROWS), "GET_ROWS") == 0)
        return 1;
    snprintf(l->why_not, sizeof l->why_not,
             "this program's libllama is laid out otherwise than the one that the tap was built "
             "with; HINT: build Sluice with that llama.cpp");
    return 0;
}

/* ---- its functions ---- */

static int take_pointers(struct library *l, void *handle)
{
#define TAKE(name)                                                                                 \
    *(void **)(void *)&l->name = dlsym(handle, #name);                                             \
    if (!l->name) {                                                                                \
        snprintf(l->why_not, sizeof l->why_not, "this program's libllama has no function " #name); \
        return 0;                                                                                  \
    }
    LIBRARY_NAMES(TAKE)
#undef TAKE
    return 1;
}

static void look(void)
{
    char path[4096];
    find_path(path);
    void *handle = path[0] ? dlopen(path, RTLD_LAZY | RTLD_NOLOAD) : NULL;
    for (int i = 0; i < TAP_NAMES_COUNT; i++)
        library.real[i] = sluice_tap_real[i] ? sluice_tap_real[i]
                          : handle           ? dlsym(handle, wrapped[i])
                                             : NULL;
    library.is_found = handle != NULL;
    if (!handle)
        snprintf(library.why_not, sizeof library.why_not, "the program's libllama was not found");
    else
        library.is_known = take_pointers(&library, handle) && check(&library);
    atomic_store(&is_looked_for, 1);
}

const struct library *library_get(void)
{
    pthread_once(&once, look);
    return &library;
}

const struct library *library_peek(void)
{
    return atomic_load(&is_looked_for) ? &library : NULL;
}
