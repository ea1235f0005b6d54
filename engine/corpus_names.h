/* Patterns of paths, and what a file's name says about its being a corpus. */
#ifndef SLUICE_ENGINE_CORPUS_NAMES_H
#define SLUICE_ENGINE_CORPUS_NAMES_H

#include <stddef.h>

/* Whether a path matches a pattern of names: * ? [ ] within a name, `**` for any number of folders.
 * Neither has braces. */
int corpus_names_match(const char *pattern, const char *path);

/* Call `each` with every pattern that the braces in one stand for ("a.{txt,md}": "a.txt", "a.md"),
 * until one fails. ERR_LIMIT: more than 4096, or one longer than a path; what `each` returns. */
int corpus_names_expand(const char *pattern, int (*each)(void *arg, const char *pattern),
                        void *arg);

/* Length of the part of a pattern that has no wildcard: the folder in which to begin ("" too). */
size_t corpus_names_base(const char *pattern);

/* Whether the last name of a pattern says nothing about names: `*` or `**`. */
int corpus_names_any(const char *pattern);

enum corpus_name {
    CORPUS_NAME_DATA,   /* an ending that corpora have */
    CORPUS_NAME_OTHER,  /* nobody can tell */
    CORPUS_NAME_BESIDE, /* README, LICENSE, dataset_info.json, hidden ones */
};

/* `name` is the last part of a path. */
enum corpus_name corpus_names_kind(const char *name);

#endif
