#include "engine/llama_prepare.h"

#include "base/err.h"
#include "base/fileio.h"
#include "engine/fingerprint.h"
#include "engine/llama_file.h"
#include "engine/llama_quiet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <llama.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_WAIT_SECONDS = 1800 };

struct precision {
    const char *name;
    enum llama_ftype type;
    double bytes; /* a weight */
};

static const struct precision precisions[] = {
    {"f32", LLAMA_FTYPE_ALL_F32, 4.0},
    {"bf16", LLAMA_FTYPE_MOSTLY_BF16, 2.0},
    {"q8_0", LLAMA_FTYPE_MOSTLY_Q8_0, 34.0 / 32.0},
};

/* ---- what fits -------------------------------------------------------------------------- */

/* Memory that can be had without swapping; 0 where the system does not say. */
static uint64_t memory_available_bytes(void)
{
    unsigned long long kib = 0;
    char line[160];
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) break;
    if (file) fclose(file);
    return kib * 1024;
}

static uint64_t disk_free_bytes(const char *folder)
{
    struct statvfs st;
    return statvfs(folder, &st) == 0 ? (uint64_t)st.f_bavail * st.f_frsize : 0;
}

/* The header holds the vocabulary, which can take several megabytes. */
static uint64_t file_bytes(uint64_t values, const struct precision *p)
{
    return (uint64_t)((double)values * p->bytes) + (16u << 20);
}

static int choose(uint64_t values, uint64_t limit_bytes, const struct precision **chosen)
{
    uint64_t memory = memory_available_bytes();
    int wide = strstr(llama_print_system_info(), "AVX512 = 1") != NULL; /* built for, and has it */
    for (size_t i = wide ? 0 : 1; i < sizeof precisions / sizeof precisions[0]; i++) {
        uint64_t bytes = file_bytes(values, &precisions[i]);
        if (bytes > limit_bytes || (memory > 0 && bytes > memory / 2)) continue;
        *chosen = &precisions[i];
        return ERR_OK;
    }
    return err_set(ERR_NOSPC,
                   "a prepared model would take %" PRIu64 " MB even as q8_0: more than "
                   "capture.cache_size or half of the free memory; HINT: raise it, or set "
                   "capture.exact_model: true",
                   file_bytes(values, &precisions[2]) >> 20);
}

/* ---- the folder ------------------------------------------------------------------------- */

struct entry {
    char name[NAME_MAX + 1];
    uint64_t bytes;
    struct timespec used;
};

static int by_use(const void *a, const void *b)
{
    const struct timespec *x = &((const struct entry *)a)->used;
    const struct timespec *y = &((const struct entry *)b)->used;
    if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static int is_temporary(const char *name)
{
    return strstr(name, ".gguf.tmp") != NULL;
}

/* The prepared models in a folder, the least recently used first; half-made ones, whose makers are
 * gone because we hold the lock, are removed on the way. */
static int list(const char *folder, struct entry **entries, size_t *count)
{
    DIR *dir = opendir(folder);
    if (!dir) return err_set(ERR_IO, "cannot read %s: %s", folder, strerror(errno));
    struct dirent *d;
    struct stat st;
    *entries = NULL;
    *count = 0;
    int result = ERR_OK;
    while ((d = readdir(dir))) {
        if (!strstr(d->d_name, ".gguf") || fstatat(dirfd(dir), d->d_name, &st, 0) != 0) continue;
        if (is_temporary(d->d_name)) {
            unlinkat(dirfd(dir), d->d_name, 0);
            continue;
        }
        struct entry *larger = realloc(*entries, (*count + 1) * sizeof *larger);
        if (!larger) {
            result = err_set(ERR_NOMEM, "no memory to list %s", folder);
            break;
        }
        *entries = larger;
        struct entry *e = &larger[(*count)++];
        strcpy(e->name, d->d_name);
        e->bytes = (uint64_t)st.st_size;
        e->used = st.st_mtim;
    }
    closedir(dir);
    if (*count > 0) qsort(*entries, *count, sizeof **entries, by_use);
    return result;
}

/* Remove the least recently used until `bytes` more stay below the cap and fit on the disk. Files
 * that a process has mapped stay readable for it. */
static int make_room(const char *folder, uint64_t bytes, uint64_t limit_bytes)
{
    struct entry *entries = NULL;
    size_t count = 0;
    int result = list(folder, &entries, &count);
    uint64_t total = bytes, spare = bytes / 20;
    for (size_t i = 0; i < count; i++) total += entries[i].bytes;
    for (size_t i = 0; i < count && result == ERR_OK; i++) {
        if (total <= limit_bytes && disk_free_bytes(folder) >= bytes + spare) break;
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "%s/%s", folder, entries[i].name);
        if (n > 0 && (size_t)n < sizeof path && unlink(path) == 0) total -= entries[i].bytes;
    }
    free(entries);
    if (result == ERR_OK && disk_free_bytes(folder) < bytes + spare)
        result =
            err_set(ERR_NOSPC, "%s: the disk has no room for %" PRIu64 " MB", folder, bytes >> 20);
    return result;
}

/* One process prepares at a time; others wait and then find it done. */
static int lock_folder(const char *folder, int *fd)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/lock", folder);
    if (n < 0 || (size_t)n >= sizeof path) return err_set(ERR_IO, "path too long: %s", folder);
    struct timespec tenth = {.tv_nsec = 100000000};
    for (int i = 0; i < 10 * LOCK_WAIT_SECONDS; i++) {
        int result = file_lock(path, fd);
        if (result != ERR_EXISTS) return result;
        nanosleep(&tenth, NULL);
    }
    return ERR_EXISTS;
}

/* ---- making one ------------------------------------------------------------------------- */

static int quantize(const char *source, const char *target, const struct precision *p,
                    int32_t keep_layers, int32_t layers, uint32_t threads)
{
    struct llama_model_quantize_params params = llama_model_quantize_default_params();
    int32_t *pruned = malloc((size_t)(layers + 1) * sizeof *pruned);
    if (!pruned) return err_set(ERR_NOMEM, "no memory to prepare %s", source);
    int32_t n = 0;
    for (int32_t layer = keep_layers; layer < layers; layer++) pruned[n++] = layer;
    pruned[n] = -1;
    params.nthread = (int32_t)threads;
    params.ftype = p->type;
    params.allow_requantize = true;
    params.prune_layers = n > 0 ? pruned : NULL;
    llama_quiet_start();
    llama_quiet_clear();
    uint32_t failed = llama_model_quantize(source, target, &params);
    free(pruned);
    if (!failed) return ERR_OK;
    const char *reason = llama_quiet_error();
    return err_set(ERR_FORMAT,
                   "llama.cpp cannot prepare %s (%s)%s%s; HINT: set capture.exact_model: true",
                   source, p->name, reason[0] ? ": " : "", reason);
}

static int sync_and_rename(const char *from, const char *to)
{
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0 || fchmod(fd, 0600) != 0 || rename(from, to) != 0;
    int why = errno;
    if (fd >= 0) close(fd);
    if (!failed) return dir_sync_of(to);
    return err_set(why == ENOSPC ? ERR_NOSPC : ERR_IO, "cannot write %s: %s", to, strerror(why));
}

struct plan {
    const char *source, *folder;
    int32_t keep_layers, layers;
    uint64_t values, limit_bytes;
    uint32_t threads;
    const struct engine_watch *watch;
};

static int make(const struct plan *plan, const struct precision *p, const char *path)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof temporary, "%s.tmp", path);
    if (n < 0 || (size_t)n >= sizeof temporary) return err_set(ERR_IO, "path too long: %s", path);
    uint64_t bytes = file_bytes(plan->values, p);
    int result = make_room(plan->folder, bytes, plan->limit_bytes);
    if (result == ERR_OK && plan->watch->preparing)
        plan->watch->preparing(plan->watch->arg, temporary, bytes);
    if (result == ERR_OK)
        result =
            quantize(plan->source, temporary, p, plan->keep_layers, plan->layers, plan->threads);
    if (result == ERR_OK) result = sync_and_rename(temporary, path);
    if (result != ERR_OK) unlink(temporary);
    return result;
}

static int find_or_make(const struct plan *plan, uint64_t source_hash,
                        struct llama_prepared *prepared)
{
    const struct precision *p = NULL;
    int result = choose(plan->values, plan->limit_bytes, &p);
    if (result != ERR_OK) return result;
    int n = snprintf(prepared->path, sizeof prepared->path,
                     "%s/%016" PRIx64 "-layers%d-%s-llama%s.gguf", plan->folder, source_hash,
                     plan->keep_layers, p->name, llama_version());
    if (n < 0 || (size_t)n >= sizeof prepared->path)
        return err_set(ERR_IO, "path too long: %s", plan->folder);
    prepared->hash = fingerprint_add_u64(source_hash, (uint64_t)plan->keep_layers);
    prepared->hash = fingerprint_add_text(prepared->hash, p->name);
    prepared->hash = fingerprint_add_text(prepared->hash, llama_version());
    if (utimensat(AT_FDCWD, prepared->path, NULL, 0) == 0) return ERR_OK; /* there; now in use */
    return make(plan, p, prepared->path);
}

int llama_prepare(const char *source, uint64_t source_hash, int32_t top_layer,
                  const char *cache_dir, uint64_t limit_bytes, uint32_t threads,
                  const struct engine_watch *watch, struct llama_prepared *prepared)
{
    char folder[PATH_MAX];
    int n = snprintf(folder, sizeof folder, "%s/prepared", cache_dir);
    if (n < 0 || (size_t)n >= sizeof folder) return err_set(ERR_IO, "path too long: %s", cache_dir);
    int32_t keep = top_layer < 0 ? -1 : top_layer + 2;
    struct llama_file_size size;
    int result = llama_file_size(source, keep, &size);
    if (result != ERR_OK) return result;
    if (keep < 0 || keep > size.layers) keep = size.layers;
    struct plan plan = {source,      folder,      keep,    size.layers,
                        size.values, limit_bytes, threads, watch};
    int lock;
    result = dir_make(folder, 0700);
    if (result == ERR_OK) result = lock_folder(folder, &lock);
    if (result != ERR_OK) return result;
    result = find_or_make(&plan, source_hash, prepared);
    close(lock);
    return result;
}
