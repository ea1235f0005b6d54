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
#include <sys/statvfs.h>
#include <unistd.h>

enum { TEMPORARY_TRIES = 100 };

/* " (4096 bytes are free there)" of the disk that `path` would lie on; "": not known. */
static void free_room(const char *path, char *out, size_t bytes)
{
    char folder[PATH_MAX];
    struct statvfs disk;
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    out[0] = '\0';
    if (statvfs(folder, &disk) == 0)
        snprintf(out, bytes, " (%llu bytes are free there)",
                 (unsigned long long)disk.f_bavail * disk.f_frsize);
}

int file_error(const char *what, const char *path)
{
    int error = errno, is_full = error == ENOSPC || error == EDQUOT;
    char room[64] = "";
    const char *hint = "";
    if (is_full) free_room(path, room, sizeof room);
    if (is_full) hint = "; HINT: make room on that disk, or choose a place on another";
    if (error == EROFS)
        hint = "; HINT: choose a place that can be written, or mount that disk for writing";
    if (error == ELOOP) hint = "; HINT: a symbolic link is not followed here: remove it";
    if (error == EACCES || error == EPERM)
        hint = "; HINT: give this user the right to, or choose another place";
    return err_set(is_full ? ERR_NOSPC : ERR_IO, "%s %s: %s%s%s", what, path, strerror(error), room,
                   hint);
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
            return file_error("cannot create folder", partial);
        if (end == '\0') break;
        *p = end;
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(ERR_IO, "%s exists and is not a folder", path);
    return ERR_OK;
}

int file_read_from(int fd, const char *path, size_t limit_bytes, char **data, size_t *size)
{
    size_t used = 0;
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(ERR_IO, "%s is not a regular file", path);
    if ((uint64_t)st.st_size > limit_bytes)
        return err_set(ERR_LIMIT, "%s has %lld bytes, more than the %zu allowed here", path,
                       (long long)st.st_size, limit_bytes);
    char *block = malloc((size_t)st.st_size + 1);
    if (!block) return err_set(ERR_NOMEM, "no memory to read %s", path);
    while (used < (size_t)st.st_size) {
        ssize_t n = read(fd, block + used, (size_t)st.st_size - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            int result = file_error("cannot read", path);
            free(block);
            return result;
        }
        if (n == 0) break;
        used += (size_t)n;
    }
    block[used] = '\0';
    *data = block;
    *size = used;
    return ERR_OK;
}

int file_read(const char *path, size_t limit_bytes, char **data, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused, not waited for */
    if (fd < 0) {
        int missing = errno == ENOENT || errno == ENOTDIR;
        file_error("cannot open", path);
        return missing ? ERR_NOTFOUND : ERR_IO;
    }
    int result = file_read_from(fd, path, limit_bytes, data, size);
    close(fd);
    return result;
}

int file_put(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

int file_put_at(int fd, const void *data, size_t size, uint64_t offset)
{
    const char *at = data;
    while (size > 0) {
        ssize_t n = pwrite(fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        at += n;
        offset += (uint64_t)n;
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
    if (fd < 0) return file_error("cannot open folder", folder);
    int failed = fsync(fd);
    int result = failed ? file_error("cannot sync folder", folder) : ERR_OK;
    close(fd);
    return result;
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
        return file_error("cannot remove folder", path);
    return ERR_OK;
}

/* Somebody who looks for leftovers may have removed it before it was locked, or be about to. Where the
 * disk knows no locks nobody removes it either. */
static int is_kept(int fd)
{
    struct stat st;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return 0;
    return fstat(fd, &st) != 0 || st.st_nlink > 0;
}

int file_temporary(const char *path, char *temporary, int *fd)
{
    for (int i = 0; i < TEMPORARY_TRIES; i++) {
        int length = snprintf(temporary, PATH_MAX, "%s.tmp.XXXXXX", path);
        if (length < 0 || length >= PATH_MAX) return err_set(ERR_IO, "path too long: %s", path);
        *fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600, and never a file that is there */
        if (*fd < 0) return file_error("cannot create", path);
        if (is_kept(*fd)) return ERR_OK;
        unlink(temporary);
        close(*fd);
    }
    return err_set(ERR_IO, "cannot create %s: it is removed each time", temporary);
}

/* FAT and some others cannot refuse to replace. */
static int place(const char *temporary, const char *path, unsigned flags)
{
    int failed = renameat2(AT_FDCWD, temporary, AT_FDCWD, path, flags);
    return failed && flags && errno == EINVAL ? rename(temporary, path) : failed;
}

static int put_in_place(const char *path, const void *data, size_t size, unsigned flags,
                        mode_t mode)
{
    char temporary[PATH_MAX];
    int fd, code = file_temporary(path, temporary, &fd);
    if (code != ERR_OK) return code;
    if (fchmod(fd, mode) != 0 || file_put(fd, data, size) != 0 || fsync(fd) != 0)
        code = file_error("cannot write", path);
    else if (place(temporary, path, flags) != 0)
        code = errno == EEXIST ? err_set(ERR_EXISTS, "%s is there already", path)
                               : file_error("cannot rename into place", path);
    if (code != ERR_OK) unlink(temporary);
    close(fd); /* what was synced is on the disk, whatever this says */
    return code == ERR_OK ? dir_sync_of(path) : code;
}

int file_replace(const char *path, const void *data, size_t size)
{
    return put_in_place(path, data, size, 0, 0600);
}

int file_publish(const char *path, const void *data, size_t size)
{
    return put_in_place(path, data, size, 0, 0644);
}

int file_create(const char *path, const void *data, size_t size)
{
    return put_in_place(path, data, size, RENAME_NOREPLACE, 0600);
}

/* What a lock says: nothing yet, or a process. pid[bytes] gets it; 0: the file is something
 * else. */
static int lock_text(int lock, char *pid, size_t bytes)
{
    ssize_t n = pread(lock, pid, bytes - 1, 0);
    pid[n > 0 ? n : 0] = '\0';
    size_t digits = strspn(pid, "0123456789");
    int is_lock =
        n >= 0 && (size_t)n < bytes - 1 && (n == 0 || (digits > 0 && pid[digits] == '\n'));
    if (is_lock && n > 0) is_lock = (size_t)n == digits + 1;
    pid[digits] = '\0';
    return is_lock;
}

static int lock_taken(int lock, const char *path)
{
    char pid[32];
    if (errno != EWOULDBLOCK) return file_error("cannot lock", path);
    lock_text(lock, pid, sizeof pid);
    return err_set(ERR_EXISTS, "%s is locked by process %s", path, pid[0] ? pid : "?");
}

static int lock_write(int lock, const char *path)
{
    char pid[32];
    if (!lock_text(lock, pid, sizeof pid))
        return err_set(ERR_USAGE,
                       "%s is there and is no lock of Sluice: it was left as it is; HINT: choose "
                       "another place",
                       path);
    int length = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(lock, 0) != 0 || pwrite(lock, pid, (size_t)length, 0) != length)
        return file_error("cannot write", path);
    return ERR_OK;
}

int file_lock(const char *path, int *fd)
{
    /* inherited by children on purpose */
    int lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (lock < 0) return file_error("cannot open lock file", path);
    int result = flock(lock, LOCK_EX | LOCK_NB) != 0 ? lock_taken(lock, path) : ERR_OK;
    if (result == ERR_OK) result = lock_write(lock, path);
    if (result == ERR_NOSPC) result = ERR_OK; /* the lock is held; who holds it is for people */
    if (result != ERR_OK)
        close(lock);
    else
        *fd = lock;
    return result;
}
