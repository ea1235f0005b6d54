/* The rows of one batch: which, and their values. */
#include "base/clock.h"
#include "buffer/draw_parts.h"

#include "base/err.h"
#include "proto/rows.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum {
    AHEAD_ROWS = 8, /* asked for before they are converted */
    CACHE_LINE = 64,
    IDEAL_EVERY = 8, /* batches between two measurements of the ideal */
};

/* Each time, however often it was checked: LMDB's pages, which lead to it, have no checksum. */
static int is_slab(const struct draw *d, const struct drawn_slab *slab, const MDB_val *value)
{
    struct slab_header h;
    if (value->mv_size != d->format.slab_bytes) return 0;
    memcpy(&h, value->mv_data, offsetof(struct slab_header, begin));
    return h.magic_version == SLAB_MAGIC_VERSION && h.id == slab->id && h.number == slab->number &&
           h.producer == slab->producer && h.rows == slab->rows;
}

int draw_lookup(struct draw *d, const struct drawn_slab *slab, const char **raw)
{
    MDB_val key = {sizeof slab->id, (void *)&slab->id}, value;
    int rc = slab->id ? mdb_get(d->txn, d->e.slabs, &key, &value) : MDB_NOTFOUND;
    if (rc == MDB_NOTFOUND) return ERR_NOTFOUND;
    if (rc != 0) return environment_error(rc, "cannot read a slab of", d->dir);
    if (!is_slab(d, slab, &value))
        return err_set(ERR_CORRUPT, "slab %llu of producer %u in %s is not where its key leads",
                       (unsigned long long)slab->number, slab->producer, d->dir);
    *raw = (const char *)value.mv_data + STORE_SLAB_HEADER_BYTES;
    return ERR_OK;
}

int draw_check(struct draw *d, struct drawn_slab *slab, const char *raw)
{
    struct slab_header h;
    if (slab->checked) return ERR_OK;
    memcpy(&h, raw - STORE_SLAB_HEADER_BYTES, sizeof h);
    if (XXH3_64bits(raw, h.raw_bytes) != h.raw_hash)
        return err_set(ERR_CORRUPT,
                       "slab %llu of producer %u in %s is damaged: its checksum does not match",
                       (unsigned long long)slab->number, slab->producer, d->dir);
    slab->checked = 1;
    return ERR_OK;
}

int draw_held_out(const struct draw *d, const char *raw, uint32_t row)
{
    return rows_held_out(rows_id(raw, row).sequence, d->options.held_out_one_in);
}

uint32_t draw_row_at(const struct draw *d, const struct drawn_slab *slab, uint32_t i)
{
    if (!d->options.shuffle) return i;
    if (slab->rows == d->full.n) return permutation_at(&d->full, slab->key, i);
    struct permutation p = permutation_of(slab->rows);
    return permutation_at(&p, slab->key, i);
}

/* One slab was freed between the batches: under shed for good, else it has to come again. */
static void lost(struct draw *d, struct drawn_slab *slab)
{
    slab_table_gone(&d->table, slab, d->options.shed);
    slab_table_fill(&d->table);
    if (!d->options.shed) d->look_for_missing = 1;
}

/* It will come again, in another buffer. Nothing was drawn of it in this one: what was planned of
 * others is as good as it was, and goes out. */
static void damaged(struct draw *d, struct drawn_slab *slab)
{
    if (!d->damage[0]) snprintf(d->damage, sizeof d->damage, "%s", err_text());
    slab_table_gone(&d->table, slab, 0);
    slab_table_fill(&d->table);
}

/* The next draw of a slab: the next place in its order whose row is not held out. */
static uint32_t next_row(struct draw *d, struct drawn_slab *slab, const char *raw)
{
    uint32_t row = draw_row_at(d, slab, slab->position++);
    if (slab->live < slab->rows)
        while (draw_held_out(d, raw, row)) row = draw_row_at(d, slab, slab->position++);
    return row;
}

static int plan_rows(struct draw *d, size_t wanted, size_t *planned)
{
    struct slab_table *t = &d->table;
    size_t n = 0;
    while (n < wanted && t->active.count > 0) {
        uint64_t which = d->options.shuffle ? rng_below(&d->rng, t->active.count) : 0;
        uint32_t index = t->active.at[which];
        struct drawn_slab *slab = &t->slab[index];
        const char *raw;
        int result = draw_lookup(d, slab, &raw);
        if (result == ERR_NOTFOUND) {
            lost(d, slab);
            continue;
        }
        if (result == ERR_OK) result = draw_check(d, slab, raw);
        if (result == ERR_CORRUPT && draw_has_sink(d)) {
            damaged(d, slab);
            continue;
        }
        if (result != ERR_OK) return result;
        uint32_t row = next_row(d, slab, raw);
        __builtin_prefetch(raw + row * sizeof(struct row_id));
        d->plan[n++] = (struct planned_row){.raw = raw, .slab = index, .row = row};
        slab_table_drew(t, slab);
    }
    *planned = n;
    return ERR_OK;
}

static void ask_for(const struct draw *d, const struct planned_row *p, uint32_t rows)
{
    uint32_t value_bytes = d->format.dtype == DTYPE_F32 ? 4 : d->format.dtype == DTYPE_BF16 ? 2 : 1;
    size_t row_bytes = (size_t)d->format.width * value_bytes;
    const char *at = p->raw + frame_raw_bytes(rows, d->format.width, (uint8_t)d->format.dtype) -
                     (rows - p->row) * row_bytes;
    for (size_t i = 0; i < row_bytes; i += CACHE_LINE) __builtin_prefetch(at + i);
}

static void copy_rows(struct draw *d, struct draw_batch *batch, size_t n)
{
    const struct slab_table *t = &d->table;
    uint32_t width = d->format.width;
    double now_seconds = clock_seconds(CLOCK_REALTIME), captured = 0;
    quality_empty(&d->sequences);
    for (size_t i = 0; i < n; i++) {
        if (i == 0)
            for (size_t j = 0; j < n && j < AHEAD_ROWS; j++)
                ask_for(d, &d->plan[j], t->slab[d->plan[j].slab].rows);
        if (i + AHEAD_ROWS < n) {
            const struct planned_row *ahead = &d->plan[i + AHEAD_ROWS];
            ask_for(d, ahead, t->slab[ahead->slab].rows);
        }
        const struct planned_row *p = &d->plan[i];
        const struct drawn_slab *slab = &t->slab[p->slab];
        batch->ids[i] = rows_id(p->raw, p->row);
        rows_values((uint8_t)d->format.dtype, slab->rows, width, p->raw, p->row,
                    batch->values + i * width);
        quality_add(&d->sequences, batch->ids[i].sequence);
        captured += 1e-9 * (double)slab->captured_ns;
    }
    quality_of(&d->sequences, n, &batch->same_sequence_pairs, &batch->entropy);
    batch->age_seconds = now_seconds - captured / (double)n;
}

/* A row drawn uniformly from all rows with a draw left: a slab by its places that are left, a place
 * among them, again if its row is held out. 0: again. */
static int ideal_row(struct draw *d, uint32_t *index, uint32_t *row, uint64_t *sequence)
{
    struct slab_table *t = &d->table;
    uint64_t which = rng_below(&d->reference, t->active.count + t->waiting.count);
    *index = which < t->active.count ? t->active.at[which] : t->waiting.at[which - t->active.count];
    const struct drawn_slab *slab = &t->slab[*index];
    const char *raw;
    uint32_t place = (uint32_t)rng_below(&d->reference, d->full.n);
    int last_pass = slab->drawn / slab->live + 1 >= t->reuse;
    if (place >= slab->rows || (last_pass && place < slab->position)) return 0;
    if (draw_lookup(d, slab, &raw) != ERR_OK) return 0;
    *row = draw_row_at(d, slab, place);
    *sequence = rows_id(raw, *row).sequence;
    return slab->live == slab->rows || !draw_held_out(d, raw, *row);
}

/* What a uniform draw from the present state, without replacement, would give. */
static void measure_ideal(struct draw *d, size_t wanted)
{
    struct slab_table *t = &d->table;
    if (d->ideal_rows == wanted && d->batches % IDEAL_EVERY != 0) return;
    if (t->rows_left < 2 * wanted) return;
    quality_empty(&d->sequences);
    quality_empty(&d->places);
    size_t n = 0;
    for (size_t tries = 0; n < wanted && tries < 64 * wanted; tries++) {
        uint32_t index, row;
        uint64_t sequence;
        if (!ideal_row(d, &index, &row, &sequence)) continue;
        uint64_t place = (uint64_t)index << 32 | row;
        if (quality_add(&d->places, place) > 1) continue;
        quality_add(&d->sequences, sequence);
        n++;
    }
    if (n < wanted) return; /* a few rows scattered over many slabs: not worth the search */
    quality_of(&d->sequences, n, &d->ideal_pairs, &d->ideal_entropy);
    d->ideal_rows = wanted;
}

int draw_rows(struct draw *d, struct draw_batch *batch, size_t wanted)
{
    size_t n = 0;
    measure_ideal(d, wanted);
    int result = plan_rows(d, wanted, &n);
    if (result != ERR_OK) return result;
    if (n == 0 && d->damage[0]) return err_set(ERR_CORRUPT, "%s", d->damage);
    if (n == 0) return err_set(ERR_AGAIN, "the slabs of this batch are gone");
    copy_rows(d, batch, n);
    batch->rows = n;
    batch->ideal_same_sequence_pairs = d->ideal_pairs;
    batch->ideal_entropy = d->ideal_entropy;
    d->batches++;
    return ERR_OK;
}
