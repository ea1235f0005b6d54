#include "base/own.h"

#include "base/err.h"
#include "base/fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OTHERS_WRITE = S_IWGRP | S_IWOTH, PERMISSIONS = 07777 };

int own_judge(const char *what, const char *path, const struct stat *st)
{
    if (st->st_uid != geteuid())
        return err_set(ERR_USAGE,
                       "the %s %s belongs to user %u, and this is user %u: nothing was touched; "
                       "HINT: run it as that user, give it to this one with chown, or choose "
                       "another stream.run_dir",
                       what, path, (unsigned)st->st_uid, (unsigned)geteuid());
    if (st->st_mode & OTHERS_WRITE)
        return err_set(ERR_USAGE,
                       "the %s %s can be written by others (its mode is %04o): nothing was "
                       "touched; HINT: look at what is in it, then chmod go-w %s",
                       what, path, (unsigned)st->st_mode & PERMISSIONS, path);
    return ERR_OK;
}

int own_refuse_link(const char *path)
{
    return err_set(ERR_USAGE,
                   "%s is a symbolic link, and a run writes through none: nothing was touched; "
                   "HINT: remove the link, or make stream.run_dir itself a link",
                   path);
}

static int not_there(const char *path)
{
    if (errno == ENOENT || errno == ENOTDIR)
        return err_set(ERR_NOTFOUND, "there is no folder %s", path);
    return file_error("cannot look at", path);
}

int own_folder(const char *path, int may_be_link)
{
    struct stat st;
    if (lstat(path, &st) != 0) return not_there(path);
    if (S_ISLNK(st.st_mode) && !may_be_link) return own_refuse_link(path);
    if (S_ISLNK(st.st_mode) && stat(path, &st) != 0) return not_there(path);
    if (!S_ISDIR(st.st_mode))
        return err_set(ERR_USAGE,
                       "%s is there and is not a folder: nothing was touched; HINT: move it away, "
                       "or choose another stream.run_dir",
                       path);
    return own_judge("folder", path, &st);
}

int own_make(const char *path, int may_be_link)
{
    if (mkdir(path, 0700) == 0) return ERR_OK;
    if (errno == EEXIST) return own_folder(path, may_be_link);
    return file_error("cannot create folder", path);
}

/* One that is not there yet is made by us. */
static int judge_parent(const char *folder, char *warning, size_t bytes)
{
    struct stat st;
    if (stat(folder, &st) != 0 || (st.st_mode & S_ISVTX)) return ERR_OK;
    if (st.st_mode & S_IWOTH)
        return err_set(ERR_USAGE,
                       "everybody may write the folder %s (mode %04o), and so put another in the "
                       "place of what lies in it; HINT: chmod o-w %s, chmod +t %s, or choose "
                       "another stream.run_dir",
                       folder, (unsigned)st.st_mode & PERMISSIONS, folder, folder);
    if (!warning || warning[0]) return ERR_OK;
    if (st.st_mode & S_IWGRP)
        snprintf(warning, bytes, "group %u may write the folder %s, and so replace what lies in it",
                 st.st_gid, folder);
    else if (st.st_uid != 0 && st.st_uid != geteuid())
        snprintf(warning, bytes, "user %u owns the folder %s, and may replace what lies in it",
                 st.st_uid, folder);
    return ERR_OK;
}

static int judge_all_above(const char *path, char *warning, size_t bytes)
{
    char folder[PATH_MAX];
    int result = ERR_OK;
    if (snprintf(folder, sizeof folder, "%s", path) >= (int)sizeof folder) return ERR_OK;
    for (char *slash; result == ERR_OK && (slash = strrchr(folder, '/')) && folder[1];) {
        slash[slash == folder] = '\0';
        result = judge_parent(folder, warning, bytes);
    }
    return result;
}

int own_parents(const char *path, char *warning, size_t bytes)
{
    if (warning) warning[0] = '\0';
    int result = judge_all_above(path, warning, bytes);
    char *real = result == ERR_OK ? realpath(path, NULL) : NULL;
    if (real && strcmp(real, path) != 0) result = judge_all_above(real, warning, bytes);
    free(real);
    return result;
}

int own_open(const char *path, int flags, int *fd)
{
    struct stat st;
    *fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (*fd < 0 && errno == ELOOP) return own_refuse_link(path);
    if (*fd < 0) {
        int missing = errno == ENOENT || errno == ENOTDIR;
        int result = file_error("cannot open", path);
        return missing ? ERR_NOTFOUND : result;
    }
    if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode)) return ERR_OK;
    close(*fd);
    *fd = -1;
    return err_set(ERR_IO, "%s is not a regular file", path);
}

int own_read(const char *path, size_t limit_bytes, char **data, size_t *size)
{
    int fd, result = own_open(path, O_RDONLY, &fd);
    if (result != ERR_OK) return result;
    result = file_read_from(fd, path, limit_bytes, data, size);
    close(fd);
    return result;
}

int own_stream(const char *path, FILE **stream)
{
    int fd, result = own_open(path, O_RDONLY, &fd);
    if (result != ERR_OK) return result;
    *stream = fdopen(fd, "r");
    if (*stream) return ERR_OK;
    close(fd);
    return err_set(ERR_NOMEM, "no memory to read %s", path);
}
