/*
 * Files, patterns and folders as one list of files.
 *
 * A pattern stands for what it matches, sorted by bytes: *, ?, [abc], {a,b}, and ** for any number
 * of folders (links to folders are not followed). A folder stands for the files in it, not below
 * it, whose names end in one of the endings given. A name that is there is that file, whatever
 * characters it has. No file is there twice. What matches and is not there (a link to nothing), and
 * a folder that cannot be read, are errors.
 */
#ifndef SLUICE_ENGINE_PATH_LIST_H
#define SLUICE_ENGINE_PATH_LIST_H

#include <stddef.h>

struct path_list {
    char **path; /* (count) */
    size_t count, room;
    size_t left_out; /* files of folders whose names end otherwise */
    const char *key; /* of the call that runs, for messages */
};

/* Add what `text` stands for. `endings`: ".npy", ..., NULL at the end; `key`: the option, for
 * messages. ERR_NOTFOUND: no such file. ERR_USAGE: no file matches, or a folder has none of these.
 * ERR_IO, ERR_NOMEM, ERR_LIMIT (folders nested deeper than 64). */
int path_list_add(struct path_list *list, const char *text, const char *const *endings,
                  const char *key);

/* ERR_USAGE where one file is there twice, under whatever names. ERR_NOMEM. */
int path_list_check(const struct path_list *list, const char *key);
void path_list_free(struct path_list *list);

#endif
