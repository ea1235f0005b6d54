#include "base/leftover.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

enum { RANDOM_LETTERS = 6 };

size_t leftover_name(const char *name)
{
    const char *end = strstr(name, ".tmp.");
    if (!end) return 0;
    const char *random = end + strlen(".tmp.");
    return strspn(random, LETTERS) == RANDOM_LETTERS && !random[RANDOM_LETTERS]
               ? (size_t)(end - name)
               : 0;
}

/* The file that is open still has this name. */
static int is_still(int fd, int folder, const char *name)
{
    struct stat open_one, there;
    return fstat(fd, &open_one) == 0 && S_ISREG(open_one.st_mode) &&
           fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           there.st_dev == open_one.st_dev && there.st_ino == open_one.st_ino;
}

int leftover_remove(int folder, const char *name)
{
    if (!leftover_name(name)) return 0;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return 0;
    int removed = flock(fd, LOCK_EX | LOCK_NB) == 0 && is_still(fd, folder, name) &&
                  unlinkat(folder, name, 0) == 0;
    close(fd);
    return removed;
}
