/* The draw's life, and whether to draw now. */
#include "buffer/draw.h"

#include "base/clock.h"
#include "base/err.h"
#include "buffer/damage.h"
#include "buffer/draw_parts.h"
#include "buffer/verify.h"
#include "proto/message.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the buffer that is attached ---- */

void draw_detach(struct draw *d)
{
    if (d->txn) mdb_txn_abort(d->txn);
    d->txn = NULL;
    environment_close(&d->e);
    slab_table_detach(&d->table);
    d->last_id = 0;
    d->first_look = d->look_for_missing = 1;
}

static uint64_t lock_file(const struct draw *d)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/lock.mdb", d->dir);
    return lstat(path, &st) == 0 ? st.st_ino : 0;
}

static int data_file(const struct draw *d, struct stat *st)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/data.mdb", d->dir);
    return lstat(path, st) == 0 && st->st_size > 0;
}

/* Another has taken its place. */
static void leave(struct draw *d)
{
    draw_detach(d);
    d->damage[0] = '\0';
}

/* Whether the folder still holds the files that are attached: a sink may have set them aside. By
 * another table of readers a sink that is started now would not see us. */
static int still_there(struct draw *d)
{
    struct stat st;
    if (!data_file(d, &st) || st.st_dev != d->device || st.st_ino != d->inode) return 0;
    if (draw_has_sink(d) && lock_file(d) != d->lock_inode) return 0;
    if ((uint64_t)st.st_size < d->file_bytes && !d->damage[0] && draw_has_sink(d))
        snprintf(d->damage, sizeof d->damage, "the data file in %s was cut short", d->dir);
    d->file_bytes = (uint64_t)st.st_size;
    return 1;
}

static int read_fixed_records(struct draw *d)
{
    MDB_val text;
    struct state_record record;
    int result = environment_format(&d->e, d->txn, &d->format, d->dir);
    if (result == ERR_OK)
        result = environment_get(&d->e, d->txn, "state", &record, sizeof record, d->dir);
    if (result == ERR_OK) result = environment_descriptor(&d->e, d->txn, &d->format, &text, d->dir);
    if (result == ERR_OK && draw_has_sink(d)) result = damage_check(d->dir, d->format.run);
    if (result != ERR_OK) return result;
    if (strcmp(d->format.stream, d->stream) != 0)
        return err_set(ERR_MISMATCH, "the buffer in %s belongs to the stream '%s', not to '%s'",
                       d->dir, d->format.stream, d->stream);
    d->state = record.state;
    if (d->descriptor) return ERR_OK;
    d->descriptor = malloc(text.mv_size + 1);
    if (!d->descriptor) return err_set(ERR_NOMEM, "no memory for the descriptor");
    memcpy(d->descriptor, text.mv_data, text.mv_size);
    d->descriptor[text.mv_size] = '\0';
    return ERR_OK;
}

static int attach(struct draw *d)
{
    uint64_t slabs, bad;
    struct stat st;
    struct format_record before = d->format;
    int dead;
    if (!data_file(d, &st)) return err_set(ERR_NOTFOUND, "there is no buffer in %s", d->dir);
    int result = environment_boot_check(d->dir);
    if (result == ERR_OK) result = verify_in_child(d->dir, 0, &slabs, &bad);
    if (result == ERR_OK) result = environment_open_reading(d->dir, &d->e);
    if (result != ERR_OK) return result;
    mdb_reader_check(d->e.env, &dead);
    int rc = mdb_txn_begin(d->e.env, NULL, MDB_RDONLY, &d->txn);
    result = rc == 0 ? read_fixed_records(d) : environment_error(rc, "cannot read", d->dir);
    if (result == ERR_OK && before.width &&
        (before.width != d->format.width || before.dtype != d->format.dtype))
        result = err_set(ERR_MISMATCH, "the buffer in %s was replaced by one of another row width",
                         d->dir);
    if (result != ERR_OK) {
        if (rc == 0) mdb_txn_abort(d->txn);
        d->txn = NULL;
        environment_close(&d->e);
        d->format = before;
        return result;
    }
    mdb_txn_reset(d->txn);
    d->device = st.st_dev;
    d->inode = st.st_ino;
    d->lock_inode = lock_file(d);
    d->file_bytes = (uint64_t)st.st_size;
    d->full = permutation_of(d->state.rows_per_slab);
    return ERR_OK;
}

/* ---- open and close ---- */

static uint64_t most_active(const struct draw *d)
{
    uint64_t bytes = d->options.active_bytes;
    if (!bytes && d->options.replay) return UINT64_MAX;
    if (!bytes) bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 2;
    uint64_t slabs = bytes / d->format.slab_bytes;
    return slabs > 0 ? slabs : 1;
}

static int check_options(struct draw *d)
{
    struct draw_options *o = &d->options;
    uint64_t capacity_rows = d->state.slab_capacity * d->state.rows_per_slab;
    if (o->reuse == 0) return err_set(ERR_USAGE, "reuse 0 draws nothing; HINT: trainer.reuse: 1");
    if (o->batch_rows == 0) o->batch_rows = (uint32_t)(capacity_rows / 4);
    if (o->batch_rows > capacity_rows / 4)
        return err_set(ERR_USAGE,
                       "a batch of %u rows is more than a quarter of the %llu rows that the buffer "
                       "holds; HINT: raise sink.size or lower trainer.batch_rows",
                       o->batch_rows, (unsigned long long)capacity_rows);
    if (o->min_rows > capacity_rows)
        return err_set(
            ERR_USAGE,
            "min_rows %llu is more than the %llu rows that the buffer holds; HINT: raise "
            "sink.size or leave trainer.min_rows at 0",
            (unsigned long long)o->min_rows, (unsigned long long)capacity_rows);
    if (o->min_rows == 0) o->min_rows = capacity_rows / 2;
    if (o->replay && !o->look && !d->state.ended)
        return err_set(ERR_STATE, "the stream '%s' has not ended: it cannot be replayed yet",
                       d->stream);
    return ERR_OK;
}

static int allocate(struct draw *d)
{
    uint32_t rows = d->options.batch_rows;
    d->plan = calloc(rows, sizeof *d->plan);
    d->row = calloc(d->format.width, sizeof *d->row);
    if (!d->plan || !d->row) return err_set(ERR_NOMEM, "no memory for batches of %u rows", rows);
    int result = quality_init(&d->sequences, rows);
    if (result == ERR_OK) result = quality_init(&d->places, rows);
    if (result == ERR_OK)
        result = slab_table_init(&d->table, d->state.slab_capacity, most_active(d),
                                 d->options.reuse, d->options.seed);
    d->table.in_order = !d->options.shuffle;
    return result;
}

/* A buffer that is damaged is left before it was begun. */
static int first_attach(struct draw *d)
{
    uint64_t inode = damage_inode(d->dir);
    int result = attach(d);
    if (result != ERR_CORRUPT) return result;
    if (!draw_has_sink(d))
        return err_set(ERR_CORRUPT,
                       "%s; HINT: a replay needs all of it: give it a sound copy, or run the "
                       "stream again",
                       err_text());
    draw_distrust(d, inode, 0);
    if (!d->distrusted) return err_set(ERR_NOTFOUND, "the buffer in %s is being made anew", d->dir);
    return err_set(ERR_CORRUPT,
                   "%s; HINT: the sink sets such a buffer aside and what is still needed is made "
                   "again; where no sink runs, `sluice up` starts one",
                   d->damage);
}

static int open_draw(struct draw *d)
{
    int result = first_attach(d);
    if (result == ERR_OK) result = check_options(d);
    if (result == ERR_OK) result = allocate(d);
    if (result == ERR_OK && !d->options.replay)
        result = consumer_progress_open(d->dir, d->consumer, &d->progress);
    return result;
}

int draw_open(const struct draw_options *options, struct draw **draw)
{
    struct draw *d = calloc(1, sizeof *d);
    if (!d) return err_set(ERR_NOMEM, "no memory to open the buffer in %s", options->dir);
    d->options = *options;
    d->dir = strdup(options->dir);
    d->stream = strdup(options->stream);
    d->consumer = strdup(options->consumer);
    d->progress = -1;
    d->first_look = d->look_for_missing = 1;
    rng_seed(&d->rng, options->seed);
    rng_seed(&d->reference, ~options->seed);
    int result = ERR_OK;
    if (!d->dir || !d->stream || !d->consumer)
        result = err_set(ERR_NOMEM, "no memory to open the buffer in %s", options->dir);
    else if (strlen(options->consumer) >= sizeof d->saved.name)
        result = err_set(ERR_USAGE, "the consumer's name '%s' is too long", options->consumer);
    if (result == ERR_OK) result = open_draw(d);
    if (result != ERR_OK) {
        char text[1024];
        snprintf(text, sizeof text, "%s", err_text());
        draw_close(d);
        return err_set(result, "%s", text);
    }
    *draw = d;
    return ERR_OK;
}

void draw_close(struct draw *d)
{
    if (!d) return;
    if (d->txn) mdb_txn_abort(d->txn);
    environment_close(&d->e);
    if (d->progress >= 0) close(d->progress);
    slab_table_fini(&d->table);
    quality_fini(&d->sequences);
    quality_fini(&d->places);
    consumer_state_free(&d->saved);
    free(d->arrived.at);
    free(d->plan);
    free(d->row);
    free(d->descriptor);
    free(d->dir);
    free(d->stream);
    free(d->consumer);
    free(d);
}

uint64_t draw_held_out_captured_ns(const struct draw *d)
{
    return d->row_captured_ns;
}

const char *draw_descriptor(const struct draw *d)
{
    return d->descriptor;
}

uint32_t draw_width(const struct draw *d)
{
    return d->format.width;
}

/* ---- a batch ---- */

static int not_yet(const char *why)
{
    return err_set(ERR_AGAIN, "%s", why);
}

/* A buffer whose rows go by age may never be as full: what waits for that goes undrawn. */
static uint64_t least_rows(const struct draw *d)
{
    uint64_t half = d->state.rows / 2, min_rows = d->options.min_rows;
    int goes_by_age = d->options.expires && d->state.replaced_slabs > 0;
    return goes_by_age && half < min_rows ? half : min_rows;
}

/* In a transaction, with all arrivals taken in: is a batch of *rows to be drawn now, or a smaller
 * one, or none? */
static int decide(struct draw *d, size_t *rows)
{
    const struct slab_table *t = &d->table;
    const struct store_state *s = &d->state;
    uint64_t kept = (uint64_t)STORE_KEPT_SLABS * s->producers;
    int full = s->slabs + kept >= s->slab_capacity;
    if (d->options.replay && d->missing > 0)
        return err_set(ERR_STATE,
                       "%llu slabs of the stream were freed: it cannot be replayed; HINT: a stream "
                       "without consumers keeps all",
                       (unsigned long long)d->missing);
    if (t->draws_left == 0) {
        if (!s->ended || t->unfinished > 0 || d->missing > 0)
            return not_yet("nothing is there to draw");
        d->finished = 1;
        return err_set(ERR_NOTFOUND, "the stream has ended and every draw is made");
    }
    if (s->ended && d->missing == 0) {
        /* The last ones. */
    } else if (s->more_is_coming && t->rows_left < least_rows(d)) {
        return not_yet("too few rows to shuffle well");
    } else if (t->draws_left < *rows && (s->more_is_coming || !full)) {
        return not_yet("too few rows for a batch");
    }
    if (*rows > t->draws_left) *rows = t->draws_left;
    return ERR_OK;
}

static int is_sound(const struct draw *d, const struct store_state *s)
{
    return s->run == d->format.run && s->producers <= CONSUMER_MAX_PRODUCERS;
}

static int in_transaction(struct draw *d, struct draw_batch *batch)
{
    struct state_record record;
    size_t rows = batch->rows;
    int result = environment_get(&d->e, d->txn, "state", &record, sizeof record, d->dir);
    if (result == ERR_NOTFOUND || (result == ERR_OK && !is_sound(d, &record.state)))
        return err_set(ERR_CORRUPT, "the buffer in %s has a damaged state record", d->dir);
    if (result != ERR_OK) return result;
    d->state = record.state;
    batch->checkpoint_request = d->state.checkpoint_request;
    if (d->finished) return err_set(ERR_NOTFOUND, "this consumer is finished");
    result = draw_arrivals(d);
    if (rows == 0) return result; /* a look */
    if (result == ERR_OK) result = decide(d, &rows);
    return result == ERR_OK ? draw_rows(d, batch, rows) : result;
}

/* With the folder its file may be gone: nobody would read what is written to one without a name. */
static void keep_progress(struct draw *d)
{
    struct stat st;
    if (d->options.replay || (d->progress >= 0 && fstat(d->progress, &st) == 0 && st.st_nlink > 0))
        return;
    if (d->progress >= 0) close(d->progress);
    d->progress = -1;
    (void)consumer_progress_open(d->dir, d->consumer, &d->progress); /* a hint, tried again */
}

static void tell_progress(struct draw *d, int waiting)
{
    keep_progress(d);
    if (d->progress < 0) return;
    struct consumer_progress p = {
        .stream = stream_key(d->stream),
        .finished_slabs = d->table.finished_slabs,
        .rows_drawn = d->table.rows_drawn,
        .rows_left = d->table.rows_left,
        .checkpoint_request = d->state.checkpoint_request,
        .waiting = (uint64_t)waiting,
        .updated_ns = clock_ns(CLOCK_REALTIME),
    };
    consumer_progress_write(d->progress, &p); /* a hint only: its failure is nobody's loss */
}

/* When another environment of this process on the same buffer is closed, LMDB takes away the slots
 * of the whole process; then a new one is taken. */
static int begin_reading(struct draw *d)
{
    int rc = mdb_txn_renew(d->txn);
    if (rc != MDB_BAD_RSLOT) return rc;
    mdb_txn_abort(d->txn);
    d->txn = NULL;
    return mdb_txn_begin(d->e.env, NULL, MDB_RDONLY, &d->txn);
}

static int read_batch(struct draw *d, struct draw_batch *batch)
{
    int rc = begin_reading(d);
    if (rc != 0) return environment_error(rc, "cannot read", d->dir);
    int result = in_transaction(d, batch);
    mdb_txn_reset(d->txn);
    return draw_check_missing(d, result);
}

/* Damage ends nothing: what was planned before it was found is handed out, and then that buffer is
 * left. */
static int take_batch(struct draw *d, struct draw_batch *batch)
{
    if (draw_is_distrusted(d)) return ERR_AGAIN;
    if (d->damage[0]) return draw_distrust(d, d->inode, d->format.run);
    uint64_t inode = d->e.env ? d->inode : damage_inode(d->dir);
    int result = d->e.env ? ERR_OK : attach(d);
    if (result == ERR_NOTFOUND) return not_yet("the buffer is being made anew");
    uint64_t run = result == ERR_OK ? d->format.run : 0;
    if (result == ERR_OK) result = read_batch(d, batch);
    return result == ERR_CORRUPT && draw_has_sink(d) ? draw_distrust(d, inode, run) : result;
}

int draw_next(struct draw *d, struct draw_batch *batch)
{
    if (batch->rows == 0 || batch->rows > d->options.batch_rows)
        return err_set(ERR_LIMIT, "a batch of %zu rows from a draw opened for %u", batch->rows,
                       d->options.batch_rows);
    d->started = 1;
    batch->checkpoint_request = d->state.checkpoint_request;
    if (d->e.env && (!d->txn || !still_there(d))) leave(d);
    int result = take_batch(d, batch);
    tell_progress(d, result == ERR_AGAIN);
    return result;
}

void draw_hurry(struct draw *d)
{
    d->options.min_rows = 1;
}

int draw_look(struct draw *d)
{
    struct draw_batch none = {0};
    d->started = 1;
    if (d->e.env && (!d->txn || !still_there(d))) leave(d);
    return take_batch(d, &none);
}

/* ---- its state ---- */

const struct consumer_state *draw_state(struct draw *d)
{
    consumer_state_free(&d->saved);
    if (slab_table_save(&d->table, &d->saved) != ERR_OK) return NULL;
    snprintf(d->saved.name, sizeof d->saved.name, "%s", d->consumer);
    d->saved.stream = stream_key(d->stream);
    d->saved.checkpoint_request = d->state.checkpoint_request;
    d->saved.finished = (uint32_t)d->finished;
    memcpy(d->saved.rng, d->rng.s, sizeof d->saved.rng);
    return &d->saved;
}

int draw_resume(struct draw *d, const struct consumer_state *state)
{
    if (d->started)
        return err_set(ERR_STATE, "a draw takes up a state before its first batch only");
    if (state->stream != stream_key(d->stream))
        return err_set(ERR_MISMATCH, "the checkpoint of '%s' belongs to another stream than '%s'",
                       state->name, d->stream);
    if (strncmp(state->name, d->consumer, sizeof state->name) != 0)
        return err_set(ERR_MISMATCH, "the checkpoint belongs to the consumer '%.63s', not to '%s'",
                       state->name, d->consumer);
    int result = slab_table_restore(&d->table, state);
    if (result != ERR_OK) return result;
    memcpy(d->rng.s, state->rng, sizeof d->rng.s);
    d->state.checkpoint_request = state->checkpoint_request;
    d->finished = state->finished != 0;
    d->started = 1;
    return ERR_OK;
}

void draw_finish(struct draw *d)
{
    if (d->finished) return;
    d->table.rows_skipped += d->table.draws_left;
    d->finished = 1;
}

struct draw_gauges draw_gauges(const struct draw *d)
{
    return (struct draw_gauges){
        .slabs = d->options.look ? d->state.slabs : d->table.stored, /* a look reads no slab */
        .active_slabs = d->table.active.count,
        .missing_slabs = d->missing,
        .rows_left = d->table.rows_left,
        .draws_left = d->table.draws_left,
        .least_rows = least_rows(d),
        .checkpoint_request = d->state.checkpoint_request,
        .ended = d->state.ended && d->missing == 0,
        .rows_drawn = d->table.rows_drawn,
        .rows_held_out = d->table.rows_held_out,
        .rows_skipped = d->table.rows_skipped,
        .capacity_rows = d->state.slab_capacity * d->state.rows_per_slab,
    };
}
