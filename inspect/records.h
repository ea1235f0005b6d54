/*
 * What a pass over rows leaves behind: of every row its identity, and which features fired at it,
 * how much. Two files in a folder of ours, `rows` and `fired`, to which is only ever appended; a
 * reader maps them.
 *
 * Holds: what is beyond the counts that the caller keeps (survey's state) is cut off when the files
 * are opened again, so they are a pure function of the rows.
 */
#ifndef SLUICE_INSPECT_RECORDS_H
#define SLUICE_INSPECT_RECORDS_H

#include "base/row.h"
#include "inspect/mapped.h"

#include <stdio.h>

struct record_row { /* 32 bytes, as in the file */
    uint64_t sequence;
    uint64_t start; /* where its pairs begin in `fired` */
    uint32_t position, token;
    uint32_t is_left_out; /* a special token, position 0, a row that is not finite: nothing fired */
    uint32_t reserved;    /* 0 */
};

struct fired { /* 8 bytes */
    uint32_t feature;
    float value;
};

struct records { /* being written */
    char rows_path[4096], fired_path[4096];
    FILE *rows_file, *fired_file;
    uint64_t rows, fired; /* written so far */
};

/* Go on after `rows` rows with `fired` pairs (0, 0: begin). ERR_CORRUPT: the files have fewer;
 * ERR_USAGE, ERR_NOSPC, ERR_IO. On success the caller ends with records_close(). */
int records_open(const char *folder, uint64_t rows, uint64_t fired, struct records *records);
/* Append a row with its pairs, ascending by feature. ERR_NOSPC, ERR_IO. */
int records_add(struct records *records, const struct row_id *id, int is_left_out,
                const uint32_t *features, const float *values, uint64_t count);
/* The same of a row that was read, with its pairs (count). */
int records_copy(struct records *records, const struct record_row *row, const struct fired *pairs,
                 uint64_t count);
/* Make what was added durable. ERR_NOSPC, ERR_IO. Blocks on the disk. */
int records_sync(struct records *records);
void records_close(struct records *records);

struct record_view { /* mapped */
    const struct record_row *row;
    const struct fired *pair;
    uint64_t rows, fired;
    int has_tokens; /* the rows' tokens are of a vocabulary, so that texts can be compared */
    struct mapped row_map, fired_map;
};

/* Map what was written. Each row's pairs, features, values (> 0) and order are checked, so that
 * nobody needs to again. ERR_CORRUPT, ERR_IO. On success the caller ends with records_unmap(). Reads it all. */
int records_map(const char *folder, uint64_t rows, uint64_t fired, uint32_t features,
                struct record_view *view);
void records_unmap(struct record_view *view);

/* Where the row's pairs end. */
static inline uint64_t record_end(const struct record_view *view, uint64_t row)
{
    return row + 1 < view->rows ? view->row[row + 1].start : view->fired;
}

#endif
