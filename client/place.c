#include "client/place.h"

#include "base/err.h"
#include "base/limits.h"
#include "base/own.h"
#include "client/sweep.h"
#include "proto/ring_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int lock(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_SETLK, &whole) == 0
               ? ERR_OK
               : err_set(ERR_IO, "a ring cannot be locked: %s", strerror(errno));
}

/* A ring that takes all shared memory is the death of other programs. */
static int check_share(int fd, const struct ring_facts *facts)
{
    struct statvfs disk;
    if (fstatvfs(fd, &disk) != 0) return ERR_OK; /* it is asked for, then */
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (ring_bytes(facts) <= free_bytes / 4) return ERR_OK;
    return err_set(
        ERR_NOSPC,
        "a ring of %llu bytes is more than a quarter of the %llu that are free there (usually "
        "/dev/shm); HINT: a smaller ring_size",
        (unsigned long long)ring_bytes(facts), (unsigned long long)free_bytes);
}

/* Memory that is not taken now is a SIGBUS later. */
static int take_memory(int fd, const struct ring_facts *facts)
{
    int result = limits_file(ring_bytes(facts), "a ring"); /* beyond it there is a signal */
    if (result == ERR_OK) result = check_share(fd, facts);
    if (result != ERR_OK) return result;
    int failed = posix_fallocate(fd, 0, (off_t)ring_bytes(facts));
    if (!failed) return ERR_OK;
    return err_set(failed == ENOSPC ? ERR_NOSPC : ERR_IO,
                   "no shared memory for a ring of %llu bytes: %s; HINT: a smaller ring_bytes, or "
                   "more room in /dev/shm",
                   (unsigned long long)ring_bytes(facts), strerror(failed));
}

/* What failed in a folder, as sluice.h tells it: one that may not be written is no fault of the system. */
static int access_or(int result, const char *folder)
{
    if (result != ERR_IO || faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0)
        return result;
    return err_set(ERR_NOTFOUND, "%s", err_text());
}

int place_make(const char *folder, const struct ring_facts *facts, char *path, size_t bytes,
               int *fd)
{
    char usual[1024], name[64];
    int result =
        folder ? own_make(folder, 0) : ring_folder_make(facts->stream, usual, sizeof usual);
    if (result != ERR_OK)
        return result == ERR_NOSPC ? result : err_set(ERR_NOTFOUND, "%s", err_text());
    if (!folder) folder = usual;
    sweep(folder);
    ring_name(facts, name, sizeof name);
    int n = snprintf(path, bytes, "%s/%s%s", folder, name, RING_UNNAMED);
    if (n < 0 || (size_t)n >= bytes) {
        path[0] = '\0';
        return err_set(ERR_LIMIT, "the folder of rings has too long a name");
    }
    result = own_open(path, O_RDWR | O_CREAT | O_EXCL, fd);
    if (result != ERR_OK) {
        path[0] = '\0';
        return access_or(result, folder);
    }
    result = lock(*fd);
    return result != ERR_OK ? result : take_memory(*fd, facts);
}

int place_publish(char *path, size_t bytes)
{
    char name[2048];
    snprintf(name, sizeof name, "%.*s", (int)(strlen(path) - strlen(RING_UNNAMED)), path);
    if (rename(path, name) != 0)
        return err_set(ERR_IO, "a ring could not be given its name: %s", strerror(errno));
    snprintf(path, bytes, "%s", name);
    return ERR_OK;
}
