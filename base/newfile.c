#include "base/newfile.h"

#include "base/err.h"
#include "base/fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GATHER_BYTES = 64 * 1024 };

struct newfile {
    char path[PATH_MAX];
    char temporary[PATH_MAX];
    uint64_t bytes;
    size_t gathered;
    int fd;
    int failed; /* the first error, kept */
    char gather[GATHER_BYTES];
};

static int io_error(struct newfile *file, const char *what)
{
    file->failed = file_error(what, file->path);
    return file->failed;
}

int newfile_begin(const char *path, struct newfile **out)
{
    struct newfile *file = malloc(sizeof *file);
    if (!file) return err_set(ERR_NOMEM, "no memory to write %s", path);
    file->bytes = 0;
    file->gathered = 0;
    file->failed = ERR_OK;
    int length = snprintf(file->path, sizeof file->path, "%s", path);
    int result = length >= 0 && (size_t)length < sizeof file->path
                     ? file_temporary(path, file->temporary, &file->fd)
                     : err_set(ERR_IO, "path too long: %s", path);
    if (result != ERR_OK) {
        free(file);
        return result;
    }
    *out = file;
    return ERR_OK;
}

static int put(struct newfile *file, const char *data, size_t bytes)
{
    return file_put(file->fd, data, bytes) == 0 ? ERR_OK : io_error(file, "cannot write");
}

static int put_gathered(struct newfile *file)
{
    size_t bytes = file->gathered;
    file->gathered = 0;
    return put(file, file->gather, bytes);
}

int newfile_write(struct newfile *file, const void *data, size_t bytes)
{
    if (file->failed) return file->failed;
    file->bytes += bytes;
    if (file->gathered + bytes > GATHER_BYTES && put_gathered(file) != ERR_OK) return file->failed;
    if (bytes >= GATHER_BYTES) return put(file, data, bytes);
    if (bytes > 0) memcpy(file->gather + file->gathered, data, bytes);
    file->gathered += bytes;
    return ERR_OK;
}

uint64_t newfile_bytes(const struct newfile *file)
{
    return file->bytes;
}

int newfile_commit(struct newfile *file)
{
    if (!file->failed) put_gathered(file);
    if (!file->failed && fsync(file->fd) != 0) io_error(file, "cannot sync");
    if (!file->failed && rename(file->temporary, file->path) != 0)
        io_error(file, "cannot rename into place");
    int result = file->failed;
    if (result != ERR_OK) unlink(file->temporary);
    close(file->fd); /* after the rename: till then it is locked, and nobody's leftover */
    if (result == ERR_OK) result = dir_sync_of(file->path);
    free(file);
    return result;
}

void newfile_abort(struct newfile *file)
{
    if (!file) return;
    unlink(file->temporary);
    close(file->fd);
    free(file);
}
