/*
 * The files of a corpus: what files, patterns and folders stand for, in one order everywhere.
 *
 * - A pattern has * ? [ ] and { , } as in a shell, resolved from the working folder; `**` as a
 *   whole name means folders at any depth, none among them. Names that begin with a dot are matched
 *   only where the pattern has the dot. Matches come in byte order of their paths.
 * - A folder, and a pattern whose last name is `*` or `**`, means the corpora in it at any depth
 *   (of `*`: those that match): where files of it end in .jsonl, .ndjson, .json, .csv, .tsv, .txt
 *   or .text (perhaps with .gz, .zst, .bz2 or .xz after it), those and no others; else all files.
 *   Left out are hidden files, what lies beside data (README, LICENSE, ..., of any ending) and what
 *   says how data is kept (dataset_info.json, ...). `note` tells what was left out.
 * - Links are followed; one that leads back into a folder above it is passed over.
 * - What is meant and cannot be read is an error that names it: a link to nothing whose name
 *   matches, a folder without permission.
 * - The same file twice, under whatever names, is an error.
 */
#ifndef SLUICE_ENGINE_CORPUS_FILES_H
#define SLUICE_ENGINE_CORPUS_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct corpus_file {
    char *path; /* "-": standard input */
    int pipe;   /* it cannot be read again */
    dev_t device;
    ino_t inode;
};

struct corpus_files {
    struct corpus_file *items;
    size_t count, room;
    char note[512];      /* "data: 3 files; left out: README.md, LICENSE and 2 more"; "" */
    size_t told, untold; /* the note's length; entries that it only counts */
};

/* ERR_USAGE (nothing listed, a pattern or folder that gives no file, a file twice), ERR_NOTFOUND,
 * ERR_IO, ERR_NOMEM, ERR_LIMIT (folders nested deeper than 64). Zeroed before; to be freed also
 * after an error. */
int corpus_files_find(struct corpus_files *files, const char *const *listed, uint32_t count);
void corpus_files_free(struct corpus_files *files);

#endif
