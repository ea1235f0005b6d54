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
#include "buffer/store_parts.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int store_record_put(struct store *s, const char *key, const void *data, size_t bytes)
{
    MDB_val k = {strlen(key), (void *)key}, v = {bytes + RECORD_SEAL_BYTES, NULL};
    uint64_t seal = environment_seal(key, data, bytes);
    int rc = mdb_put(s->txn, s->e.meta, &k, &v, MDB_RESERVE);
    if (rc == 0) memcpy(v.mv_data, data, bytes);
    if (rc == 0) memcpy((char *)v.mv_data + bytes, &seal, sizeof seal);
    return rc == 0 ? ERR_OK : environment_error(rc, "cannot write a record of", s->dir);
}

/* ---- transactions ---- */

int store_begin(struct store *s)
{
    if (s->txn) return err_set(ERR_STATE, "a transaction is open already");
    if (!s->e.env) {
        int result = store_reopen(s);
        if (result != ERR_OK) return result;
    }
    int place = environment_in_place(s->dir, &s->files);
    if (place != ERR_OK) return place;
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
    s->freed = s->puts = 0;
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
        result = store_record_put(s, "state", &s->pending.state, sizeof s->pending.state);
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
        if (s->scrub) scrub_owe(s->scrub, s->freed ? txn : 0); /* it may be good all the same */
        slab_index_rollback(&s->index);
        store_reopen(s); /* failing that, the next begin tries again */
        return err_set(result == ERR_NOTFOUND ? ERR_CORRUPT : result, "%s", text);
    }
    note_freed(s, txn);
    if (s->scrub && s->freed) scrub_owe(s->scrub, txn);
    slab_index_commit(&s->index);
    s->committed = s->pending;
    return ERR_OK;
}

void store_abort(struct store *s)
{
    if (!s->txn) return;
    mdb_txn_abort(s->txn);
    s->txn = NULL;
    if (s->scrub && s->puts) scrub_owe(s->scrub, 0);
    slab_index_rollback(&s->index);
}

static uint64_t count_pinned(struct store *s)
{
    uint64_t oldest = environment_oldest_reader(&s->e, mdb_txn_id(s->txn) - 1), slabs = 0;
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
    header->header_hash = environment_header_hash(header);
    MDB_val key = {sizeof id, &id}, value = {s->format.slab_bytes, NULL};
    int rc = mdb_put(s->txn, s->e.slabs, &key, &value, MDB_RESERVE | MDB_APPEND);
    if (rc == MDB_MAP_FULL) {
        s->is_spoilt = 1;
        return err_set(ERR_AGAIN, "the buffer in %s has no run of free pages for a slab", s->dir);
    }
    if (rc != 0) return environment_error(rc, "cannot put a slab into", s->dir);
    s->puts++;
    if (s->scrub) scrub_wrote(s->scrub, value.mv_data, value.mv_size);
    struct slab_ref ref = {.id = id,
                           .number = header->number,
                           .identities_hash = header->identities_hash,
                           .captured_ns = header->captured_ns,
                           .producer = header->producer,
                           .rows = header->rows};
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

/* A damaged page may lead elsewhere: what is freed there would be written over while it is read. */
static int is_slab(const struct store *s, uint64_t id, const MDB_val *value)
{
    struct slab_header h;
    if (value->mv_size != s->format.slab_bytes) return 0;
    memcpy(&h, value->mv_data, sizeof h);
    return h.magic_version == SLAB_MAGIC_VERSION && h.id == id;
}

int store_free(struct store *s, const uint64_t *ids, size_t count)
{
    if (!s->txn) return err_set(ERR_STATE, "no transaction is open");
    for (size_t i = 0; i < count; i++) {
        struct slab_ref ref;
        if (!slab_index_free(&s->index, ids[i], &ref)) continue;
        MDB_val key = {sizeof ids[i], (void *)&ids[i]}, value;
        int rc = mdb_get(s->txn, s->e.slabs, &key, &value);
        if (rc == MDB_NOTFOUND || (rc == 0 && !is_slab(s, ids[i], &value)))
            return err_set(ERR_CORRUPT,
                           "the buffer in %s is damaged: slab %llu is not in its place", s->dir,
                           (unsigned long long)ids[i]);
        if (rc == 0) rc = mdb_del(s->txn, s->e.slabs, &key, NULL);
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
    int result = store_record_put(s, key, record, sizeof *record);
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
    result = environment_descriptor(&s->e, s->txn, &s->format, &there, s->dir);
    if (result == ERR_OK)
        result = err_set(ERR_EXISTS, "the buffer in %s has its descriptor already", s->dir);
    else if (result == ERR_NOTFOUND)
        result = store_record_put(s, "descriptor", text, bytes);
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
    int result = environment_descriptor(&s->e, txn, &s->format, &value, s->dir);
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

int store_scrub(struct store *s, uint64_t now_ns, struct store_scrub *scrub)
{
    if (s->txn) return err_set(ERR_STATE, "a transaction is open");
    *scrub = (struct store_scrub){0};
    if (!s->scrub) return ERR_OK;
    int result = s->e.env ? environment_in_place(s->dir, &s->files) : ERR_OK;
    if (result == ERR_OK && s->e.env) result = scrub_turn(s->scrub, &s->e, s->dir, now_ns);
    *scrub = scrub_state(s->scrub, now_ns);
    return result;
}

void store_scrub_at_end(struct store *s)
{
    if (s->scrub) scrub_give_back(s->scrub);
}

/* ---- reading the index ---- */

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
