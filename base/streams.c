#include "base/streams.h"

#include <fcntl.h>
#include <unistd.h>

/* /dev/null in the mode that is of no use there; where there is no /dev, a folder, which nobody can
 * read from or write to. */
static int stand_in(int fd)
{
    static const int mode[] = {O_WRONLY, O_RDONLY, O_WRONLY};
    int opened = open("/dev/null", mode[fd]);
    return opened >= 0 ? opened : open("/", O_PATH | O_DIRECTORY);
}

void streams_open(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        if (stand_in(fd) != fd) _exit(1); /* the lowest that is free, as those below are open */
    }
}

int streams_has_input(void)
{
    int flags = fcntl(STDIN_FILENO, F_GETFL);
    return flags >= 0 && !(flags & O_PATH) && (flags & O_ACCMODE) != O_WRONLY;
}
