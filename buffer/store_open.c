/*
 * A store's way from a folder to memory and back: what is there is looked at before it is trusted,
 * must be what was asked for, or is made; then the index and the records are read from it. Also the
 * way out: closing cleanly.
 */
#include "buffer/store_parts.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "buffer/damage.h"
#include "buffer/verify.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(struct slab_header) == STORE_SLAB_HEADER_BYTES, "part of the format");

static int load_slabs(struct store *s, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    struct state_record *state = &s->committed.state;
    slab_index_clear(&s->index);
    state->state.slabs = state->state.rows = 0;
    int result = ERR_OK, rc = mdb_cursor_open(txn, s->e.slabs, &cursor);
    if (rc != 0) return environment_error(rc, "cannot read", s->dir);
    while (result == ERR_OK && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        struct slab_header h;
        memcpy(&h, value.mv_data, sizeof h);
        struct slab_ref ref = {.id = h.id,
                               .number = h.number,
                               .identities_hash = h.identities_hash,
                               .captured_ns = h.captured_ns,
                               .producer = h.producer,
                               .rows = h.rows};
        result = slab_index_add(&s->index, &ref);
        if (result == ERR_EXISTS) result = ERR_CORRUPT;
        state->state.slabs++;
        state->state.rows += h.rows;
        if (state->next_id <= h.id) state->next_id = h.id + 1;
    }
    mdb_cursor_close(cursor);
    slab_index_commit(&s->index);
    if (result == ERR_OK && rc != MDB_NOTFOUND) result = environment_error(rc, "read", s->dir);
    return result;
}

static int load_records(struct store *s, MDB_txn *txn)
{
    struct records *r = &s->committed;
    memset(r->known, 0, sizeof r->known);
    for (uint32_t p = 0; p < STORE_MAX_PRODUCERS; p++) {
        char key[16];
        environment_producer_key(p, key);
        int result =
            environment_get(&s->e, txn, key, &r->producer[p], sizeof r->producer[p], s->dir);
        if (result != ERR_OK && result != ERR_NOTFOUND) return result;
        r->known[p] = result == ERR_OK;
    }
    return environment_get(&s->e, txn, "state", &r->state, sizeof r->state, s->dir);
}

/* Read into memory what the file holds. */
static int load(struct store *s)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->e.env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) return environment_error(rc, "cannot read", s->dir);
    int result = load_records(s, txn);
    if (result == ERR_OK) result = load_slabs(s, txn);
    mdb_txn_abort(txn);
    return result;
}

int store_reopen(struct store *s)
{
    environment_close(&s->e);
    int result = environment_in_place(s->dir, &s->files);
    if (result == ERR_OK)
        result = environment_open_writing(s->dir, s->format.size_bytes, s->durability, &s->e);
    if (result == ERR_OK) result = load(s);
    if (result != ERR_OK) environment_close(&s->e);
    return result;
}

/* Readers may still be counted in a lock table whose data is gone: no other buffer shares it. */
static int is_half_gone(const char *dir)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/lock.mdb", dir);
    return !damage_inode(dir) && lstat(path, &st) == 0;
}

/* Of a buffer that could not be made: by itself it would look like one whose data is gone. */
static void remove_lone_lock(const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/lock.mdb", dir);
    if (!damage_inode(dir)) unlink(path);
}

/* The format of the buffer that is there, ERR_NOTFOUND if none is. */
static int read_format(const char *dir, struct format_record *format)
{
    uint64_t slabs, bad;
    struct environment e;
    MDB_txn *txn;
    int result = is_half_gone(dir) ? err_set(ERR_CORRUPT, "the data file in %s was removed", dir)
                                   : environment_boot_check(dir);
    if (result == ERR_OK) result = verify_in_child(dir, 0, &slabs, &bad);
    if (result == ERR_OK) result = environment_open_reading(dir, &e);
    if (result != ERR_OK) return result;
    int rc = mdb_txn_begin(e.env, NULL, MDB_RDONLY, &txn);
    result = rc == 0 ? environment_format(&e, txn, format, dir)
                     : environment_error(rc, "cannot read", dir);
    if (rc == 0) mdb_txn_abort(txn);
    environment_close(&e);
    return result == ERR_OK ? damage_check(dir, format->run) : result;
}

static int same(const char *dir, const char *what, uint64_t old, uint64_t new)
{
    if (old == new) return ERR_OK;
    return err_set(ERR_MISMATCH,
                   "the buffer in %s was made with %s %llu, now it is %llu; HINT: set it back, or "
                   "start over with --fresh",
                   dir, what, (unsigned long long)old, (unsigned long long)new);
}

static int check_format(const struct format_record *f, const struct store_options *o)
{
    if (strcmp(f->stream, o->stream) != 0)
        return err_set(ERR_MISMATCH,
                       "the buffer in %s belongs to the stream '%s', this one is '%s'; HINT: give "
                       "each stream a run_dir of its own",
                       o->dir, f->stream, o->stream);
    int result = same(o->dir, "a row width of", f->width, o->width);
    if (result == ERR_OK) result = same(o->dir, "dtype", f->dtype, o->dtype);
    if (result == ERR_OK) result = same(o->dir, "sink.size", f->size_bytes, o->size_bytes);
    if (result == ERR_OK && o->slab_bytes)
        result = same(o->dir, "sink.slab", f->slab_bytes, o->slab_bytes);
    return result;
}

static int random_word(uint64_t *word)
{
    if (getrandom(word, sizeof *word, 0) == (ssize_t)sizeof *word) return ERR_OK;
    return err_set(ERR_IO, "no random bytes: %s", strerror(errno));
}

/* A buffer of an older version, whose records have no checksums: written again, with them. */
static int renew_records(struct store *s)
{
    char *text = NULL;
    size_t bytes;
    int result = store_descriptor_get(s, &text, &bytes);
    int has_text = result == ERR_OK;
    if (result == ERR_OK || result == ERR_NOTFOUND) result = store_begin(s);
    if (result != ERR_OK) {
        free(text);
        return result;
    }
    s->format.version = FORMAT_VERSION;
    result = store_record_put(s, "format", &s->format, sizeof s->format);
    if (result == ERR_OK && has_text) result = store_record_put(s, "descriptor", text, bytes);
    for (uint32_t p = 0; p < STORE_MAX_PRODUCERS && result == ERR_OK; p++)
        if (s->committed.known[p]) result = store_producer_put(s, p, &s->committed.producer[p]);
    s->state_changed = 1;
    free(text);
    if (result == ERR_OK) return store_commit(s);
    store_abort(s);
    return result;
}

/* Write what a new buffer begins with. */
static int create(struct store *s)
{
    struct state_record state = {
        .state = {.run = s->format.run,
                  .slab_capacity = store_slab_capacity(s->format.size_bytes, s->format.slab_bytes,
                                                       s->format.width),
                  .rows_per_slab = store_rows_per_slab(s->format.slab_bytes, s->format.width,
                                                       (uint8_t)s->format.dtype)},
        .next_id = 1,
    };
    int rc = mdb_txn_begin(s->e.env, NULL, 0, &s->txn);
    if (rc != 0) return environment_error(rc, "cannot begin writing", s->dir);
    int result = store_record_put(s, "format", &s->format, sizeof s->format);
    if (result == ERR_OK) result = store_record_put(s, "state", &state, sizeof state);
    if (result == ERR_OK) {
        rc = mdb_txn_commit(s->txn);
        if (rc != 0) result = environment_error(rc, "cannot create", s->dir);
    } else {
        mdb_txn_abort(s->txn);
    }
    s->txn = NULL;
    return result;
}

/* What was freed before is not known, nor by whom. */
static int open_scrub(struct store *s, uint64_t slab_pages)
{
    MDB_envinfo info;
    /* LMDB makes pages of its trees out of the memory of single pages that it wrote: rows of such
     * would be in them. */
    if (slab_pages < 2)
        return err_set(
            ERR_USAGE,
            "the slabs of the buffer in %s are of one page, whose rows cannot be made to "
            "go; HINT: with sink.retention, raise sink.size or sink.slab",
            s->dir);
    int result = scrub_open(s->dir, s->format.size_bytes, &s->scrub);
    int rc = mdb_env_info(s->e.env, &info);
    if (result == ERR_OK) scrub_owe(s->scrub, rc == 0 ? (uint64_t)info.me_last_txnid : 0);
    return result;
}

static int open_files(struct store *s, const struct store_options *options)
{
    uint32_t slab_bytes = 0;
    uint64_t run = 0;
    int result = read_format(options->dir, &s->format);
    int fresh = result == ERR_NOTFOUND;
    if (fresh) {
        result = store_slab_choose(options, &slab_bytes);
        if (result == ERR_OK) result = random_word(&run);
        if (result == ERR_OK) s->format = environment_new_format(options, slab_bytes, run);
    } else if (result == ERR_OK) {
        result = check_format(&s->format, options);
    }
    int without_syncs = s->durability == DURABILITY_PROCESS;
    if (fresh) damage_forget(options->dir);           /* it was of another */
    if (result == ERR_OK && (without_syncs || fresh)) /* no data without it: that is damage */
        result = environment_boot_write(s->dir, without_syncs);
    if (result != ERR_OK) return result;
    const struct format_record *f = &s->format;
    result = environment_open_writing(s->dir, f->size_bytes, s->durability, &s->e);
    if (result != ERR_OK) {
        if (fresh) remove_lone_lock(s->dir);
        return result;
    }
    int dead;
    mdb_reader_check(s->e.env, &dead);
    if (s->durability == DURABILITY_POWER) {
        /* An earlier life of it may have written without syncs. */
        int rc = mdb_env_sync(s->e.env, 1);
        if (rc != 0) return environment_error(rc, "cannot sync", s->dir);
        result = environment_boot_write(s->dir, 0);
    }
    if (result == ERR_OK) result = environment_know(s->dir, &s->files);
    if (result == ERR_OK && fresh) result = create(s);
    uint64_t capacity = store_slab_capacity(f->size_bytes, f->slab_bytes, f->width);
    if (result == ERR_OK) result = slab_index_init(&s->index, capacity);
    uint64_t slab_pages = (f->slab_bytes + LMDB_PAGE_HEADER_BYTES) / BUFFER_PAGE_BYTES;
    uint64_t slack = f->size_bytes / BUFFER_PAGE_BYTES / 20 / slab_pages;
    if (slack < STORE_SLACK_SLABS) slack = STORE_SLACK_SLABS;
    s->fit = capacity + slack / 2; /* the other half is for small records and broken runs */
    if (result == ERR_OK) result = load(s);
    if (result == ERR_OK && f->version < FORMAT_VERSION) result = renew_records(s);
    return result == ERR_OK && options->scrubs ? open_scrub(s, slab_pages) : result;
}

int store_open(const struct store_options *options, struct store **store)
{
    char path[PATH_MAX];
    if (strlen(options->stream) >= sizeof((struct format_record *)0)->stream)
        return err_set(ERR_USAGE, "the stream's name '%s' is too long", options->stream);
    if (snprintf(path, sizeof path, "%s/writer.lock", options->dir) >= (int)sizeof path)
        return err_set(ERR_IO, "path too long: %s", options->dir);
    struct store *s = calloc(1, sizeof *s);
    if (!s || !(s->dir = strdup(options->dir))) {
        free(s);
        return err_set(ERR_NOMEM, "no memory to open the buffer in %s", options->dir);
    }
    s->lock = -1;
    s->durability = options->durability;
    int result = own_make(options->dir, 1);
    if (result == ERR_OK) result = file_lock(path, &s->lock);
    if (result == ERR_OK) result = open_files(s, options);
    if (result != ERR_OK) {
        char text[1024];
        snprintf(text, sizeof text, "%s", err_text());
        store_close(s);
        return err_set(result, "%s", text);
    }
    *store = s;
    return ERR_OK;
}

void store_close(struct store *s)
{
    if (!s) return;
    store_abort(s);
    if (s->e.env && mdb_env_sync(s->e.env, 1) == 0) environment_boot_write(s->dir, 0);
    environment_close(&s->e);
    scrub_close(s->scrub);
    slab_index_fini(&s->index);
    if (s->lock >= 0) close(s->lock);
    free(s->dir);
    free(s);
}
