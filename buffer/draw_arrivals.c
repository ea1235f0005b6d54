/* What came into the buffer since the last batch, and what went. */
#include "buffer/draw_parts.h"

#include "base/err.h"
#include "proto/rows.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static uint32_t live_rows(const struct draw *d, const char *raw, uint32_t rows)
{
    uint32_t live = rows;
    if (d->options.held_out_one_in == 0) return live;
    for (uint32_t i = 0; i < rows; i++) live -= draw_held_out(d, raw, i) != 0;
    return live;
}

/* Where in its order a slab stands of which the state only says how many draws were made. */
static void find_position(const struct draw *d, struct drawn_slab *slab, const char *raw)
{
    slab->position = 0;
    if (slab->live == 0 || slab->drawn >= slab_table_total(&d->table, slab)) return;
    uint32_t passed = (uint32_t)(slab->drawn % slab->live);
    if (slab->live == slab->rows) {
        slab->position = passed;
        return;
    }
    slab->key = slab_table_key(&d->table, slab);
    while (passed > 0) passed -= !draw_held_out(d, raw, draw_row_at(d, slab, slab->position++));
}

static int take_in(struct draw *d, const struct slab_header *h, const char *raw)
{
    struct slab_table *t = &d->table;
    slab_table_producers(t, h->producer + 1);
    struct consumer_producer *producer = &t->producer[h->producer];
    if (producer->epoch < h->epoch) producer->epoch = h->epoch;
    if (h->number < producer->lowest) return ERR_OK;
    struct drawn_slab *slab = slab_table_find(t, h->producer, h->number);
    int result = slab ? ERR_OK : slab_table_add(t, h->producer, h->number, &slab);
    if (result != ERR_OK) return result;
    slab->begin = h->begin;
    slab->has_begin = 1;
    if (slab->finished) return ERR_OK;
    if (slab->id) slab_table_gone(t, slab, 0);
    if (slab->drawn > 0 && slab->identities_hash != h->identities_hash)
        return err_set(ERR_MISMATCH,
                       "slab %llu of producer %u holds other rows than those that '%s' has drawn "
                       "from: the corpus, its order or the model's tokens have changed; HINT: put "
                       "them back, or start over with --fresh",
                       (unsigned long long)h->number, h->producer, d->consumer);
    slab->identities_hash = h->identities_hash;
    slab->id = h->id;
    slab->rows = h->rows;
    slab->live = live_rows(d, raw, h->rows);
    slab->captured_ns = h->captured_ns;
    find_position(d, slab, raw);
    if (d->arrived.count == d->arrived.room) {
        size_t room = 2 * d->arrived.room + 64;
        uint32_t *at = realloc(d->arrived.at, room * sizeof *at);
        if (!at) return err_set(ERR_NOMEM, "no memory for a list of %zu slabs", room);
        d->arrived.at = at;
        d->arrived.room = room;
    }
    d->arrived.at[d->arrived.count++] = (uint32_t)(slab - t->slab);
    return ERR_OK;
}

/* A resumed order first, then as they were stored, or, for a replay, by (producer, number). */
static int before(const void *a, const void *b, void *arg)
{
    const struct draw *d = arg;
    const struct drawn_slab *x = &d->table.slab[*(const uint32_t *)a];
    const struct drawn_slab *y = &d->table.slab[*(const uint32_t *)b];
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    if (!d->options.replay) return x->id < y->id ? -1 : 1;
    if (x->producer != y->producer) return x->producer < y->producer ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

/* Have the disk read what a first look finds, before the rows are wanted one by one. */
static void ask_for_pages(struct draw *d, const struct drawn_slab *slab)
{
    const char *raw;
    if (draw_lookup(d, slab, &raw) != ERR_OK) return;
    const char *page = raw - STORE_SLAB_HEADER_BYTES - LMDB_PAGE_HEADER_BYTES;
    madvise((void *)page, d->format.slab_bytes + LMDB_PAGE_HEADER_BYTES, MADV_WILLNEED);
}

/* Hand out its held-out rows, once. */
static int harvest(struct draw *d, struct drawn_slab *slab)
{
    const char *raw;
    if (slab->harvested) return ERR_OK;
    int result = draw_lookup(d, slab, &raw);
    if (result == ERR_OK && slab->live < slab->rows) result = draw_check(d, slab, raw);
    if (result != ERR_OK) return result;
    for (uint32_t i = 0, left = slab->rows - slab->live; left > 0; i++) {
        if (!draw_held_out(d, raw, i)) continue;
        left--;
        struct row_id id = rows_id(raw, i);
        d->row_captured_ns = slab->captured_ns;
        rows_values((uint8_t)d->format.dtype, slab->rows, d->format.width, raw, i, d->row);
        result = d->options.held_out ? d->options.held_out(d->options.arg, &id, d->row) : ERR_OK;
        if (result != ERR_OK) return result;
        d->table.rows_held_out++;
    }
    slab_table_harvested(&d->table, slab);
    return ERR_OK;
}

static int take_in_all(struct draw *d)
{
    MDB_cursor *cursor;
    uint64_t id = d->last_id + 1;
    MDB_val key = {sizeof id, &id}, value;
    int rc = mdb_cursor_open(d->txn, d->e.slabs, &cursor), result = ERR_OK;
    if (rc != 0) return environment_error(rc, "cannot read", d->dir);
    d->arrived.count = 0;
    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE); rc == 0 && result == ERR_OK;
         rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        struct slab_header h;
        memcpy(&id, key.mv_data, sizeof id);
        result = environment_slab_check(&d->format, id, &value, d->dir);
        if (result != ERR_OK) break;
        memcpy(&h, value.mv_data, sizeof h);
        result = take_in(d, &h, (const char *)value.mv_data + STORE_SLAB_HEADER_BYTES);
        d->last_id = id;
    }
    mdb_cursor_close(cursor);
    if (result == ERR_OK && rc != MDB_NOTFOUND) result = environment_error(rc, "read", d->dir);
    if (result != ERR_OK) return result;
    if (d->arrived.count > 1)
        qsort_r(d->arrived.at, d->arrived.count, sizeof *d->arrived.at, before, d);
    for (size_t i = 0; result == ERR_OK && i < d->arrived.count; i++) {
        struct drawn_slab *slab = &d->table.slab[d->arrived.at[i]];
        result = slab_table_admit(&d->table, slab);
        if (result == ERR_OK) result = harvest(d, slab);
        if (d->first_look && slab->place == SLAB_ACTIVE) ask_for_pages(d, slab);
    }
    d->first_look = 0;
    return result;
}

static int find_oldest(struct draw *d, uint64_t *oldest)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    *oldest = UINT64_MAX;
    int rc = mdb_cursor_open(d->txn, d->e.slabs, &cursor);
    if (rc == 0) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (rc == 0) memcpy(oldest, key.mv_data, sizeof *oldest);
        mdb_cursor_close(cursor);
    }
    return rc == 0 || rc == MDB_NOTFOUND ? ERR_OK : environment_error(rc, "cannot read", d->dir);
}

/* Under shed the oldest slabs go, drawn or not: what is older than the oldest stored is gone. By age
 * they go in any order. */
static int is_gone(struct draw *d, const struct drawn_slab *slab, uint64_t oldest)
{
    MDB_val key = {sizeof slab->id, (void *)&slab->id}, value;
    if (slab->id < oldest) return 1;
    return d->options.expires && mdb_get(d->txn, d->e.slabs, &key, &value) == MDB_NOTFOUND;
}

static int notice_replaced(struct draw *d)
{
    uint64_t oldest;
    if (d->state.replaced_slabs == d->replaced_slabs) return ERR_OK;
    d->replaced_slabs = d->state.replaced_slabs;
    d->look_for_missing = 1;
    int result = find_oldest(d, &oldest);
    if (result != ERR_OK) return result;
    for (size_t i = 0; i < d->table.used; i++) {
        struct drawn_slab *slab = &d->table.slab[i];
        if (slab->number && slab->id && !slab->finished && is_gone(d, slab, oldest))
            slab_table_gone(&d->table, slab, 1);
    }
    slab_table_fill(&d->table);
    return ERR_OK;
}

static int count_missing(struct draw *d, uint32_t producer, uint64_t next_number)
{
    struct slab_table *t = &d->table;
    for (uint64_t n = t->producer[producer].lowest; n < next_number; n++) {
        /* Passing one over forgets finished ones that lie behind it. */
        if (n < t->producer[producer].lowest) continue;
        const struct drawn_slab *slab = slab_table_find(t, producer, n);
        if (slab && (slab->finished || slab->id)) continue;
        if (!d->options.shed) {
            d->missing++;
            continue;
        }
        /* Replaced before it was ever seen, or while this consumer was away. How many rows it had
         * can't be told any more: a full slab's are counted, until settle_skipped(). */
        int result = slab_table_pass_over(t, producer, n, d->state.rows_per_slab);
        if (result != ERR_OK) return result;
    }
    return ERR_OK;
}

/* Slabs that nobody saw were passed over as if they had been full; a live one may be shorter. All
 * rows of the stream (`stream_rows`) are held out, drawn, left or skipped, so it follows how many
 * draws those had together: where that is not what full ones have at the most, the buffer was lost
 * since, and what the producers' records tell is not of all time. */
static void settle_skipped(struct draw *d, uint64_t stream_rows, uint64_t skipped_before)
{
    struct slab_table *t = &d->table;
    uint64_t known = t->rows_drawn + t->draws_left + skipped_before;
    uint64_t all = (stream_rows - t->rows_held_out) * t->reuse;
    if (stream_rows < t->rows_held_out || all < known) return;
    if (skipped_before + (all - known) < t->rows_skipped)
        t->rows_skipped = skipped_before + (all - known);
}

int draw_arrivals(struct draw *d)
{
    slab_table_producers(&d->table, d->state.producers);
    int result = take_in_all(d);
    if (result == ERR_OK) result = notice_replaced(d);
    uint64_t skipped_before = d->table.rows_skipped, stream_rows = 0;
    int is_end = d->state.ended && d->table.draws_left == 0;
    int look = d->look_for_missing || d->missing > 0 || is_end;
    d->look_for_missing = 0;
    if (look) d->missing = 0;
    for (uint32_t p = 0; result == ERR_OK && p < d->table.producers; p++) {
        struct store_producer record = {.next_number = 1};
        char key[16];
        environment_producer_key(p, key);
        result = environment_get(&d->e, d->txn, key, &record, sizeof record, d->dir);
        if (result == ERR_NOTFOUND) result = ERR_OK;
        struct consumer_producer *mine = &d->table.producer[p];
        if (mine->epoch < record.epoch) mine->epoch = record.epoch;
        if (result == ERR_OK && look) result = count_missing(d, p, record.next_number);
        slab_table_settle(&d->table, p, record.next_number, &record.cursor);
        stream_rows += record.rows;
    }
    if (result == ERR_OK && d->table.rows_skipped > skipped_before)
        settle_skipped(d, stream_rows, skipped_before);
    return result;
}
