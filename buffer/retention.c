#include "buffer/retention.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/number_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static const char name[] = "retention";

static int take_away(const char *dir)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= PATH_MAX)
        return err_set(ERR_IO, "path too long: %s", dir);
    return unlink(path) == 0 || errno == ENOENT ? ERR_OK : file_error("cannot remove", path);
}

int retention_write(const char *dir, uint64_t seconds)
{
    uint64_t before;
    if (retention_read(dir, &before) == ERR_OK && before == seconds) return ERR_OK;
    return seconds == 0 ? take_away(dir) : number_file_write(dir, name, seconds);
}

int retention_read(const char *dir, uint64_t *seconds)
{
    *seconds = 0;
    int result = number_file_read(dir, name, seconds);
    if (result == ERR_NOTFOUND) return ERR_OK;
    if (result == ERR_FORMAT || (result == ERR_OK && *seconds == 0))
        return err_set(ERR_CORRUPT,
                       "%s/%s does not tell a time; HINT: start the run's sink, which writes it",
                       dir, name);
    return result;
}
