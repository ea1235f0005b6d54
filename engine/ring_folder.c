#include "engine/ring_folder.h"

#include "base/err.h"
#include "base/own.h"
#include "proto/ring_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static int make(const char *given, const char *stream, struct ring_folder *f)
{
    if (!given[0]) return ring_folder_make(stream, f->path, sizeof f->path);
    if (snprintf(f->path, sizeof f->path, "%s", given) >= (int)sizeof f->path)
        return err_set(ERR_LIMIT, "capture.rings: %s is too long", given);
    return own_make(f->path, 0);
}

int ring_folder_open(const char *path, const char *stream, struct ring_folder *f)
{
    char lock[sizeof f->path + 16];
    f->lock = -1;
    int result = make(path, stream, f);
    if (result != ERR_OK) return result;
    snprintf(lock, sizeof lock, "%s/reader.lock", f->path);
    result = own_open(lock, O_RDWR | O_CREAT, &f->lock);
    if (result != ERR_OK) return result;
    if (flock(f->lock, LOCK_EX | LOCK_NB) == 0) return ERR_OK;
    ring_folder_close(f);
    return err_set(
        ERR_EXISTS,
        "another sluice-capture takes the rows of %s; HINT: stop it, or give this stream "
        "another name, or capture.rings another folder",
        f->path);
}

void ring_folder_close(struct ring_folder *f)
{
    if (f->lock >= 0) close(f->lock);
    f->lock = -1;
}

static void remove_unfinished(const char *path)
{
    int fd;
    if (own_open(path, O_RDWR, &fd) != ERR_OK) return;
    if (ring_file_is_left(fd, time(NULL))) unlink(path);
    close(fd);
}

int ring_folder_each(const struct ring_folder *f, int (*found)(void *arg, const char *path),
                     void *arg)
{
    int result = ERR_OK;
    DIR *dir = opendir(f->path);
    if (!dir) return err_set(ERR_IO, "%s cannot be read: %s", f->path, strerror(errno));
    for (struct dirent *entry; result == ERR_OK && (entry = readdir(dir));) {
        char path[sizeof f->path + 256 + 2];
        snprintf(path, sizeof path, "%s/%s", f->path, entry->d_name);
        enum ring_file_kind kind = ring_file_kind(entry->d_name);
        if (kind == RING_FILE_WHOLE) result = found(arg, path);
        if (kind == RING_FILE_UNFINISHED) remove_unfinished(path);
    }
    closedir(dir);
    return result;
}
