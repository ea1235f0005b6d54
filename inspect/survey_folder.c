#include "inspect/survey_folder.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/leftover.h"
#include "base/own.h"
#include "base/rows_from.h"
#include "inspect/index_facts.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Names of an index, finished or not. */
static int is_known(const char *name)
{
    static const char *const names[] = {".",
                                        "..",
                                        "work",
                                        "features.table",
                                        "index.json",
                                        "features.data",
                                        "tokens.table",
                                        "labels.tsv",
                                        ROWS_FROM_NAME,
                                        "records",
                                        "index.html", /* its page: browse/page.h */
                                        "page.css",
                                        "page.js"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return 1;
    return leftover_name(name) > 0;
}

/* Nothing but an index's files, and those of a process that died in replacing one are removed. */
static int look(const char *folder, int *has_work, int *has_index)
{
    struct dirent *entry;
    int has_files = 0, result = ERR_OK;
    DIR *dir = opendir(folder);
    *has_work = *has_index = 0;
    if (!dir) return file_error("opening", folder);
    while (result == ERR_OK && (entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (!is_known(name))
            result =
                err_set(ERR_USAGE,
                        "%s holds %.80s, so it is no feature index: it was left as it is; HINT: "
                        "name a folder that is not there yet",
                        folder, name);
        *has_work |= strcmp(name, "work") == 0;
        *has_index |= strcmp(name, "index.json") == 0;
        has_files |= strncmp(name, "features.", 9) == 0;
        if (leftover_name(name)) leftover_remove(dirfd(dir), name);
    }
    closedir(dir);
    if (result == ERR_OK && has_files && !*has_work && !*has_index)
        return err_set(ERR_USAGE,
                       "%s has an index's files and no index.json: it was not copied whole; HINT: "
                       "copy it again, or remove it",
                       folder);
    return result;
}

static int compare(const char *folder, const struct survey_state *is,
                   const struct survey_state *wanted)
{
    const char *what = is->fingerprint != wanted->fingerprint ? "another SAE"
                       : is->model_hash != wanted->model_hash ? "another model"
                       : is->corpus_hash != wanted->corpus_hash
                           ? "another corpus, or contexts (--context)"
                       : is->settings_hash != wanted->settings_hash
                           ? "other options (--tokens, --no-promotes, --from-buffer)"
                           : NULL;
    if (!what) return ERR_OK;
    return err_set(ERR_MISMATCH,
                   "%s holds an index of %s: it was left as it is; HINT: name another folder, or "
                   "remove this one",
                   folder, what);
}

static int read_finished(const char *folder, const struct survey_state *wanted)
{
    struct index_facts facts;
    int result = index_facts_read(folder, &facts);
    if (result != ERR_OK) return result;
    struct survey_state is = {.fingerprint = facts.fingerprint,
                              .model_hash = facts.model_hash,
                              .corpus_hash = facts.corpus_hash,
                              .settings_hash = facts.settings_hash};
    return compare(folder, &is, wanted);
}

static int read_begun(const char *folder, const char *work, struct survey_state *state)
{
    struct survey_state is;
    int result = survey_state_read(work, &is);
    if (result == ERR_NOTFOUND) return ERR_OK;
    if (result == ERR_OK) result = compare(folder, &is, state);
    if (result == ERR_OK) *state = is;
    return result;
}

static int lock_work(const char *folder, const char *work, int *lock)
{
    char path[INDEX_PATH_BYTES];
    int result = own_make(work, 0);
    if (result != ERR_OK) return result;
    snprintf(path, sizeof path, "%.4000s/lock", work);
    result = file_lock(path, lock);
    if (result != ERR_EXISTS) return result;
    return err_set(ERR_EXISTS, "%s is being made: %s", folder, err_text());
}

int survey_folder_open(const char *folder, struct survey_state *state, int *was_there, char *work,
                       int *lock)
{
    int has_work, has_index;
    *was_there = 0;
    if (snprintf(work, INDEX_PATH_BYTES, "%s/work", folder) >= INDEX_PATH_BYTES - 100)
        return err_set(ERR_USAGE, "%.80s...: the path is too long", folder);
    int result = own_make(folder, 1);
    if (result == ERR_OK) result = look(folder, &has_work, &has_index);
    if (result == ERR_OK && has_index) {
        result = read_finished(folder, state);
        *was_there = result == ERR_OK;
        return result == ERR_OK && has_work ? dir_remove(work) : result;
    }
    if (result == ERR_OK) result = lock_work(folder, work, lock);
    if (result != ERR_OK) return result;
    result = read_begun(folder, work, state);
    if (result != ERR_OK) close(*lock);
    return result;
}
