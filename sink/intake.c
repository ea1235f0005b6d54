#include "sink/intake.h"

#include "base/err.h"
#include "base/limits.h"
#include "proto/rows.h"
#include "runtime/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct frame_header header;
    struct parcel parcel;
    int is_bad; /* refused: this one, and those of its producer behind it */
};

struct pass { /* one transaction under way */
    struct store_producer record[STORE_MAX_PRODUCERS];
    uint8_t touched[STORE_MAX_PRODUCERS];
    size_t done;      /* entries gone through */
    size_t limit;     /* entries to go through: fewer where there were no pages for more */
    uint64_t wall_ns; /* UTC: no row was captured later */
    struct intake_result result;
};

struct intake {
    struct claims claims;
    struct pass pass;
    struct entry *entry; /* (count), in order of arrival */
    size_t count, room;
    void *scratch; /* frame_scratch_bytes() of the largest slab */
};

int intake_new(size_t raw_bytes, const struct claims *claims, struct intake **intake)
{
    struct intake *in = calloc(1, sizeof *in);
    if (!in) return err_set(ERR_NOMEM, "no memory for frames");
    in->scratch = malloc(frame_scratch_bytes(raw_bytes));
    if (!in->scratch) {
        free(in);
        return limits_no_memory(frame_scratch_bytes(raw_bytes), "a frame in the sink");
    }
    in->claims = *claims;
    *intake = in;
    return ERR_OK;
}

static void entry_release(struct entry *e)
{
    e->parcel.release(e->parcel.owner);
}

void intake_free(struct intake *in)
{
    if (!in) return;
    for (size_t i = 0; i < in->count; i++) entry_release(&in->entry[i]);
    free(in->entry);
    free(in->scratch);
    free(in);
}

int intake_add(struct intake *in, const struct frame_header *header, const struct parcel *parcel)
{
    if (in->count == in->room) {
        size_t room = in->room ? 2 * in->room : 64;
        struct entry *more = realloc(in->entry, room * sizeof *more);
        if (!more) return err_set(ERR_NOMEM, "no memory for %zu frames", room);
        in->entry = more;
        in->room = room;
    }
    in->entry[in->count++] = (struct entry){*header, *parcel, 0};
    return ERR_OK;
}

size_t intake_count(const struct intake *in)
{
    return in->count;
}

void intake_drop(struct intake *in, uint32_t producer)
{
    size_t kept = 0;
    for (size_t i = 0; i < in->count; i++) {
        if (in->entry[i].header.producer == producer)
            entry_release(&in->entry[i]);
        else
            in->entry[kept++] = in->entry[i];
    }
    in->count = kept;
}

/* ---- one frame ---- */

enum taken { TAKEN_STORED, TAKEN_KNOWN };

/* Whether the frame need not be stored: it is there already, or nobody needs it any more. */
static int is_known(const struct entry *e, const struct store *store,
                    const struct coverage *coverage, int *known)
{
    struct slab_ref ref;
    const struct frame_header *h = &e->header;
    *known = coverage_finished(coverage, h->producer, h->number);
    if (*known || store_find(store, h->producer, h->number, &ref)) return ERR_OK;
    *known = 1;
    if (ref.identities_hash == h->identities_hash) return ERR_OK;
    return err_set(ERR_MISMATCH,
                   "frame %" PRIu64 " of producer %u was made again with other rows than before; "
                   "HINT: has the corpus changed?",
                   h->number, h->producer);
}

/* A clock that goes wrong, or a lie, must not hide for ever how old the newest row is. */
static uint64_t captured_ns(const struct pass *p, const struct frame_header *h)
{
    return h->captured_ns < p->wall_ns ? h->captured_ns : p->wall_ns;
}

static struct slab_header slab_of(const struct pass *p, const struct frame_header *h)
{
    return (struct slab_header){
        .number = h->number,
        .producer = h->producer,
        .epoch = h->epoch,
        .rows = h->rows,
        .width = h->width,
        .dtype = h->dtype,
        .raw_bytes = h->raw_bytes,
        .begin = h->begin,
        .captured_ns = captured_ns(p, h),
        .identities_hash = h->identities_hash,
        .raw_hash = h->raw_hash,
    };
}

/* Into the page that the store reserved. *is_dirty: the page was given out and holds garbage. */
static int take(struct intake *in, const struct entry *e, struct store *store,
                const struct coverage *coverage, enum taken *taken, int *is_dirty)
{
    const struct frame_header *h = &e->header;
    const uint8_t *payload = e->parcel.data + FRAME_HEADER_BYTES;
    int known = 0;
    *is_dirty = 0;
    int result = frame_check_payload(h, payload, e->parcel.bytes - FRAME_HEADER_BYTES);
    if (result == ERR_OK) result = claims_place(&in->claims, &in->pass.record[h->producer], h);
    if (result == ERR_OK) result = is_known(e, store, coverage, &known);
    *taken = known ? TAKEN_KNOWN : TAKEN_STORED;
    if (result != ERR_OK || known) return result;
    struct slab_header slab = slab_of(&in->pass, h);
    void *raw;
    result = store_put(store, &slab, &raw);
    if (result != ERR_OK) return result;
    *is_dirty = 1;
    result = frame_unpack(h, payload, raw, in->scratch);
    if (result == ERR_OK) result = claims_rows(&in->claims, h, raw);
    if (result == ERR_OK && !rows_raw_finite(h->dtype, h->rows, h->width, raw))
        result =
            err_set(ERR_FORMAT,
                    "frame %" PRIu64 " of producer %u has values that are not finite: rows are "
                    "checked where they are captured",
                    h->number, h->producer);
    return result;
}

static int is_frames_fault(int rc)
{
    return rc == ERR_CHECKSUM || rc == ERR_FORMAT || rc == ERR_MISMATCH || rc == ERR_LIMIT;
}

/* ---- one transaction ---- */

static void count_in(struct pass *p, const struct frame_header *h, enum taken taken)
{
    struct store_producer *r = &p->record[h->producer];
    p->touched[h->producer] = 1;
    r->next_number = h->number + 1;
    r->cursor = h->end;
    claims_totals(&r->totals, &h->totals);
    r->rows += h->rows;
    if (taken == TAKEN_KNOWN) {
        p->result.known_frames++;
        return;
    }
    p->result.stored_frames++;
    p->result.stored[h->producer]++;
    p->result.stored_rows += h->rows;
    p->result.stored_bytes += h->raw_bytes;
    if (captured_ns(p, h) > p->result.newest_captured_ns)
        p->result.newest_captured_ns = captured_ns(p, h);
}

static void refuse(struct intake *in, size_t from, int rc, struct pass *p)
{
    uint32_t producer = in->entry[from].header.producer;
    p->result.refused[producer] = rc;
    snprintf(p->result.why, sizeof p->result.why, "%s", err_text());
    for (size_t i = from; i < in->count; i++)
        if (in->entry[i].header.producer == producer) in->entry[i].is_bad = 1;
}

/* Put the frames of the queue into the open transaction. *again: it must be begun anew, without a
 * bad frame that spoilt a page and is marked now, or without those that there were no pages for. */
static int put_all(struct intake *in, struct store *store, const struct coverage *coverage,
                   struct pass *p, int *again)
{
    *again = 0;
    for (p->done = 0; p->done < p->limit; p->done++) {
        const struct entry *e = &in->entry[p->done];
        enum taken taken;
        int is_dirty;
        if (e->is_bad) continue;
        int result = take(in, e, store, coverage, &taken, &is_dirty);
        if (is_frames_fault(result)) {
            refuse(in, p->done, result, p);
            *again = is_dirty;
            if (is_dirty) return ERR_OK;
            continue;
        }
        if (result == ERR_AGAIN && store_is_spoilt(store)) {
            p->limit = p->done;
            *again = 1;
            return ERR_OK;
        }
        if (result != ERR_OK) return result;
        count_in(p, &e->header, taken);
    }
    return p->limit < in->count ? ERR_AGAIN : ERR_OK;
}

static int put_records(struct store *store, const struct pass *p, uint32_t producers,
                       const struct store_state *state)
{
    int result = store_state_put(store, state);
    for (uint32_t i = 0; i < producers && result == ERR_OK; i++)
        if (p->touched[i]) result = store_producer_put(store, i, &p->record[i]);
    return result;
}

/* One transaction over the queue. */
static int try_transaction(struct intake *in, struct store *store, const struct sessions *sessions,
                           const struct coverage *coverage, const struct store_state *state,
                           struct pass *p, int *again)
{
    struct intake_result refusals = p->result;
    *p = (struct pass){.limit = p->limit, .wall_ns = p->wall_ns};
    memcpy(p->result.refused, refusals.refused, sizeof refusals.refused);
    memcpy(p->result.why, refusals.why, sizeof refusals.why);
    for (uint32_t i = 0; i < sessions->producers; i++) p->record[i] = sessions->session[i].record;
    int rc = store_begin(store);
    if (rc) return rc;
    rc = put_all(in, store, coverage, p, again);
    int is_short = rc == ERR_AGAIN || (rc == ERR_NOSPC && p->done); /* the rest waits for room */
    if (is_short) rc = ERR_OK;
    if (!rc && !*again) rc = put_records(store, p, sessions->producers, state);
    if (rc || *again) {
        store_abort(store);
        return rc;
    }
    rc = store_commit(store);
    return rc ? rc : is_short ? ERR_AGAIN : ERR_OK;
}

/* Transactions until one is not spoilt by a bad frame, or by a lack of pages. */
static int transact(struct intake *in, struct store *store, const struct sessions *sessions,
                    const struct coverage *coverage, const struct store_state *state,
                    struct pass *p)
{
    int again, rc;
    do rc = try_transaction(in, store, sessions, coverage, state, p, &again);
    while (!rc && again);
    return rc;
}

static void give_back(struct intake *in, size_t done)
{
    size_t kept = 0;
    for (size_t i = 0; i < in->count; i++) {
        if (i < done || in->entry[i].is_bad)
            entry_release(&in->entry[i]);
        else
            in->entry[kept++] = in->entry[i];
    }
    in->count = kept;
}

int intake_commit(struct intake *in, struct store *store, struct sessions *sessions,
                  const struct coverage *coverage, const struct store_state *state,
                  struct intake_result *result)
{
    struct pass *p = &in->pass;
    *p = (struct pass){.limit = in->count, .wall_ns = process_wall_ns()};
    int rc = transact(in, store, sessions, coverage, state, p);
    while (rc == ERR_NOSPC &&
           p->limit > 1) { /* a smaller transaction may find room, and make some */
        p->limit /= 2;
        rc = transact(in, store, sessions, coverage, state, p);
    }
    if (rc == ERR_NOSPC)
        rc = err_set(ERR_NOSPC, "there is no room for one frame; HINT: make room on the disk of "
                                "the buffer");
    if (!rc || rc == ERR_AGAIN) {
        for (uint32_t i = 0; i < sessions->producers; i++) {
            p->result.acked[i] = p->touched[i];
            if (p->touched[i]) sessions->session[i].record = p->record[i];
        }
        give_back(in, p->done);
    }
    *result = p->result;
    return rc;
}
