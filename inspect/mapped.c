#include "inspect/mapped.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int map(int fd, const char *path, uint64_t bytes, struct mapped *mapped)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return file_error("looking at", path);
    if ((uint64_t)st.st_size != bytes)
        return err_set(ERR_CORRUPT,
                       "%s has %jd bytes where %" PRIu64 " were written; HINT: remove the folder "
                       "and inspect again",
                       path, (intmax_t)st.st_size, bytes);
    if (bytes == 0) return ERR_OK;
    void *data = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) return file_error("mapping", path);
    *mapped = (struct mapped){data, bytes};
    return ERR_OK;
}

int mapped_open(const char *path, uint64_t bytes, struct mapped *mapped)
{
    int fd;
    *mapped = (struct mapped){0};
    int result = own_open(path, O_RDONLY, &fd);
    if (result != ERR_OK) return result;
    result = map(fd, path, bytes, mapped);
    close(fd);
    return result;
}

void mapped_close(struct mapped *mapped)
{
    if (mapped->data) munmap((void *)mapped->data, mapped->bytes);
    *mapped = (struct mapped){0};
}
