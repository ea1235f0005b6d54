#include "engine/blob.h"

#include "base/err.h"
#include "base/fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct blob {
    int fd;
    char *path; /* a temporary one: its folder */
    struct blob_identity identity;
    struct blob_source other; /* where there is no descriptor */
};

static int make(const char *path, struct blob **out)
{
    struct blob *b = calloc(1, sizeof *b);
    char *copy = strdup(path);
    if (!b || !copy) {
        free(b);
        free(copy);
        return err_set(ERR_NOMEM, "no memory to read %s", path);
    }
    b->fd = -1;
    b->path = copy;
    *out = b;
    return ERR_OK;
}

/* O_NONBLOCK: a pipe of that name is refused instead of waited for. */
static int open_regular(struct blob *b)
{
    struct stat st;
    b->fd = open(b->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (b->fd < 0)
        return err_set(err_of_file(errno), "cannot open %s: %s", b->path, strerror(errno));
    if (fstat(b->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(ERR_USAGE, "%s is not a regular file", b->path);
    if (st.st_size == 0) return err_set(ERR_FORMAT, "%s: not a file with anything in it", b->path);
    b->identity = (struct blob_identity){.device = (uint64_t)st.st_dev,
                                         .inode = (uint64_t)st.st_ino,
                                         .size = (uint64_t)st.st_size,
                                         .changed = st.st_mtim};
    return ERR_OK;
}

int blob_open(const char *path, struct blob **bytes)
{
    struct blob *b;
    int result = make(path, &b);
    if (result != ERR_OK) return result;
    result = open_regular(b);
    if (result != ERR_OK)
        blob_close(b);
    else
        *bytes = b;
    return result;
}

static int write_error(const char *folder, int error)
{
    int full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    return err_set(full ? ERR_NOSPC : ERR_IO,
                   "cannot write a temporary file in %s: %s; HINT: free space there, or set TMPDIR "
                   "to a folder that has it",
                   folder, strerror(error));
}

/* Unlinked at once, where the file system has no O_TMPFILE. */
static int open_unnamed(const char *folder)
{
    char path[PATH_MAX];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
    if (snprintf(path, sizeof path, "%s/sluice-XXXXXX", folder) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) unlink(path);
    return fd;
}

int blob_temporary(uint64_t size, struct blob **bytes)
{
    const char *folder = getenv("TMPDIR");
    struct blob *b;
    if (!folder || !folder[0]) folder = "/var/tmp";
    int result = make(folder, &b);
    if (result != ERR_OK) return result;
    b->fd = open_unnamed(folder);
    int error = b->fd < 0 ? errno : 0;
    if (!error && size > INT64_MAX) error = EFBIG;
    if (!error && size > 0) error = posix_fallocate(b->fd, 0, (off_t)size);
    if (error == EOPNOTSUPP || error == EINVAL) error = 0; /* then writing tells */
    b->identity.size = size;
    if (error) {
        result = write_error(folder, error);
        blob_close(b);
        return result;
    }
    *bytes = b;
    return ERR_OK;
}

int blob_of(const char *path, uint64_t size, const struct blob_source *source, struct blob **bytes)
{
    int result = make(path, bytes);
    if (result != ERR_OK) return result;
    (*bytes)->identity.size = size;
    (*bytes)->other = *source;
    return ERR_OK;
}

void blob_close(struct blob *b)
{
    if (!b) return;
    if (b->other.close) b->other.close(b->other.source);
    if (b->fd >= 0) close(b->fd);
    free(b->path);
    free(b);
}

uint64_t blob_size(const struct blob *b)
{
    return b->identity.size;
}

void blob_identity(const struct blob *b, struct blob_identity *identity)
{
    *identity = b->identity;
}

int blob_read(const struct blob *b, uint64_t offset, size_t size, void *out)
{
    char *at = out;
    if (b->other.read) return b->other.read(b->other.source, offset, size, out);
    while (size > 0) {
        ssize_t n = pread(b->fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_set(ERR_IO, "cannot read %s: %s", b->path, strerror(errno));
        if (n == 0) return err_set(ERR_IO, "%s has become shorter while it was read", b->path);
        at += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return ERR_OK;
}

int blob_write(const struct blob *b, uint64_t offset, size_t size, const void *data)
{
    return file_put_at(b->fd, data, size, offset) == 0 ? ERR_OK : write_error(b->path, errno);
}
