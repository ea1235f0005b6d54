#include "trainer/grown.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_it(const struct grown *g, int flags, int *fd, uint64_t *bytes)
{
    struct stat st;
    int result = own_open(g->path, flags, fd);
    if (result != ERR_OK) return result;
    if (fstat(*fd, &st) != 0)
        result = file_error("cannot look at", g->path);
    else if ((uint64_t)st.st_size < g->bytes)
        result = err_set(ERR_NOTFOUND, "%s became shorter", g->path);
    *bytes = (uint64_t)st.st_size;
    if (result != ERR_OK) close(*fd);
    return result;
}

int grown_put(struct grown *g, const void *data, size_t bytes)
{
    uint64_t there, end = g->bytes + bytes;
    int fd, result = open_it(g, O_WRONLY | (g->bytes ? 0 : O_CREAT), &fd, &there);
    if (result != ERR_OK) return result;
    if (file_put_at(fd, data, bytes, g->bytes) != 0) {
        result = file_error("cannot write", g->path);
        (void)!ftruncate(fd, (off_t)g->bytes); /* else the next piece covers it */
    } else if (there > end && ftruncate(fd, (off_t)end) != 0) {
        result = file_error("cannot cut", g->path);
    }
    close(fd);
    if (result == ERR_OK) g->bytes = end;
    return result;
}

int grown_cut(const struct grown *g, uint64_t *cut)
{
    uint64_t there;
    int fd, result = open_it(g, O_WRONLY, &fd, &there);
    if (result != ERR_OK) return result;
    *cut = there - g->bytes;
    if (*cut > 0 && ftruncate(fd, (off_t)g->bytes) != 0) result = file_error("cannot cut", g->path);
    close(fd);
    return result;
}
