/*
 * Small things done to files, done right once. Errors come with err_set() texts that name the path.
 */
#ifndef SLUICE_BASE_FILEIO_H
#define SLUICE_BASE_FILEIO_H

#include <stddef.h>
#include <stdint.h>

/* What to return where a system call on `path` failed, by errno: ERR_NOSPC or ERR_IO, with a text
 * "WHAT PATH: REASON", the room that is left on a full disk, and what to do about a disk that is
 * full or read-only and a right that is missing. */
int file_error(const char *what, const char *path);

/* Create a folder and its parents (mode for those created; existing ones stay as they are).
 * ERR_IO. Blocks on the disk. */
int dir_make(const char *path, unsigned mode);

/* Read a whole regular file of at most `limit_bytes` into one malloc'ed block, with a NUL after the
 * last byte that `*size` does not count. The caller frees `*data`. ERR_NOTFOUND, ERR_LIMIT, ERR_IO,
 * ERR_NOMEM. */
int file_read(const char *path, size_t limit_bytes, char **data, size_t *size);

/* The same of a file that is open; `path` is for the texts. The descriptor stays the caller's. */
int file_read_from(int fd, const char *path, size_t limit_bytes, char **data, size_t *size);

/* Write all of it, where a file's end is and at a place of its own, however many system calls that
 * takes. 0, or -1 with the last one's errno: a part of it may be written. Blocks on the disk. */
int file_put(int fd, const void *data, size_t size);
int file_put_at(int fd, const void *data, size_t size, uint64_t offset);

/* Replace `path` so that a reader sees the old or the new bytes whole, after a power cut too:
 * temporary file in the same folder (mode 0600), write, fsync, rename, fsync of the folder.
 * ERR_NOSPC, ERR_IO; on failure the old file stays and the temporary one is removed. */
int file_replace(const char *path, const void *data, size_t size);

/* The same for a file that every user may read (0644), whatever the umask: nothing that is secret. */
int file_publish(const char *path, const void *data, size_t size);

/* file_replace() where nothing may be there yet. ERR_EXISTS: something is, and stays. */
int file_create(const char *path, const void *data, size_t size);

/* A new file beside `path`, whose name is path with ".tmp." and six characters, written into
 * temporary[PATH_MAX]: open for writing, mode 0600. It never is one that was there. It is locked
 * until it is closed, so that nobody takes it for a dead process's (leftover.h): rename it before.
 * ERR_NOSPC, ERR_IO. */
int file_temporary(const char *path, char *temporary, int *fd);

/* fsync the folder that holds `path`, so that a rename or creation in it is durable. ERR_IO. */
int dir_sync_of(const char *path);

/* Remove a folder and all in it. Missing is fine. ERR_IO. */
int dir_remove(const char *path);

/* Take an exclusive advisory lock on `path` (created 0600, its text set to this process's pid,
 * unless the disk is full; an inheritable descriptor left in `*fd`; closing it by every holder
 * releases the lock). Does not wait: ERR_EXISTS when another process holds it (err_text() names its
 * pid). ERR_USAGE: the file is there and holds something else than such a pid; it is left as it is.
 * Follows no link. ERR_IO. */
int file_lock(const char *path, int *fd);

#endif
