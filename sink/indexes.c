#include "sink/indexes.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "base/rows_from.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char going[] = ".going-"; /* whoever writes in it finds it no more */

/* Beside the folder, under a name that nothing has: an earlier index of that name had labels, too. */
static int free_name(const char *folder, char *out)
{
    struct stat st;
    int n = snprintf(out, PATH_MAX, "%s.labels.tsv", folder);
    for (int i = 2; n < PATH_MAX && lstat(out, &st) == 0; i++)
        n = snprintf(out, PATH_MAX, "%s.labels-%d.tsv", folder, i);
    return n < PATH_MAX ? ERR_OK : err_set(ERR_LIMIT, "path too long: %s", folder);
}

static int keep_labels(const char *folder)
{
    char from[PATH_MAX], to[PATH_MAX];
    if (snprintf(from, sizeof from, "%s/labels.tsv", folder) >= PATH_MAX)
        return err_set(ERR_LIMIT, "path too long: %s", folder);
    int result = free_name(folder, to);
    if (result != ERR_OK || rename(from, to) == 0 || errno == ENOENT) return result;
    return file_error("cannot keep", from);
}

static int remove_index(const char *above, const char *name)
{
    char folder[PATH_MAX], moved[PATH_MAX];
    if (snprintf(folder, sizeof folder, "%s/%s", above, name) >= PATH_MAX ||
        snprintf(moved, sizeof moved, "%s/%s%s", above, going, name) >= PATH_MAX)
        return err_set(ERR_LIMIT, "path too long: %s", above);
    int result = keep_labels(folder);
    if (result != ERR_OK) return result;
    if (rename(folder, moved) != 0) return file_error("cannot move", folder);
    return dir_remove(moved);
}

/* 1: it goes. A mark that cannot be read is of an index all the same. */
static int is_too_old(const char *above, const char *name, uint64_t oldest_seconds)
{
    char folder[PATH_MAX];
    struct stat st;
    uint64_t seconds;
    if (snprintf(folder, sizeof folder, "%s/%s", above, name) >= PATH_MAX) return 0;
    if (lstat(folder, &st) != 0 || !S_ISDIR(st.st_mode)) return 0;
    int result = rows_from_read(folder, &seconds);
    return result == ERR_FORMAT || (result == ERR_OK && seconds < oldest_seconds);
}

static int look_at(const char *above, const char *name, uint64_t oldest_seconds, uint64_t *removed)
{
    char moved[PATH_MAX];
    if (strncmp(name, going, sizeof going - 1) == 0) { /* somebody died in removing it */
        if (snprintf(moved, sizeof moved, "%s/%s", above, name) >= PATH_MAX) return ERR_OK;
        return dir_remove(moved);
    }
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return ERR_OK;
    if (!is_too_old(above, name, oldest_seconds)) return ERR_OK;
    int result = remove_index(above, name);
    *removed += result == ERR_OK;
    return result;
}

int indexes_expire(const char *run_dir, uint64_t oldest_seconds, uint64_t *removed)
{
    char above[PATH_MAX];
    struct stat st;
    struct dirent *entry;
    if (snprintf(above, sizeof above, "%s/index", run_dir) >= PATH_MAX)
        return err_set(ERR_LIMIT, "path too long: %s", run_dir);
    if (lstat(above, &st) != 0 || own_folder(above, 0) != ERR_OK) return ERR_OK;
    DIR *dir = opendir(above);
    if (!dir) return file_error("cannot read", above);
    struct err_first failed = {0};
    while ((entry = readdir(dir)))
        err_first_take(&failed, look_at(above, entry->d_name, oldest_seconds, removed));
    closedir(dir);
    return err_first_of(&failed);
}
