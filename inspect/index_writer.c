#include "inspect/index_writer.h"

#include "base/err.h"
#include "base/fileio.h"
#include "engine/fingerprint.h"
#include "inspect/appended.h"

#include <stdlib.h>
#include <unistd.h>

int index_writer_open(const char *folder, uint32_t features, uint64_t bytes,
                      struct index_writer *writer)
{
    struct index_writer w = {.features = features, .bytes = bytes};
    snprintf(w.table_path, sizeof w.table_path, "%.4000s/features.table", folder);
    snprintf(w.data_path, sizeof w.data_path, "%.4000s/features.data", folder);
    int result =
        appended_open(w.table_path, features * (uint64_t)sizeof(struct index_entry), &w.table);
    if (result == ERR_OK) result = appended_open(w.data_path, bytes, &w.data);
    if (result != ERR_OK)
        index_writer_close(&w);
    else
        *writer = w;
    return result;
}

int index_writer_add(struct index_writer *w, struct index_entry entry, const void *sheet,
                     size_t bytes)
{
    if (bytes > INDEX_MOST_SHEET_BYTES)
        return err_set(ERR_LIMIT, "the sheet of feature %u has %zu bytes", w->features, bytes);
    entry.offset = w->bytes;
    entry.bytes = (uint32_t)bytes;
    entry.hash = fingerprint_add(0, sheet, bytes);
    if (fwrite(&entry, sizeof entry, 1, w->table) != 1) return file_error("writing", w->table_path);
    if (fwrite(sheet, bytes, 1, w->data) != 1) return file_error("writing", w->data_path);
    w->features++;
    w->bytes += bytes;
    return ERR_OK;
}

int index_writer_sync(struct index_writer *w)
{
    int result = appended_sync(w->data, w->data_path);
    return result == ERR_OK ? appended_sync(w->table, w->table_path) : result;
}

int index_writer_hash(const struct index_writer *w, uint64_t *hash)
{
    char *data;
    size_t size;
    int result =
        file_read(w->table_path, w->features * sizeof(struct index_entry) + 1, &data, &size);
    if (result != ERR_OK) return result;
    *hash = fingerprint_add(0, data, size);
    free(data);
    return ERR_OK;
}

void index_writer_close(struct index_writer *w)
{
    if (w->table) fclose(w->table);
    if (w->data) fclose(w->data);
    *w = (struct index_writer){0};
}
