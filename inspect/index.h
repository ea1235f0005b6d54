/*
 * A feature index, to be read. A folder:
 *
 *   index.json      what it is of (index_facts.h)
 *   features.table  of each feature an index_entry, 48 bytes, little-endian: where its sheet lies
 *   features.data   the sheets, one behind the other: JSON in zlib's format (sheet.h), so that a page
 *                   reads one with a Range request
 *   tokens.table    the vocabulary's texts: u32 (count + 1) offsets, then the bytes
 *   labels.tsv      what people call features (labels.h); may be missing
 *
 * Nothing is believed before it is bounded and held to a hash: an index may be anybody's.
 */
#ifndef SLUICE_INSPECT_INDEX_H
#define SLUICE_INSPECT_INDEX_H

#include "inspect/index_facts.h"

enum { INDEX_MOST_SHEET_BYTES = 1 << 24 };

struct index_entry { /* 48 bytes, as in the file */
    uint64_t offset; /* of its sheet in features.data */
    uint32_t bytes, raw_bytes;
    uint64_t rows; /* at which it fires */
    float largest, mean;
    int32_t token;     /* at which it fires most; -1: it never fires */
    uint32_t reserved; /* 0 */
    uint64_t hash;     /* of the sheet, packed */
};

struct index {
    char folder[INDEX_PATH_BYTES];
    struct index_facts facts;
    struct index_entry *entry; /* (features) */
    uint32_t *token_at;        /* (tokens + 1); NULL: the vocabulary is not known */
    const char *token_text;
    char *tokens; /* the file */
    int data;     /* features.data */
};

/* ERR_USAGE: the folder is no index; ERR_FORMAT, ERR_CHECKSUM: damaged or cut short; ERR_VERSION,
 * ERR_NOMEM, ERR_IO. Texts name the file and what to do. On success the caller ends with
 * index_close(). */
int index_open(const char *folder, struct index *index);
void index_close(struct index *index);

/* The sheet of a feature; the caller decrefs. ERR_USAGE: there is no such feature; ERR_FORMAT,
 * ERR_CHECKSUM, ERR_IO. Blocks on the disk. */
int index_sheet(const struct index *index, uint64_t feature, json_t **sheet);

/* A token's text (*bytes of it, not NUL-terminated, need not be UTF-8); NULL: it is not known. */
const char *index_token(const struct index *index, int64_t token, size_t *bytes);

/* For index_open() and fuzzers: whether bytes are what the facts tell. `path` is for the texts.
 * ERR_FORMAT. */
int index_check_table(const struct index_facts *facts, const struct index_entry *entry,
                      const char *path);
int index_check_tokens(const struct index_facts *facts, const uint32_t *at, const char *path);
/* A packed sheet of bytes[entry->bytes]. ERR_FORMAT, ERR_CHECKSUM, ERR_NOMEM. */
int index_parse_sheet(const struct index_facts *facts, const struct index_entry *entry,
                      uint32_t feature, const void *bytes, const char *path, json_t **sheet);

#endif
