#include "base/held.h"

#include <sys/stat.h>
#include <unistd.h>

void held_take(struct held *h, int fd)
{
    struct stat st;
    *h = (struct held)HELD_NONE;
    if (fd >= 0 && fstat(fd, &st) == 0) *h = (struct held){fd, st.st_dev, st.st_ino};
}

int held_is(const struct held *h)
{
    struct stat st;
    return h->fd >= 0 && fstat(h->fd, &st) == 0 && st.st_dev == h->device && st.st_ino == h->inode;
}

void held_close(struct held *h)
{
    if (held_is(h)) close(h->fd);
    h->fd = -1;
}
