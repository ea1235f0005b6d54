#include "buffer/scan.h"

#include "base/err.h"
#include "buffer/damage.h"
#include "buffer/environment.h"
#include "buffer/retention.h"
#include "buffer/verify.h"
#include "proto/rows.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct scan {
    char *dir, *descriptor;
    struct environment e;
    struct environment_files files;
    struct format_record format;
    MDB_txn *txn;   /* reset between slabs */
    char *value;    /* (slab_bytes): a copy */
    uint64_t first; /* slabs that were there at the beginning */
    uint64_t newest_of_first, last_id, slabs, slabs_of_first;
    uint64_t retention_seconds;
    int ended, at_end;
};

static int replaced(int result)
{
    return err_set(result,
                   "%s; HINT: `sluice buffer verify` tells its sink, which makes "
                   "it anew; begin again then",
                   err_text());
}

/* ---- opening ---- */

static int newest(const struct scan *s, uint64_t *id)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(s->txn, s->e.slabs, &cursor);
    if (rc != 0) return environment_error(rc, "cannot read", s->dir);
    rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    if (rc == 0 && key.mv_size == sizeof *id) memcpy(id, key.mv_data, sizeof *id);
    mdb_cursor_close(cursor);
    return rc == 0 || rc == MDB_NOTFOUND ? ERR_OK : environment_error(rc, "cannot read", s->dir);
}

static int read_records(struct scan *s)
{
    struct state_record record;
    MDB_val text;
    int result = environment_format(&s->e, s->txn, &s->format, s->dir);
    if (result == ERR_OK)
        result = environment_get(&s->e, s->txn, "state", &record, sizeof record, s->dir);
    if (result == ERR_OK) result = environment_descriptor(&s->e, s->txn, &s->format, &text, s->dir);
    if (result == ERR_OK) result = damage_check(s->dir, s->format.run);
    if (result == ERR_OK) result = newest(s, &s->newest_of_first);
    if (result == ERR_OK) result = retention_read(s->dir, &s->retention_seconds);
    if (result != ERR_OK) return result;
    s->first = record.state.slabs;
    s->ended = record.state.ended != 0;
    s->value = malloc(s->format.slab_bytes);
    s->descriptor = malloc(text.mv_size + 1);
    if (!s->value || !s->descriptor) return err_set(ERR_NOMEM, "no memory to read %s", s->dir);
    memcpy(s->descriptor, text.mv_data, text.mv_size);
    s->descriptor[text.mv_size] = '\0';
    return ERR_OK;
}

static int attach(struct scan *s)
{
    uint64_t slabs, bad;
    int dead;
    if (!damage_inode(s->dir)) return err_set(ERR_NOTFOUND, "there is no buffer in %s", s->dir);
    int result = environment_boot_check(s->dir);
    if (result == ERR_OK) result = verify_in_child(s->dir, 0, &slabs, &bad);
    if (result == ERR_OK) result = environment_open_reading(s->dir, &s->e);
    if (result == ERR_OK) result = environment_know(s->dir, &s->files);
    if (result != ERR_OK) return result;
    mdb_reader_check(s->e.env, &dead);
    int rc = mdb_txn_begin(s->e.env, NULL, MDB_RDONLY, &s->txn);
    if (rc != 0) return environment_error(rc, "cannot read", s->dir);
    result = read_records(s);
    mdb_txn_reset(s->txn);
    return result;
}

int scan_open(const char *dir, struct scan **scan)
{
    struct scan *s = calloc(1, sizeof *s);
    int result = s ? ERR_OK : err_set(ERR_NOMEM, "no memory to read %s", dir);
    if (result == ERR_OK && !(s->dir = strdup(dir)))
        result = err_set(ERR_NOMEM, "no memory to read %s", dir);
    if (result == ERR_OK) result = attach(s);
    if (result != ERR_OK)
        scan_close(s);
    else
        *scan = s;
    return result;
}

void scan_close(struct scan *s)
{
    if (!s) return;
    if (s->txn) mdb_txn_abort(s->txn);
    environment_close(&s->e);
    free(s->dir);
    free(s->descriptor);
    free(s->value);
    free(s);
}

const char *scan_descriptor(const struct scan *s)
{
    return s->descriptor;
}

uint32_t scan_width(const struct scan *s)
{
    return s->format.width;
}

uint64_t scan_retention_seconds(const struct scan *s)
{
    return s->retention_seconds;
}

/* ---- reading ---- */

/* In a transaction: the slab of the lowest id that is not below `from`, into s->value. */
static int copy_slab(struct scan *s, uint64_t from)
{
    struct state_record record;
    MDB_cursor *cursor;
    MDB_val key = {sizeof from, &from}, value;
    uint64_t id = 0;
    int result = environment_get(&s->e, s->txn, "state", &record, sizeof record, s->dir);
    if (result != ERR_OK) return result;
    s->ended = record.state.ended != 0;
    int rc = mdb_cursor_open(s->txn, s->e.slabs, &cursor);
    if (rc != 0) return environment_error(rc, "cannot read", s->dir);
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    mdb_cursor_close(cursor);
    if (rc == MDB_NOTFOUND) return ERR_NOTFOUND;
    if (rc != 0) return environment_error(rc, "cannot read a slab of", s->dir);
    memcpy(&id, key.mv_data, sizeof id);
    result = environment_slab_check(&s->format, id, &value, s->dir);
    if (result == ERR_OK) memcpy(s->value, value.mv_data, s->format.slab_bytes);
    return result;
}

static int take(struct scan *s, struct scan_slab *slab)
{
    struct slab_header h;
    memcpy(&h, s->value, sizeof h);
    const char *raw = s->value + STORE_SLAB_HEADER_BYTES;
    if (XXH3_64bits(raw, h.raw_bytes) != h.raw_hash)
        return err_set(ERR_CORRUPT,
                       "slab %llu of producer %u in %s is damaged: its checksum does not match",
                       (unsigned long long)h.number, h.producer, s->dir);
    *slab = (struct scan_slab){h.id, h.number, h.captured_ns, h.producer, h.rows, raw};
    s->last_id = h.id;
    s->slabs++;
    s->slabs_of_first += h.id <= s->newest_of_first;
    return ERR_OK;
}

int scan_next(struct scan *s, struct scan_slab *slab)
{
    int result = environment_in_place(s->dir, &s->files);
    if (result != ERR_OK) return replaced(result);
    int rc = mdb_txn_renew(s->txn);
    if (rc != 0) return environment_error(rc, "cannot read", s->dir);
    result = copy_slab(s, s->last_id + 1);
    mdb_txn_reset(s->txn);
    s->at_end = result == ERR_NOTFOUND;
    if (result == ERR_OK) result = take(s, slab);
    return result == ERR_CORRUPT ? replaced(result) : result;
}

void scan_values(const struct scan *s, const struct scan_slab *slab, uint32_t i, float *out)
{
    rows_values((uint8_t)s->format.dtype, slab->rows, s->format.width, slab->raw, i, out);
}

int scan_ended(const struct scan *s)
{
    return s->ended;
}

/* Ids grow by one with each slab that is stored. */
struct scan_counts scan_counts(const struct scan *s)
{
    struct scan_counts counts = {.slabs = s->slabs};
    uint64_t later = s->last_id > s->newest_of_first ? s->last_id - s->newest_of_first : 0;
    if (s->at_end || later)
        counts.missed_slabs = s->first - s->slabs_of_first + later - (s->slabs - s->slabs_of_first);
    return counts;
}
