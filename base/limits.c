#include "base/limits.h"

#include "base/err.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { TEXT_BYTES = 512, FILES_RAISED = 1 << 16 };

/* Pages of address space, and of them those of data and stack; 0: nobody knows. */
static void pages_taken(unsigned long *all, unsigned long *data)
{
    FILE *in = fopen("/proc/self/statm", "re");
    *all = *data = 0;
    if (!in) return;
    if (fscanf(in, "%lu %*u %*u %*u %*u %lu", all, data) != 2) *all = *data = 0;
    fclose(in);
}

static int is_set(int resource, unsigned long long *value)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0) return 0;
    *value = limit.rlim_cur;
    return limit.rlim_cur != RLIM_INFINITY;
}

static void append(char *out, size_t bytes, const char *name, unsigned long long kib,
                   unsigned long pages)
{
    size_t n = strlen(out);
    unsigned long long taken = pages * ((unsigned long long)sysconf(_SC_PAGESIZE) / 1024);
    snprintf(out + n, bytes - n, "%sulimit %s is %llu KiB, of which %llu are taken", n ? "; " : "",
             name, kib, taken);
}

void limits_text(char *out, unsigned long bytes)
{
    unsigned long all, data;
    unsigned long long limit;
    pages_taken(&all, &data);
    out[0] = '\0';
    if (is_set(RLIMIT_AS, &limit)) append(out, bytes, "-v", limit / 1024, all);
    if (is_set(RLIMIT_DATA, &limit)) append(out, bytes, "-d", limit / 1024, data);
}

int limits_no_memory(uint64_t bytes, const char *what)
{
    char limits[TEXT_BYTES];
    limits_text(limits, sizeof limits);
    unsigned long long mib = (bytes + (1 << 20) - 1) >> 20;
    if (limits[0])
        return err_set(ERR_NOMEM,
                       "no address space for %s (%llu MiB): %s; HINT: raise that limit (`ulimit -v "
                       "unlimited`, `ulimit -d unlimited`)",
                       what, mib, limits);
    return err_set(ERR_NOMEM,
                   "the system gives no address space for %s (%llu MiB); HINT: make memory free, "
                   "or see vm.overcommit_memory",
                   what, mib);
}

int limits_memory(uint64_t bytes, const char *what)
{
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return limits_no_memory(bytes, what);
    munmap(map, bytes);
    return ERR_OK;
}

int limits_file(uint64_t bytes, const char *what)
{
    unsigned long long limit;
    if (!is_set(RLIMIT_FSIZE, &limit) || limit >= bytes) return ERR_OK;
    return err_set(ERR_USAGE,
                   "%s may become %llu bytes long, and files of this process %llu (ulimit -f); "
                   "HINT: raise that limit",
                   what, (unsigned long long)bytes, limit);
}

/* -1: not even one more can be opened, to look at them. */
static long files_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    long open = -3; /* itself, "." and ".." */
    if (!dir) return errno == EMFILE ? -1 : 0;
    while (readdir(dir)) open++;
    closedir(dir);
    return open;
}

int limits_files(uint32_t count, const char *what)
{
    unsigned long long limit;
    long open = files_open();
    if (!is_set(RLIMIT_NOFILE, &limit)) return ERR_OK;
    unsigned long long taken = open < 0 ? limit : (unsigned long long)open;
    if (limit >= taken && limit - taken >= count) return ERR_OK;
    return err_set(ERR_USAGE,
                   "cannot have %u more files and sockets open for %s: ulimit -n is %llu, of which "
                   "%llu are taken; HINT: raise that limit (`ulimit -n 1024`)",
                   count, what, limit, taken);
}

void limits_raise_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    rlim_t most = limit.rlim_max < FILES_RAISED ? limit.rlim_max : FILES_RAISED;
    if (limit.rlim_cur >= most) return;
    limit.rlim_cur = most;
    setrlimit(RLIMIT_NOFILE, &limit);
}

uint32_t limits_files_left(void)
{
    unsigned long long limit;
    long open = files_open();
    if (!is_set(RLIMIT_NOFILE, &limit)) return UINT32_MAX;
    if (open < 0 || limit <= (unsigned long long)open) return 0;
    unsigned long long left = limit - (unsigned long long)open;
    return left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}

int limits_mapping(uint64_t bytes, const char *what)
{
    unsigned long all, data;
    unsigned long long limit;
    pages_taken(&all, &data);
    unsigned long long taken = all * (unsigned long long)sysconf(_SC_PAGESIZE);
    if (!is_set(RLIMIT_AS, &limit) || (limit > taken && limit - taken >= bytes)) return ERR_OK;
    return limits_no_memory(bytes, what);
}

int limits_no_threads(uint32_t count, const char *what)
{
    char limits[TEXT_BYTES];
    unsigned long long processes, stack;
    limits_text(limits, sizeof limits);
    size_t n = strlen(limits);
    if (is_set(RLIMIT_NPROC, &processes))
        snprintf(limits + n, sizeof limits - n,
                 "%sulimit -u is %llu processes and threads of this user", n ? "; " : "",
                 processes);
    n = strlen(limits);
    if (is_set(RLIMIT_STACK, &stack))
        snprintf(limits + n, sizeof limits - n, "%sulimit -s is %llu KiB a thread", n ? "; " : "",
                 stack / 1024);
    return err_set(ERR_NOMEM,
                   "cannot run %u more threads for %s: %s; HINT: raise `ulimit -v` or `ulimit -u`, "
                   "or the container's limit of processes",
                   count, what, limits);
}
