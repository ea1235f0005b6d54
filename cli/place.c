#include "cli/place.h"

#include "base/err.h"
#include "base/fileio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int entries = 0;
    while (dir && (entry = readdir(dir)))
        entries += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (dir) closedir(dir);
    return dir && entries == 0;
}

int place_check(const char *given, struct place *place)
{
    struct stat st;
    size_t length = strlen(given);
    while (length > 1 && given[length - 1] == '/') length--;
    if (length == 0 || length >= PATH_MAX - 32)
        return err_set(ERR_USAGE, "DIR is %s", length ? "too long a path" : "empty");
    snprintf(place->dir, sizeof place->dir, "%.*s", (int)length, given);
    snprintf(place->folder, sizeof place->folder, "%.*s.%ld.tmp", PATH_MAX - 32, place->dir,
             (long)getpid());
    if (lstat(place->dir, &st) != 0 || (S_ISDIR(st.st_mode) && is_empty(place->dir))) return ERR_OK;
    return err_set(ERR_USAGE,
                   "%s is there already, and not an empty folder; HINT: give another, or remove it",
                   place->dir);
}

int place_begin(const struct place *place)
{
    return dir_make(place->folder, 0700);
}

/* All of its files: they need not have been synced one by one. */
static int sync_all(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 || syncfs(fd) != 0 ? file_error("writing", folder) : ERR_OK;
    if (fd >= 0) close(fd);
    return result;
}

static int put(const struct place *place)
{
    if (rename(place->folder, place->dir) == 0) return dir_sync_of(place->dir);
    int is_full = errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR;
    return err_set(is_full ? ERR_USAGE : ERR_IO, "cannot put the export into %s: %s%s", place->dir,
                   strerror(errno),
                   is_full ? "; HINT: give a folder that is empty or not there yet" : "");
}

int place_end(const struct place *place, int result)
{
    char why[1024];
    if (result == ERR_OK) result = sync_all(place->folder);
    if (result == ERR_OK) result = put(place);
    if (result == ERR_OK) return ERR_OK;
    snprintf(why, sizeof why, "%s", err_text());
    dir_remove(place->folder); /* what stopped it is told, whatever comes of the removing */
    return err_set(result, "%s", why);
}
