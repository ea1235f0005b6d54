#include "inspect/export/put.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int path_of(const char *folder, const char *name, char *path)
{
    if (snprintf(path, PUT_PATH_BYTES, "%s/%s", folder, name) < PUT_PATH_BYTES) return ERR_OK;
    return err_set(ERR_USAGE, "%.80s...: the path is too long; HINT: name a shorter one", folder);
}

int put_bytes(const char *folder, const char *name, const void *data, size_t bytes)
{
    char path[PUT_PATH_BYTES];
    int fd, result = path_of(folder, name, path);
    if (result == ERR_OK) result = own_open(path, O_WRONLY | O_CREAT | O_EXCL, &fd);
    if (result != ERR_OK) return result;
    if (file_put(fd, data, bytes) != 0) result = file_error("writing", path);
    if (close(fd) != 0 && result == ERR_OK) result = file_error("writing", path);
    return result;
}

int put_json(const char *folder, const char *name, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(object);
    if (!text) return err_set(ERR_NOMEM, "no memory for an export");
    int result = put_bytes(folder, name, text, strlen(text));
    free(text);
    return result;
}

int put_folder(const char *folder, const char *name, char *path)
{
    int result = path_of(folder, name, path);
    return result == ERR_OK ? dir_make(path, 0700) : result;
}
