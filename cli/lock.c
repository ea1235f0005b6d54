#include "cli/lock.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "runtime/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_SECONDS = 20 };

static long holder(const char *path)
{
    char *text;
    size_t bytes;
    if (own_read(path, 64, &text, &bytes) != ERR_OK) return 0;
    long pid = strtol(text, NULL, 10);
    free(text);
    return pid;
}

static int refuse(const struct config *config, long pid)
{
    return err_set(ERR_EXISTS,
                   "the stream '%s' is being run by process %ld, in %s; HINT: look at it with "
                   "`sluice status`, or stop it with `kill %ld`",
                   config->stream.name, pid, config->run_dir, pid);
}

int lock_take(const struct config *config, int *fd)
{
    char path[CONFIG_PATH_BYTES];
    int result = config_lock_file(config, path);
    if (result == ERR_OK) result = folder_claim(config);
    if (result != ERR_OK) return result;
    for (int tenths = 0; (result = file_lock(path, fd)) == ERR_EXISTS; tenths++) {
        long pid = holder(path);
        int alive = pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
        if (alive || tenths == WAIT_SECONDS * 10) return refuse(config, pid);
        if (tenths == 5)
            fprintf(stderr, "sluice: process %ld has died; waiting for its children to drain\n",
                    pid);
        nanosleep(&(struct timespec){0, 100000000}, NULL);
    }
    return result;
}

int lock_held(const struct config *config, long *pid)
{
    char path[CONFIG_PATH_BYTES];
    *pid = 0;
    if (config_lock_file(config, path) != ERR_OK) return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return 0; /* nobody has taken it yet */
    int taken = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    if (taken) *pid = holder(path);
    return taken;
}

int lock_check(const struct config *config)
{
    long pid;
    int result = folder_check(config);
    if (result != ERR_OK) return result;
    return lock_held(config, &pid) ? refuse(config, pid) : ERR_OK;
}
