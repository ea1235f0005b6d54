#include "inspect/index.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "engine/fingerprint.h"
#include "inspect/deflate.h"
#include "inspect/sheet.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(struct index_entry) == 48, "as in the file");

static int damaged(const char *path)
{
    return err_set(ERR_FORMAT, "%s is damaged; HINT: copy it again, or inspect again", path);
}

static int changed(const char *path)
{
    return err_set(ERR_CHECKSUM,
                   "%s is not what was written: damaged, or of another index; HINT: copy it again, "
                   "or inspect again",
                   path);
}

static int wrong_size(const char *path, uint64_t is, uint64_t should)
{
    return err_set(ERR_FORMAT,
                   "%s has %" PRIu64 " bytes, and its index tells %" PRIu64
                   "; HINT: copy it again, or inspect again",
                   path, is, should);
}

int index_check_table(const struct index_facts *facts, const struct index_entry *entry,
                      const char *path)
{
    uint64_t at = 0;
    for (uint32_t f = 0; f < facts->features; f++, entry++) {
        if (entry->offset != at || entry->bytes == 0 || entry->bytes > INDEX_MOST_SHEET_BYTES ||
            entry->raw_bytes > INDEX_MOST_SHEET_BYTES || entry->bytes > facts->data_bytes - at ||
            entry->rows > facts->kept_rows || !isfinite(entry->largest) || !isfinite(entry->mean) ||
            entry->token < -1 || (facts->tokens && entry->token >= (int64_t)facts->tokens))
            return damaged(path);
        at += entry->bytes;
    }
    return at == facts->data_bytes ? ERR_OK : damaged(path);
}

int index_check_tokens(const struct index_facts *facts, const uint32_t *at, const char *path)
{
    uint64_t texts = facts->tokens_bytes - ((uint64_t)facts->tokens + 1) * sizeof *at;
    if (at[0] != 0 || at[facts->tokens] != texts) return damaged(path);
    for (uint32_t t = 0; t < facts->tokens; t++)
        if (at[t] > at[t + 1]) return damaged(path);
    return ERR_OK;
}

int index_parse_sheet(const struct index_facts *facts, const struct index_entry *entry,
                      uint32_t feature, const void *bytes, const char *path, json_t **sheet)
{
    char *text;
    if (fingerprint_add(0, bytes, entry->bytes) != entry->hash) return changed(path);
    int result = deflate_unpack(bytes, entry->bytes, entry->raw_bytes, &text);
    if (result != ERR_OK) return result == ERR_FORMAT ? damaged(path) : result;
    json_t *o = json_loadb(text, entry->raw_bytes, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    if (!o || !sheet_check(o, feature, facts->features)) {
        json_decref(o);
        return damaged(path);
    }
    *sheet = o;
    return ERR_OK;
}

/* ---- files ---- */

static void path_of(const struct index *index, const char *name, char out[INDEX_PATH_BYTES])
{
    snprintf(out, INDEX_PATH_BYTES, "%.4000s/%s", index->folder, name);
}

/* A file of `bytes` bytes with that hash, malloc'ed. */
static int read_whole(const char *path, uint64_t bytes, uint64_t hash, char **data)
{
    size_t size;
    int result = own_read(path, bytes + 1, data, &size);
    if (result == ERR_NOTFOUND)
        return err_set(ERR_FORMAT, "%s is missing; HINT: copy it again, or inspect again", path);
    if (result == ERR_LIMIT) return wrong_size(path, bytes + 1, bytes);
    if (result != ERR_OK) return result;
    if (size != bytes)
        result = wrong_size(path, size, bytes);
    else if (fingerprint_add(0, *data, size) != hash)
        result = changed(path);
    if (result != ERR_OK) {
        free(*data);
        *data = NULL;
    }
    return result;
}

static int open_table(struct index *index)
{
    char path[INDEX_PATH_BYTES], *data = NULL;
    uint64_t bytes = (uint64_t)index->facts.features * sizeof *index->entry;
    path_of(index, "features.table", path);
    int result = read_whole(path, bytes, index->facts.table_hash, &data);
    index->entry = (struct index_entry *)data;
    return result == ERR_OK ? index_check_table(&index->facts, index->entry, path) : result;
}

static int open_tokens(struct index *index)
{
    char path[INDEX_PATH_BYTES];
    uint64_t offsets = ((uint64_t)index->facts.tokens + 1) * sizeof *index->token_at;
    if (index->facts.tokens == 0) return ERR_OK;
    path_of(index, "tokens.table", path);
    if (index->facts.tokens_bytes < offsets) return damaged(path);
    int result =
        read_whole(path, index->facts.tokens_bytes, index->facts.tokens_hash, &index->tokens);
    if (result == ERR_OK)
        result = index_check_tokens(&index->facts, (const uint32_t *)index->tokens, path);
    if (result != ERR_OK) return result;
    index->token_at = (uint32_t *)index->tokens;
    index->token_text = index->tokens + offsets;
    return ERR_OK;
}

static int open_data(struct index *index)
{
    char path[INDEX_PATH_BYTES];
    struct stat st;
    path_of(index, "features.data", path);
    int result = own_open(path, O_RDONLY, &index->data);
    if (result == ERR_NOTFOUND)
        return err_set(ERR_FORMAT, "%s is missing; HINT: copy it again, or inspect again", path);
    if (result != ERR_OK) {
        index->data = -1;
        return result;
    }
    if (fstat(index->data, &st) != 0) return file_error("looking at", path);
    if ((uint64_t)st.st_size != index->facts.data_bytes)
        return wrong_size(path, (uint64_t)st.st_size, index->facts.data_bytes);
    return ERR_OK;
}

int index_open(const char *folder, struct index *index)
{
    struct index x = {.data = -1};
    if (snprintf(x.folder, sizeof x.folder, "%s", folder) >= (int)sizeof x.folder - 100)
        return err_set(ERR_USAGE, "%.80s...: the path is too long", folder);
    int result = index_facts_read(folder, &x.facts);
    if (result == ERR_NOTFOUND)
        return err_set(ERR_USAGE,
                       "%s is no feature index, or one that is not finished: it has no index.json; "
                       "HINT: `sluice inspect SAE %s` makes one, and goes on with one",
                       folder, folder);
    if (result == ERR_OK) result = open_table(&x);
    if (result == ERR_OK) result = open_tokens(&x);
    if (result == ERR_OK) result = open_data(&x);
    if (result != ERR_OK)
        index_close(&x);
    else
        *index = x;
    return result;
}

void index_close(struct index *index)
{
    free(index->entry);
    free(index->tokens);
    if (index->data >= 0) close(index->data);
    *index = (struct index){.data = -1};
}

int index_sheet(const struct index *index, uint64_t feature, json_t **sheet)
{
    char path[INDEX_PATH_BYTES];
    if (feature >= index->facts.features)
        return err_set(ERR_USAGE, "%s has no feature %" PRIu64 "; HINT: it has 0 to %u",
                       index->folder, feature, index->facts.features - 1);
    const struct index_entry *entry = &index->entry[feature];
    path_of(index, "features.data", path);
    void *bytes = malloc(entry->bytes);
    if (!bytes) return err_set(ERR_NOMEM, "no memory for a feature's sheet");
    ssize_t n = pread(index->data, bytes, entry->bytes, (off_t)entry->offset);
    int result =
        n < 0 ? file_error("reading", path)
        : n != (ssize_t)entry->bytes
            ? damaged(path)
            : index_parse_sheet(&index->facts, entry, (uint32_t)feature, bytes, path, sheet);
    free(bytes);
    return result;
}

const char *index_token(const struct index *index, int64_t token, size_t *bytes)
{
    if (!index->token_at || token < 0 || token >= (int64_t)index->facts.tokens) return NULL;
    *bytes = index->token_at[token + 1] - index->token_at[token];
    return index->token_text + index->token_at[token];
}
