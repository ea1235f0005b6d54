#include "base/number_file.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int path_of(const char *folder, const char *name, char out[PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX) return ERR_OK;
    return err_set(ERR_IO, "path too long: %s", folder);
}

int number_file_write(const char *folder, const char *name, uint64_t number)
{
    char path[PATH_MAX], text[32];
    int result = path_of(folder, name, path);
    if (result != ERR_OK) return result;
    int length = snprintf(text, sizeof text, "%" PRIu64 "\n", number);
    return file_replace(path, text, (size_t)length);
}

int number_file_read(const char *folder, const char *name, uint64_t *number)
{
    char path[PATH_MAX], *text, *end;
    size_t bytes;
    int result = path_of(folder, name, path);
    if (result == ERR_OK) result = own_read(path, 64, &text, &bytes);
    if (result != ERR_OK) return result;
    *number = strtoull(text, &end, 10);
    if (end == text || strcmp(end, "\n") != 0)
        result = err_set(ERR_FORMAT, "%s does not hold a number alone", path);
    free(text);
    return result;
}
