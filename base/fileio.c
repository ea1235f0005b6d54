#include "base/fileio.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int io_error(const char *what, const char *path)
{
    int code = errno == ENOSPC || errno == EDQUOT ? ERR_NOSPC : ERR_IO;
    return err_set(code, "%s %s: %s", what, path, strerror(errno));
}

int dir_make(const char *path, unsigned mode)
{
    char partial[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof partial)
        return err_set(ERR_IO, "cannot create folder '%s': the path is empty or too long", path);
    memcpy(partial, path, length + 1);
    for (char *p = partial + 1;; p++) {
        if (*p != '/' && *p != '\0') continue;
        char end = *p;
        *p = '\0';
        if (mkdir(partial, mode) != 0 && errno != EEXIST)
            return io_error("cannot create folder", partial);
        if (end == '\0') break;
        *p = end;
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(ERR_IO, "%s exists and is not a folder", path);
    return ERR_OK;
}

int file_read(const char *path, size_t limit_bytes, char **data, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused, not waited for */
    if (fd < 0) {
        int missing = errno == ENOENT || errno == ENOTDIR;
        io_error("cannot open", path);
        return missing ? ERR_NOTFOUND : ERR_IO;
    }
    int result = ERR_OK;
    char *block = NULL;
    size_t used = 0;
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        result = err_set(ERR_IO, "%s is not a regular file", path);
        goto out;
    }
    if ((uint64_t)st.st_size > limit_bytes) {
        result = err_set(ERR_LIMIT, "%s has %lld bytes, more than the %zu allowed here", path,
                         (long long)st.st_size, limit_bytes);
        goto out;
    }
    block = malloc((size_t)st.st_size + 1);
    if (!block) {
        result = err_set(ERR_NOMEM, "no memory to read %s", path);
        goto out;
    }
    while (used < (size_t)st.st_size) {
        ssize_t n = read(fd, block + used, (size_t)st.st_size - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            result = io_error("cannot read", path);
            goto out;
        }
        if (n == 0) break;
        used += (size_t)n;
    }
    block[used] = '\0';
out:
    close(fd);
    if (result != ERR_OK) {
        free(block);
        return result;
    }
    *data = block;
    *size = used;
    return ERR_OK;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

int dir_sync_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof folder) return err_set(ERR_IO, "path too long: %s", path);
    if (!slash) {
        strcpy(folder, ".");
    } else if (length == 0) {
        strcpy(folder, "/");
    } else {
        memcpy(folder, path, length);
        folder[length] = '\0';
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return io_error("cannot open folder", folder);
    int failed = fsync(fd);
    int result = failed ? io_error("cannot sync folder", folder) : ERR_OK;
    close(fd);
    return result;
}

int file_replace(const char *path, const void *data, size_t size)
{
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temporary)
        return err_set(ERR_IO, "path too long: %s", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return io_error("cannot create", temporary);
    int failed = write_all(fd, data, size) != 0 || fsync(fd) != 0;
    if (failed) io_error("cannot write", temporary);
    int code = failed && (errno == ENOSPC || errno == EDQUOT) ? ERR_NOSPC : ERR_IO;
    if (close(fd) != 0 && !failed) {
        failed = 1;
        code = io_error("cannot close", temporary);
    }
    if (!failed && rename(temporary, path) != 0) {
        failed = 1;
        code = io_error("cannot rename into place", path);
    }
    if (failed) {
        unlink(temporary);
        return code;
    }
    return dir_sync_of(path);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int dir_remove(const char *path)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return io_error("cannot remove folder", path);
    return ERR_OK;
}

int file_lock(const char *path, int *fd)
{
    int lock = open(path, O_RDWR | O_CREAT, 0600); /* inherited by children on purpose */
    if (lock < 0) return io_error("cannot open lock file", path);
    char pid[32] = "";
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        int result = ERR_IO;
        if (errno == EWOULDBLOCK) {
            ssize_t n = pread(lock, pid, sizeof pid - 1, 0);
            pid[n > 0 ? n : 0] = '\0';
            pid[strcspn(pid, "\n")] = '\0';
            result = err_set(ERR_EXISTS, "%s is locked by process %s", path, pid[0] ? pid : "?");
        } else {
            io_error("cannot lock", path);
        }
        close(lock);
        return result;
    }
    int length = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(lock, 0) != 0 || pwrite(lock, pid, (size_t)length, 0) != length) {
        int result = io_error("cannot write", path);
        close(lock);
        return result;
    }
    *fd = lock;
    return ERR_OK;
}
