/*
 * What must hold: the index and the records in memory are what the last commit made of them, plus,
 * while a transaction is open, that transaction's changes; when it fails they are read from the
 * file again.
 *
 * Room: LMDB gives out a page again only when it was freed at least two transactions ago and before
 * any transaction that a reader still has open. Slabs freed later than that are still in the map
 * but no room: `pinned` counts them, so that a put is refused here, where that harms nothing, and
 * not inside LMDB, where a full map spoils the whole transaction.
 */
#include "buffer/store.h"

#include "base/err.h"
#include "base/fileio.h"
#include "buffer/environment.h"
#include "buffer/slab_index.h"
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

enum { PINNED_ENTRIES = 64 };

struct pinned {
    uint64_t txn; /* that freed them */
    uint64_t slabs;
};

struct records {
    struct state_record state;
    struct store_producer producer[STORE_MAX_PRODUCERS];
    uint8_t known[STORE_MAX_PRODUCERS];
};

struct store {
    char *dir;
    enum durability durability;
    int lock;
    struct environment e; /* env NULL: a reopen failed, the next begin tries again */
    struct format_record format;
    MDB_txn *txn;
    int state_changed;
    int is_spoilt;  /* this transaction: LMDB has given it up */
    uint64_t freed; /* slabs, in this transaction */
    struct records committed, pending;
    struct slab_index index;
    struct pinned pinned[PINNED_ENTRIES];
    size_t pinned_entries;
    uint64_t fit; /* slabs that the map has pages for */
};

/* -- opening ----------------------------------------------------------------------------------- */

static int put_record(struct store *s, const char *key, const void *data, size_t bytes)
{
    MDB_val k = {strlen(key), (void *)key}, v = {bytes, (void *)data};
    int rc = mdb_put(s->txn, s->e.meta, &k, &v, 0);
    return rc == 0 ? ERR_OK : environment_error(rc, "cannot write a record of", s->dir);
}

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
        struct slab_ref ref = {h.id, h.number, h.identities_hash, h.producer, h.rows};
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

static int reopen(struct store *s)
{
    environment_close(&s->e);
    int result = environment_open_writing(s->dir, s->format.size_bytes, s->durability, &s->e);
    if (result == ERR_OK) result = load(s);
    if (result != ERR_OK) environment_close(&s->e);
    return result;
}

/* The format of the buffer that is there, ERR_NOTFOUND if none is. */
static int read_format(const char *dir, struct format_record *format)
{
    uint64_t slabs, bad;
    struct environment e;
    MDB_txn *txn;
    int result = environment_boot_check(dir);
    if (result == ERR_OK) result = verify_in_child(dir, 0, &slabs, &bad);
    if (result == ERR_OK) result = environment_open_reading(dir, &e);
    if (result != ERR_OK) return result;
    int rc = mdb_txn_begin(e.env, NULL, MDB_RDONLY, &txn);
    result = rc == 0 ? environment_format(&e, txn, format, dir)
                     : environment_error(rc, "cannot read", dir);
    if (rc == 0) mdb_txn_abort(txn);
    environment_close(&e);
    return result;
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

/* Write what a new buffer begins with. */
static int create(struct store *s)
{
    struct state_record state = {
        .state = {.run = s->format.run,
                  .slab_capacity = store_slab_capacity(s->format.size_bytes, s->format.slab_bytes,
                                                       s->format.width),
                  .rows_a_slab = store_rows_a_slab(s->format.slab_bytes, s->format.width,
                                                   (uint8_t)s->format.dtype)},
        .next_id = 1,
    };
    int rc = mdb_txn_begin(s->e.env, NULL, 0, &s->txn);
    if (rc != 0) return environment_error(rc, "cannot begin writing", s->dir);
    int result = put_record(s, "format", &s->format, sizeof s->format);
    if (result == ERR_OK) result = put_record(s, "state", &state, sizeof state);
    if (result == ERR_OK) {
        rc = mdb_txn_commit(s->txn);
        if (rc != 0) result = environment_error(rc, "cannot create", s->dir);
    } else {
        mdb_txn_abort(s->txn);
    }
    s->txn = NULL;
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
    if (result == ERR_OK && (without_syncs || fresh)) /* no data without it: that is damage */
        result = environment_boot_write(s->dir, without_syncs);
    if (result != ERR_OK) return result;
    const struct format_record *f = &s->format;
    result = environment_open_writing(s->dir, f->size_bytes, s->durability, &s->e);
    if (result != ERR_OK) return result;
    int dead;
    mdb_reader_check(s->e.env, &dead);
    if (s->durability == DURABILITY_POWER) {
        /* An earlier life of it may have written without syncs. */
        int rc = mdb_env_sync(s->e.env, 1);
        if (rc != 0) return environment_error(rc, "cannot sync", s->dir);
        result = environment_boot_write(s->dir, 0);
    }
    if (result == ERR_OK && fresh) result = create(s);
    uint64_t capacity = store_slab_capacity(f->size_bytes, f->slab_bytes, f->width);
    if (result == ERR_OK) result = slab_index_init(&s->index, capacity);
    uint64_t slab_pages = (f->slab_bytes + LMDB_PAGE_HEADER_BYTES) / BUFFER_PAGE_BYTES;
    uint64_t slack = f->size_bytes / BUFFER_PAGE_BYTES / 20 / slab_pages;
    if (slack < STORE_SLACK_SLABS) slack = STORE_SLACK_SLABS;
    s->fit = capacity + slack / 2; /* the other half is for small records and broken runs */
    return result == ERR_OK ? load(s) : result;
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
    int result = dir_make(options->dir, 0700);
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
    slab_index_fini(&s->index);
    if (s->lock >= 0) close(s->lock);
    free(s->dir);
    free(s);
}

int store_set_aside(const char *dir, char *out, size_t out_bytes)
{
    char path[PATH_MAX], from[PATH_MAX], to[PATH_MAX];
    int lock = -1, made = -1;
    snprintf(path, sizeof path, "%s/writer.lock", dir);
    int result = file_lock(path, &lock);
    if (result != ERR_OK) return result;
    for (int n = 1; n < 10000 && made != 0; n++) {
        snprintf(path, sizeof path, "%s.damaged-%d", dir, n);
        made = mkdir(path, 0700);
        if (made != 0 && errno != EEXIST) break;
    }
    if (made != 0) result = err_set(ERR_IO, "cannot create %s: %s", path, strerror(errno));
    /* The lock table first: a new environment must never share that of readers of the old one. */
    const char *names[] = {"lock.mdb", "data.mdb", "boot"};
    for (int i = 0; result == ERR_OK && i < 3; i++) {
        if (snprintf(from, sizeof from, "%s/%s", dir, names[i]) >= (int)sizeof from ||
            snprintf(to, sizeof to, "%s/%s", path, names[i]) >= (int)sizeof to)
            result = err_set(ERR_IO, "path too long: %s", dir);
        else if (rename(from, to) != 0 && errno != ENOENT)
            result = err_set(ERR_IO, "cannot move %s away: %s", from, strerror(errno));
    }
    close(lock);
    if (result == ERR_OK && snprintf(out, out_bytes, "%s", path) >= (int)out_bytes)
        result = err_set(ERR_LIMIT, "the path %s is too long for its place", path);
    return result;
}

/* -- transactions ------------------------------------------------------------------------------ */

int store_begin(struct store *s)
{
    if (s->txn) return err_set(ERR_STATE, "a transaction is open already");
    if (!s->e.env) {
        int result = reopen(s);
        if (result != ERR_OK) return result;
    }
    int rc = mdb_txn_begin(s->e.env, NULL, 0, &s->txn);
    if (rc != 0) {
        s->txn = NULL;
        int result = environment_error(rc, "cannot begin writing", s->dir);
        environment_close(&s->e);
        return result;
    }
    s->pending = s->committed;
    s->state_changed = 0;
    s->is_spoilt = 0;
    s->freed = 0;
    return ERR_OK;
}

static void note_freed(struct store *s, uint64_t txn)
{
    if (s->freed == 0) return;
    if (s->pinned_entries == PINNED_ENTRIES) { /* the two oldest, as if freed with the younger */
        s->pinned[1].slabs += s->pinned[0].slabs;
        memmove(&s->pinned[0], &s->pinned[1], (PINNED_ENTRIES - 1) * sizeof s->pinned[0]);
        s->pinned_entries--;
    }
    s->pinned[s->pinned_entries++] = (struct pinned){.txn = txn, .slabs = s->freed};
}

int store_commit(struct store *s)
{
    if (!s->txn) return err_set(ERR_STATE, "no transaction is open");
    int result = ERR_OK;
    if (s->state_changed)
        result = put_record(s, "state", &s->pending.state, sizeof s->pending.state);
    if (result != ERR_OK) {
        store_abort(s);
        return result;
    }
    uint64_t txn = mdb_txn_id(s->txn);
    int rc = mdb_txn_commit(s->txn);
    s->txn = NULL;
    if (rc != 0) {
        char text[1024];
        result = environment_error(rc, "cannot commit to", s->dir);
        snprintf(text, sizeof text, "%s", err_text());
        slab_index_rollback(&s->index);
        reopen(s); /* failing that, the next begin tries again */
        return err_set(result == ERR_NOTFOUND ? ERR_CORRUPT : result, "%s", text);
    }
    note_freed(s, txn);
    slab_index_commit(&s->index);
    s->committed = s->pending;
    return ERR_OK;
}

void store_abort(struct store *s)
{
    if (!s->txn) return;
    mdb_txn_abort(s->txn);
    s->txn = NULL;
    slab_index_rollback(&s->index);
}

/* One line of LMDB's reader list: "pid thread txnid", the last a dash where it reads nothing. */
static int oldest_reader(const char *line, void *arg)
{
    uint64_t *oldest = arg;
    unsigned long long txn;
    if (sscanf(line, "%*s %*s %llu", &txn) == 1 && txn < *oldest) *oldest = txn;
    return 0;
}

static uint64_t count_pinned(struct store *s)
{
    uint64_t oldest = mdb_txn_id(s->txn) - 1, slabs = 0;
    mdb_reader_list(s->e.env, oldest_reader, &oldest);
    size_t kept = 0;
    for (size_t i = 0; i < s->pinned_entries; i++) {
        if (s->pinned[i].txn < oldest) continue;
        s->pinned[kept++] = s->pinned[i];
        slabs += s->pinned[i].slabs;
    }
    s->pinned_entries = kept;
    return slabs;
}

static uint64_t assumed_pinned(const struct store *s)
{
    uint64_t slabs = s->freed;
    for (size_t i = 0; i < s->pinned_entries; i++) slabs += s->pinned[i].slabs;
    return slabs;
}

static int check_header(const struct store *s, const struct slab_header *h)
{
    const struct format_record *f = &s->format;
    if (h->width != f->width || h->dtype != f->dtype)
        return err_set(ERR_MISMATCH, "a slab of width %u and dtype %u in a buffer of %u and %u",
                       h->width, h->dtype, f->width, f->dtype);
    if (h->producer >= STORE_MAX_PRODUCERS || h->number == 0 || h->rows == 0 ||
        frame_raw_bytes(h->rows, h->width, (uint8_t)h->dtype) != h->raw_bytes ||
        h->raw_bytes > f->slab_bytes - STORE_SLAB_HEADER_BYTES)
        return err_set(ERR_LIMIT, "slab %llu of producer %u has %u rows in %u bytes: no slab of %u",
                       (unsigned long long)h->number, h->producer, h->rows, h->raw_bytes,
                       f->slab_bytes);
    return ERR_OK;
}

static int check_room(struct store *s)
{
    const struct store_state *state = &s->pending.state.state;
    if (state->slabs >= state->slab_capacity)
        return err_set(ERR_NOSPC, "the buffer in %s is full: %llu slabs", s->dir,
                       (unsigned long long)state->slab_capacity);
    if (state->slabs + assumed_pinned(s) < s->fit) return ERR_OK;
    if (state->slabs + s->freed + count_pinned(s) < s->fit) return ERR_OK;
    return err_set(ERR_AGAIN, "the buffer in %s waits for the pages of freed slabs", s->dir);
}

int store_put(struct store *s, struct slab_header *header, void **raw)
{
    if (!s->txn) return err_set(ERR_STATE, "no transaction is open");
    struct slab_ref there;
    int result = check_header(s, header);
    if (result == ERR_OK && slab_index_find(&s->index, header->producer, header->number, &there))
        result = err_set(ERR_EXISTS, "slab %llu of producer %u is stored already",
                         (unsigned long long)header->number, header->producer);
    if (result == ERR_OK) result = check_room(s);
    if (result != ERR_OK) return result;
    struct state_record *state = &s->pending.state;
    uint64_t id = state->next_id;
    header->magic_version = SLAB_MAGIC_VERSION;
    header->id = id;
    MDB_val key = {sizeof id, &id}, value = {s->format.slab_bytes, NULL};
    int rc = mdb_put(s->txn, s->e.slabs, &key, &value, MDB_RESERVE | MDB_APPEND);
    if (rc == MDB_MAP_FULL) {
        s->is_spoilt = 1;
        return err_set(ERR_AGAIN, "the buffer in %s has no run of free pages for a slab", s->dir);
    }
    if (rc != 0) return environment_error(rc, "cannot put a slab into", s->dir);
    struct slab_ref ref = {id, header->number, header->identities_hash, header->producer,
                           header->rows};
    result = slab_index_add(&s->index, &ref);
    if (result != ERR_OK) return result;
    size_t used = STORE_SLAB_HEADER_BYTES + (size_t)header->raw_bytes;
    memcpy(value.mv_data, header, STORE_SLAB_HEADER_BYTES);
    memset((char *)value.mv_data + used, 0, s->format.slab_bytes - used);
    *raw = (char *)value.mv_data + STORE_SLAB_HEADER_BYTES;
    state->next_id++;
    state->state.slabs++;
    state->state.rows += header->rows;
    s->state_changed = 1;
    return ERR_OK;
}

int store_is_spoilt(const struct store *s)
{
    return s->is_spoilt;
}

int store_free(struct store *s, const uint64_t *ids, size_t count)
{
    if (!s->txn) return err_set(ERR_STATE, "no transaction is open");
    for (size_t i = 0; i < count; i++) {
        struct slab_ref ref;
        if (!slab_index_free(&s->index, ids[i], &ref)) continue;
        MDB_val key = {sizeof ids[i], (void *)&ids[i]};
        int rc = mdb_del(s->txn, s->e.slabs, &key, NULL);
        if (rc != 0) return environment_error(rc, "cannot free a slab of", s->dir);
        s->pending.state.state.slabs--;
        s->pending.state.state.rows -= ref.rows;
        s->freed++;
        s->state_changed = 1;
    }
    return ERR_OK;
}

int store_producer_put(struct store *s, uint32_t producer, const struct store_producer *record)
{
    if (!s->txn) return err_set(ERR_STATE, "no transaction is open");
    if (producer >= STORE_MAX_PRODUCERS)
        return err_set(ERR_LIMIT, "producer %u of at most %d", producer, STORE_MAX_PRODUCERS);
    char key[16];
    environment_producer_key(producer, key);
    int result = put_record(s, key, record, sizeof *record);
    if (result != ERR_OK) return result;
    s->pending.producer[producer] = *record;
    s->pending.known[producer] = 1;
    return ERR_OK;
}

int store_producer_get(const struct store *s, uint32_t producer, struct store_producer *record)
{
    const struct records *r = s->txn ? &s->pending : &s->committed;
    if (producer >= STORE_MAX_PRODUCERS || !r->known[producer]) return ERR_NOTFOUND;
    *record = r->producer[producer];
    return ERR_OK;
}

int store_state_put(struct store *s, const struct store_state *state)
{
    if (!s->txn) return err_set(ERR_STATE, "no transaction is open");
    struct store_state *mine = &s->pending.state.state;
    mine->checkpoint_request = state->checkpoint_request;
    mine->producers = state->producers;
    mine->more_is_coming = state->more_is_coming;
    mine->ended = state->ended;
    mine->replaced_slabs = state->replaced_slabs;
    s->state_changed = 1;
    return ERR_OK;
}

int store_descriptor_put(struct store *s, const char *text, size_t bytes)
{
    MDB_val there;
    int result = store_begin(s);
    if (result != ERR_OK) return result;
    result = environment_find(&s->e, s->txn, "descriptor", &there, s->dir);
    if (result == ERR_OK)
        result = err_set(ERR_EXISTS, "the buffer in %s has its descriptor already", s->dir);
    else if (result == ERR_NOTFOUND)
        result = put_record(s, "descriptor", text, bytes);
    if (result == ERR_OK) return store_commit(s);
    store_abort(s);
    return result;
}

int store_descriptor_get(struct store *s, char **text, size_t *bytes)
{
    MDB_txn *txn = s->txn;
    MDB_val value;
    if (!s->e.env) return err_set(ERR_IO, "the buffer in %s could not be reopened", s->dir);
    if (!txn) {
        int rc = mdb_txn_begin(s->e.env, NULL, MDB_RDONLY, &txn);
        if (rc != 0) return environment_error(rc, "cannot read", s->dir);
    }
    int result = environment_find(&s->e, txn, "descriptor", &value, s->dir);
    if (result == ERR_OK) {
        *text = malloc(value.mv_size + 1);
        if (!*text) {
            result = err_set(ERR_NOMEM, "no memory for the descriptor");
        } else {
            memcpy(*text, value.mv_data, value.mv_size);
            (*text)[value.mv_size] = '\0';
            *bytes = value.mv_size;
        }
    }
    if (txn != s->txn) mdb_txn_abort(txn);
    return result;
}

/* -- reading the index ------------------------------------------------------------------------- */

void store_tick(struct store *s)
{
    int dead;
    if (s->e.env) mdb_reader_check(s->e.env, &dead);
}

const struct store_state *store_state(const struct store *s)
{
    return s->txn ? &s->pending.state.state : &s->committed.state.state;
}

uint64_t store_capacity(const struct store *s)
{
    return s->committed.state.state.slab_capacity;
}

uint64_t store_count(const struct store *s)
{
    return s->index.tail - s->index.head;
}

struct slab_ref store_slab(const struct store *s, uint64_t i)
{
    return s->index.slab[s->index.head + i];
}

int store_find(const struct store *s, uint32_t producer, uint64_t number, struct slab_ref *ref)
{
    return slab_index_find(&s->index, producer, number, ref) ? ERR_OK : ERR_NOTFOUND;
}

int store_verify(const char *dir, uint64_t *slabs, uint64_t *bad)
{
    return verify_in_child(dir, 1, slabs, bad);
}
