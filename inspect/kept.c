#include "inspect/kept.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[] = {"rows", "fired"};
enum { NAMES = sizeof names / sizeof *names };

static void path_of(const char *folder, const char *name, char out[INDEX_PATH_BYTES])
{
    snprintf(out, INDEX_PATH_BYTES, "%.4000s/records/%s", folder, name);
}

int kept_make(const char *folder, const char *work)
{
    char path[INDEX_PATH_BYTES], from[INDEX_PATH_BYTES];
    snprintf(path, sizeof path, "%.4000s/records", folder);
    int result = own_make(path, 0);
    for (int i = 0; i < NAMES && result == ERR_OK; i++) {
        snprintf(from, sizeof from, "%.4000s/%s", work, names[i]);
        path_of(folder, names[i], path);
        if (unlink(path) != 0 && errno != ENOENT)
            result = file_error("removing", path);
        else if (link(from, path) != 0)
            result = file_error("keeping", path);
    }
    return result == ERR_OK ? dir_sync_of(path) : result;
}

int kept_is_there(const char *folder)
{
    char path[INDEX_PATH_BYTES];
    struct stat st;
    for (int i = 0; i < NAMES; i++) {
        path_of(folder, names[i], path);
        if (lstat(path, &st) != 0) return 0;
    }
    return 1;
}

int kept_map(const struct index *index, struct record_view *view)
{
    char path[INDEX_PATH_BYTES];
    struct stat st;
    const struct index_facts *facts = &index->facts;
    path_of(index->folder, "fired", path);
    if (!kept_is_there(index->folder) || lstat(path, &st) != 0)
        return err_set(ERR_USAGE,
                       "%s has contexts and not every row; HINT: `sluice inspect SAE NEW-FOLDER "
                       "--keep-records` makes an index that has",
                       index->folder);
    snprintf(path, sizeof path, "%.4000s/records", index->folder);
    return records_map(path, facts->rows, (uint64_t)st.st_size / sizeof(struct fired),
                       facts->features, view);
}
