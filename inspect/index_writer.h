/*
 * features.table and features.data, while they are made, feature by feature (index.h). What is beyond
 * the counts that the caller keeps is cut off when they are opened again.
 */
#ifndef SLUICE_INSPECT_INDEX_WRITER_H
#define SLUICE_INSPECT_INDEX_WRITER_H

#include "inspect/index.h"

#include <stdio.h>

struct index_writer {
    char table_path[INDEX_PATH_BYTES], data_path[INDEX_PATH_BYTES];
    FILE *table, *data;
    uint32_t features; /* written */
    uint64_t bytes;    /* of the data */
};

/* ERR_CORRUPT: there is less than that; ERR_USAGE, ERR_NOSPC, ERR_IO. On success the caller ends with
 * index_writer_close(). */
int index_writer_open(const char *folder, uint32_t features, uint64_t bytes,
                      struct index_writer *writer);
/* The next feature: its packed sheet, and its entry but for offset, bytes and hash. ERR_NOSPC,
 * ERR_IO, ERR_LIMIT. */
int index_writer_add(struct index_writer *writer, struct index_entry entry, const void *sheet,
                     size_t bytes);
/* Make it durable. ERR_NOSPC, ERR_IO. */
int index_writer_sync(struct index_writer *writer);
/* Hash of the whole table. ERR_IO, ERR_NOMEM. */
int index_writer_hash(const struct index_writer *writer, uint64_t *hash);
void index_writer_close(struct index_writer *writer);

#endif
