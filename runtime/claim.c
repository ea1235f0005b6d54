#include "runtime/claim.h"

#include "base/err.h"
#include "base/fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLAIM_PATH_BYTES = sizeof((struct sockaddr_un *)0)->sun_path + 8 }; /* and ".lock" */

static void folder_of(const char *path, char *folder)
{
    const char *slash = strrchr(path, '/');
    snprintf(folder, CLAIM_PATH_BYTES, "%.*s", (int)(slash - path), path);
}

/* The socket's folder: ours alone, whoever made it. */
static int judge_folder(const char *folder)
{
    struct stat st;
    if (lstat(folder, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return err_set(ERR_USAGE,
                       "%s, for sockets, is a link or belongs to another user: whoever serves one "
                       "there would get the rows; HINT: give the endpoint a folder of its own",
                       folder);
    if ((st.st_mode & 077) == 0) return ERR_OK;
    return err_set(ERR_USAGE,
                   "the folder %s for sockets can be entered by others; HINT: chmod 700 it, or put "
                   "the socket into a folder of its own",
                   folder);
}

int claim_folder(const char *path)
{
    char folder[CLAIM_PATH_BYTES];
    folder_of(path, folder);
    int result = dir_make(folder, 0700);
    return result == ERR_OK ? judge_folder(folder) : result;
}

static int check_length(const char *path)
{
    struct sockaddr_un address;
    if (strlen(path) < sizeof address.sun_path) return ERR_OK;
    return err_set(ERR_USAGE,
                   "the socket path %s is longer than %zu bytes; HINT: a shorter "
                   "stream.run_dir",
                   path, sizeof address.sun_path - 1);
}

/* ZeroMQ removes what is there. */
static int check_place(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0 || S_ISSOCK(st.st_mode)) return ERR_OK;
    return err_set(ERR_USAGE,
                   "%s is there and is no socket: it was left as it is; HINT: give the "
                   "endpoint another path",
                   path);
}

int claim_check(const char *path)
{
    char folder[CLAIM_PATH_BYTES];
    struct stat st;
    int result = check_length(path);
    if (result != ERR_OK) return result;
    folder_of(path, folder);
    if (lstat(folder, &st) == 0) {
        result = judge_folder(folder);
        return result == ERR_OK ? check_place(path) : result;
    }
    while (lstat(folder, &st) != 0) { /* the nearest that is there: the rest is made in it */
        char *slash = strrchr(folder, '/');
        slash[slash == folder] = '\0';
        if (!folder[1]) break;
    }
    if (access(folder, W_OK | X_OK) == 0) return ERR_OK;
    return err_set(ERR_USAGE,
                   "no folder for the socket %s can be made in %s: %s; HINT: give the endpoint "
                   "another path",
                   path, folder, strerror(errno));
}

/* Whether somebody answers at a unix socket. */
static int is_alive(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    int alive = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return alive;
}

int claim_socket(const char *path, int *lock)
{
    char file[CLAIM_PATH_BYTES];
    int result = check_length(path);
    if (result == ERR_OK) result = claim_folder(path);
    if (result != ERR_OK) return result;
    snprintf(file, sizeof file, "%s.lock", path);
    result = file_lock(file, lock);
    if (result == ERR_EXISTS)
        return err_set(ERR_EXISTS,
                       "the socket %s is in use: %s; HINT: stop that run first, or give "
                       "this one another stream.name or stream.run_dir",
                       path, err_text());
    if (result != ERR_OK) return result;
    fcntl(*lock, F_SETFD, FD_CLOEXEC); /* nobody else serves this socket */
    result = check_place(path);
    if (result != ERR_OK) return result;
    if (is_alive(path))
        return err_set(ERR_EXISTS,
                       "another program answers at the socket %s; HINT: stop it, or "
                       "give this run another stream.run_dir",
                       path);
    return ERR_OK;
}
