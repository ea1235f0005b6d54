#include "engine/llama_folder.h"

#include "base/err.h"
#include "base/fileio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_WAIT_SECONDS = 1800 };

uint64_t llama_folder_memory_bytes(void)
{
    unsigned long long kib = 0;
    char line[160];
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) break;
    if (file) fclose(file);
    return kib * 1024;
}

uint64_t llama_folder_disk_bytes(const char *folder)
{
    struct statvfs st;
    return statvfs(folder, &st) == 0 ? (uint64_t)st.f_bavail * st.f_frsize : 0;
}

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

int llama_folder_make_room(const char *folder, uint64_t bytes, uint64_t limit_bytes)
{
    struct entry *entries = NULL;
    size_t count = 0;
    int result = list(folder, &entries, &count);
    uint64_t total = bytes, spare = bytes / 20;
    for (size_t i = 0; i < count; i++) total += entries[i].bytes;
    for (size_t i = 0; i < count && result == ERR_OK; i++) {
        if (total <= limit_bytes && llama_folder_disk_bytes(folder) >= bytes + spare) break;
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "%s/%s", folder, entries[i].name);
        if (n > 0 && (size_t)n < sizeof path && unlink(path) == 0) total -= entries[i].bytes;
    }
    free(entries);
    if (result == ERR_OK && llama_folder_disk_bytes(folder) < bytes + spare)
        result =
            err_set(ERR_NOSPC, "%s: the disk has no room for %" PRIu64 " MB", folder, bytes >> 20);
    return result;
}

int llama_folder_lock(const char *folder, int *fd)
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

int llama_folder_keep(const char *from, const char *to)
{
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0 || fchmod(fd, 0600) != 0 || rename(from, to) != 0;
    int why = errno;
    if (fd >= 0) close(fd);
    if (!failed) return dir_sync_of(to);
    return err_set(why == ENOSPC ? ERR_NOSPC : ERR_IO, "cannot write %s: %s", to, strerror(why));
}
