/*
 * Rows that tests/interop/rows_driver made, for the benches: FOLDER/ids and FOLDER/rows, width 576.
 * Those at position 0 of a context, attention sinks that a stream leaves out, are left out.
 */
#ifndef SLUICE_BENCH_REAL_ROWS_H
#define SLUICE_BENCH_REAL_ROWS_H

#include "base/err.h"
#include "base/fileio.h"
#include "base/row.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { REAL_ROWS_WIDTH = 576 };

struct rows {
    float *values; /* (count, width) */
    struct row_id *ids;
    uint32_t count, width;
};

/* One of the two files, and how many rows it holds. NULL: err_text() tells. */
static inline void *real_rows_part(const char *folder, const char *name, size_t row_bytes,
                                   size_t *count)
{
    char path[4096], *data = NULL;
    size_t bytes = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (file_read(path, (size_t)8 << 30, &data, &bytes)) return NULL;
    *count = bytes / row_bytes;
    return data;
}

/* Read a folder; the caller frees values and ids. On failure (err_text() tells) the process may as
 * well end. */
static inline int real_rows_read(const char *folder, struct rows *rows)
{
    size_t ids = 0, count = 0, row_bytes = REAL_ROWS_WIDTH * sizeof *rows->values;
    *rows = (struct rows){.width = REAL_ROWS_WIDTH};
    rows->ids = (struct row_id *)real_rows_part(folder, "ids", sizeof *rows->ids, &ids);
    rows->values = (float *)real_rows_part(folder, "rows", row_bytes, &count);
    if (!rows->ids || !rows->values) return ERR_IO;
    if (ids != count) return err_set(ERR_FORMAT, "%s: not as many rows as identities", folder);
    for (size_t i = 0; i < count; i++) {
        if (rows->ids[i].position == 0) continue;
        rows->ids[rows->count] = rows->ids[i];
        memmove(rows->values + (size_t)rows->count * REAL_ROWS_WIDTH,
                rows->values + i * REAL_ROWS_WIDTH, row_bytes);
        rows->count++;
    }
    return ERR_OK;
}

#endif
