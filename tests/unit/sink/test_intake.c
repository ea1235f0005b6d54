/*
 * Frames into a store that is played: it fails when and how the test says, as LMDB and a disk do,
 * and remembers what was committed. Whatever is acked must be among that.
 */
#include "base/err.h"
#include "proto/rows.h"
#include "sink/intake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 4, ROWS = 3, FRAMES = 8, STEPS = 32 };

/* ---- the store ---- */

static struct {
    uint64_t fits;    /* slabs that a commit takes: with more of them it fails */
    int spoils_after; /* transactions after which the one that follows finds no run of pages ... */
    uint64_t spoilt_at; /* ... for its slab of this place */
    uint64_t committed; /* all frames up to this number */
    uint64_t put;       /* in the open transaction */
    int transactions, is_spoilt;
    char page[4096];
} played;

int store_begin(struct store *s)
{
    (void)s;
    played.put = 0;
    played.is_spoilt = 0;
    played.transactions++;
    return ERR_OK;
}

int store_put(struct store *s, struct slab_header *h, void **raw)
{
    (void)s;
    assert_int_equal(h->number, played.committed + played.put + 1);
    if (played.transactions == played.spoils_after + 1 && played.put == played.spoilt_at) {
        played.is_spoilt = 1;
        return err_set(ERR_AGAIN, "no run of free pages");
    }
    played.put++;
    *raw = played.page;
    return ERR_OK;
}

int store_is_spoilt(const struct store *s)
{
    (void)s;
    return played.is_spoilt;
}

int store_commit(struct store *s)
{
    (void)s;
    assert_false(played.is_spoilt);
    if (played.put > played.fits) return err_set(ERR_NOSPC, "the disk is full");
    played.committed += played.put;
    return ERR_OK;
}

void store_abort(struct store *s)
{
    (void)s;
}

int store_find(const struct store *s, uint32_t producer, uint64_t number, struct slab_ref *ref)
{
    (void)s;
    (void)producer;
    (void)number;
    (void)ref;
    return ERR_NOTFOUND;
}

int store_producer_put(struct store *s, uint32_t producer, const struct store_producer *record)
{
    (void)s;
    assert_int_equal(producer, 0);
    assert_int_equal(record->next_number, played.committed + played.put + 1);
    return ERR_OK;
}

int store_state_put(struct store *s, const struct store_state *state)
{
    (void)s;
    (void)state;
    return ERR_OK;
}

int coverage_finished(const struct coverage *c, uint32_t producer, uint64_t number)
{
    (void)c;
    (void)producer;
    (void)number;
    return 0;
}

/* ---- frames ---- */

static uint8_t *frames_held[FRAMES + 1]; /* by number; NULL: given back */

static void release(void *owner)
{
    uint8_t **held = owner;
    free(*held);
    *held = NULL;
}

static void add(struct intake *in, uint64_t number)
{
    struct row_id ids[ROWS] = {{number, 0, 0}};
    float x[ROWS * WIDTH] = {0};
    size_t raw = frame_raw_bytes(ROWS, WIDTH, DTYPE_F32);
    uint8_t *data = malloc(FRAME_HEADER_BYTES + raw);
    struct frame_header h = {.number = number, .rows = ROWS, .width = WIDTH, .dtype = DTYPE_F32};
    rows_to_raw(DTYPE_F32, ROWS, WIDTH, ids, x, data + FRAME_HEADER_BYTES);
    assert_int_equal(frame_seal(&h, data + FRAME_HEADER_BYTES, data + FRAME_HEADER_BYTES, NULL), 0);
    frame_encode(&h, data);
    frames_held[number] = data;
    struct parcel parcel = {data, FRAME_HEADER_BYTES + raw, &frames_held[number], release};
    assert_int_equal(intake_add(in, &h, &parcel), 0);
}

static void play(uint64_t fits, int spoils_after, uint64_t spoilt_at)
{
    struct intake *in;
    struct sessions sessions;
    struct coverage coverage = {0};
    struct store_state state = {0};
    struct intake_result result;
    int rc = ERR_AGAIN;
    memset(&played, 0, sizeof played);
    played.fits = fits;
    played.spoils_after = spoils_after;
    played.spoilt_at = spoilt_at;
    sessions_init(&sessions, 1, 1);
    struct claims claims = {1, ROWS, 0};
    assert_int_equal(intake_new(frame_raw_bytes(ROWS, WIDTH, DTYPE_F32), &claims, &in), 0);
    for (uint64_t n = 1; n <= FRAMES; n++) add(in, n);
    for (int i = 0; i < STEPS && rc != ERR_OK; i++) {
        rc = intake_commit(in, NULL, &sessions, &coverage, &state, &result);
        uint64_t next = sessions.session[0].record.next_number;
        assert_int_equal(next, played.committed + 1); /* what is acked is there */
        for (uint64_t n = 1; n <= FRAMES; n++) assert_int_equal(!frames_held[n], n < next);
        assert_int_equal(intake_count(in), FRAMES + 1 - next);
    }
    if (fits > 0) assert_int_equal(rc, ERR_OK);
    if (fits == 0) assert_int_equal(rc, ERR_NOSPC);
    intake_free(in);
}

/* ---- the tests ---- */

/* Every way for a commit to fail for room, with a transaction without pages among those that are
 * tried after it. */
static void what_is_acked_was_committed(void **unused)
{
    (void)unused;
    for (uint64_t fits = 0; fits <= FRAMES; fits++)
        for (int after = 0; after < 6; after++)
            for (uint64_t at = 0; at < FRAMES; at++) play(fits, after, at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_acked_was_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
