#include "inspect/appended.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 20 };

int appended_open(const char *path, uint64_t bytes, FILE **file)
{
    struct stat st;
    int fd, result = own_open(path, O_RDWR | O_CREAT, &fd);
    if (result != ERR_OK) return result;
    if (fstat(fd, &st) != 0)
        result = file_error("looking at", path);
    else if ((uint64_t)st.st_size < bytes)
        result = err_set(ERR_CORRUPT,
                         "%s has %jd bytes where %" PRIu64 " were written; HINT: remove the folder "
                         "and inspect again",
                         path, (intmax_t)st.st_size, bytes);
    else if (ftruncate(fd, (off_t)bytes) != 0 || lseek(fd, 0, SEEK_END) < 0)
        result = file_error("cutting", path);
    if (result == ERR_OK && !(*file = fdopen(fd, "r+"))) result = file_error("opening", path);
    if (result != ERR_OK) {
        close(fd);
        return result;
    }
    setvbuf(*file, NULL, _IOFBF, BUFFER_BYTES);
    fseeko(*file, 0, SEEK_END);
    return ERR_OK;
}

int appended_sync(FILE *file, const char *path)
{
    if (fflush(file) != 0 || fsync(fileno(file)) != 0) return file_error("writing", path);
    return ERR_OK;
}
