#include "proto/ring_file.h"

#include "base/alive.h"
#include "base/err.h"
#include "base/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UNFINISHED_SECONDS = 10 }; /* a program makes its ring in less */

int ring_folder_make(const char *stream, char *out, size_t bytes)
{
    int n = snprintf(out, bytes, "/dev/shm/sluice-%u/%s", (unsigned)geteuid(), stream);
    if (n < 0 || (size_t)n >= bytes)
        return err_set(ERR_LIMIT, "the folder of rings of stream \"%s\" has too long a name",
                       stream);
    char *slash = strrchr(out, '/');
    *slash = '\0';
    int result = own_make(out, 0);
    *slash = '/';
    return result == ERR_OK ? own_make(out, 0) : result;
}

void ring_name(const struct ring_facts *f, char *out, size_t bytes)
{
    snprintf(out, bytes, "%u-%016llx" RING_SUFFIX, f->pid, (unsigned long long)f->identity);
}

static int ends_in(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && strcmp(name + n - m, suffix) == 0;
}

enum ring_file_kind ring_file_kind(const char *name)
{
    if (ends_in(name, RING_SUFFIX)) return RING_FILE_WHOLE;
    return ends_in(name, RING_SUFFIX RING_UNNAMED) ? RING_FILE_UNFINISHED : RING_FILE_OTHER;
}

/* Whether another process holds a lock on it, or that cannot be told. */
static int is_locked(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

int ring_file_is_left(int fd, time_t now)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_mtime + UNFINISHED_SECONDS < now && !is_locked(fd);
}

static int is_alive(int fd, const struct ring_facts *f)
{
    return is_locked(fd) || (f->pid_started && alive_since(f->pid) == f->pid_started);
}

int ring_is_over(int fd, const struct ring_facts *facts, const struct ring_header *ring)
{
    return atomic_load(&ring->host.is_closed) || !is_alive(fd, facts);
}
