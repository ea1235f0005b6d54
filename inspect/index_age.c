#include "inspect/index_age.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/leftover.h"
#include "base/own.h"
#include "base/rows_from.h"

#include <dirent.h>
#include <string.h>

/* What a process left that died in writing the mark is nothing. */
static int check_empty(const char *folder)
{
    struct dirent *entry;
    int things = 0;
    DIR *dir = opendir(folder);
    if (!dir) return file_error("opening", folder);
    while ((entry = readdir(dir)))
        things += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                  leftover_name(entry->d_name) == 0;
    closedir(dir);
    if (things == 0) return ERR_OK;
    return err_set(
        ERR_USAGE,
        "%s holds something already that was not made of this stream's rows: it was left "
        "as it is; HINT: name a folder that is not there yet",
        folder);
}

int index_age_mark(const char *folder, uint64_t now_seconds, uint64_t age_seconds,
                   uint64_t *from_seconds)
{
    int result = own_make(folder, 0);
    if (result == ERR_OK) result = rows_from_read(folder, from_seconds);
    if (result != ERR_NOTFOUND) return result;
    result = check_empty(folder);
    if (result != ERR_OK) return result;
    *from_seconds = now_seconds - age_seconds / 2;
    return rows_from_write(folder, *from_seconds);
}
