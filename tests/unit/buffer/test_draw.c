#include "tests/unit/buffer/rig.h"

#include "buffer/damage.h"
#include "buffer/draw_parts.h"
#include "buffer/environment.h"
#include "proto/message.h"

enum { BATCH = 256, ONE_IN = 10 };

/* How often each row of a stream was drawn, and whether what was drawn is what was stored. */
struct tally {
    uint64_t rows; /* of producer 0 */
    uint8_t *drawn, *held_out;
    uint64_t last_held_out;
    int in_any_order; /* held-out rows need not come by number */
};

static struct tally tally_of(uint64_t rows)
{
    return (struct tally){rows, calloc(rows, 1), calloc(rows, 1), 0, 0};
}

static void tally_free(struct tally *t)
{
    free(t->drawn);
    free(t->held_out);
}

static uint64_t row_of(const struct row_id *id)
{
    assert_int_equal(id->sequence % 16, 0);
    uint64_t row = id->sequence / 16 * rig_sequence_rows + id->position;
    struct row_id expected = rig_id(0, row);
    assert_memory_equal(id, &expected, sizeof expected);
    return row;
}

static void check_values(const struct row_id *id, const float *values)
{
    for (uint32_t d = 0; d < RIG_WIDTH; d++) assert_true(values[d] == rig_value(*id, d));
}

static int take_held_out(void *arg, const struct row_id *id, const float *values)
{
    struct tally *t = arg;
    uint64_t row = row_of(id);
    assert_true(row < t->rows);
    check_values(id, values);
    assert_true(rows_held_out(id->sequence, ONE_IN));
    t->held_out[row]++;
    assert_true(t->in_any_order || row >= t->last_held_out);
    t->last_held_out = row;
    return ERR_OK;
}

static struct draw_options draw_defaults(struct tally *t)
{
    return (struct draw_options){
        .dir = rig_dir,
        .stream = "rig",
        .consumer = "main",
        .reuse = 2,
        .batch_rows = BATCH,
        .seed = 7,
        .held_out_one_in = ONE_IN,
        .shuffle = 1,
        .held_out = take_held_out,
        .arg = t,
    };
}

static float batch_values[4096 * RIG_WIDTH];
static struct row_id batch_ids[4096];

static int next(struct draw *draw, size_t wanted, struct tally *t, struct draw_batch *batch)
{
    *batch = (struct draw_batch){.values = batch_values, .ids = batch_ids, .rows = wanted};
    int result = draw_next(draw, batch);
    if (result != ERR_OK) return result;
    for (size_t i = 0; i < batch->rows; i++) {
        uint64_t row = row_of(&batch->ids[i]);
        assert_true(row < t->rows);
        check_values(&batch->ids[i], batch->values + i * RIG_WIDTH);
        t->drawn[row]++;
    }
    return ERR_OK;
}

static void descriptor(struct store *store)
{
    assert_ok(store_descriptor_put(store, "{}", 2));
}

static void assert_exact(const struct tally *t, uint32_t reuse)
{
    for (uint64_t r = 0; r < t->rows; r++) {
        int held = rows_held_out(rig_id(0, r).sequence, ONE_IN);
        if (t->drawn[r] != (held ? 0 : reuse) || t->held_out[r] != held)
            fail_msg("row %llu: drawn %u times, held out %u times", (unsigned long long)r,
                     t->drawn[r], t->held_out[r]);
    }
}

/* A store with frames [1, frames], of which the last has `last_rows` (0: a full one). */
static struct store *a_stream(const struct store_options *o, uint64_t frames, uint32_t last_rows,
                              int ended)
{
    struct store *store = rig_open(o);
    descriptor(store);
    rig_fill(store, o, 0, 1, frames);
    assert_ok(store_begin(store));
    assert_ok(rig_put(store, o, 0, frames, last_rows));
    assert_ok(store_commit(store));
    rig_state(store, 1, 0, ended);
    return store;
}

static struct draw *open_draw(const struct draw_options *o)
{
    struct draw *draw = NULL;
    assert_ok(draw_open(o, &draw));
    return draw;
}

static void draw_to_the_end(struct draw *draw, struct tally *t)
{
    struct draw_batch batch;
    int result;
    while ((result = next(draw, BATCH, t, &batch)) == ERR_OK) {
    }
    if (result != ERR_NOTFOUND) fail_msg("%s: %s", err_str(result), err_text());
}

static void free_all(struct store *store, const uint64_t *ids, size_t count)
{
    assert_ok(store_begin(store));
    assert_ok(store_free(store, ids, count));
    assert_ok(store_commit(store));
}

static void an_ended_stream_is_drawn_to_the_last_row(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 21, 13, 1);
    struct tally t = tally_of(20 * rig_rows(store) + 13);
    struct draw_options options = draw_defaults(&t);
    struct draw *draw = open_draw(&options);
    draw_to_the_end(draw, &t);
    assert_exact(&t, 2);
    const struct consumer_state *s = draw_state(draw);
    assert_int_equal(s->finished, 1);
    assert_int_equal(s->slabs, 0);
    assert_int_equal(s->producer[0].lowest, 22);
    assert_int_equal(s->producer[0].cursor.document, t.rows);
    assert_int_equal(s->rows_drawn + 2 * s->rows_held_out, 2 * t.rows);
    assert_int_equal(draw_gauges(draw).missing_slabs, 0);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

static void every_dtype_is_read(void **state)
{
    (void)state;
    for (uint8_t dtype = DTYPE_F32; dtype <= DTYPE_INT8; dtype++) {
        rig_make(NULL);
        struct store_options o = rig_options();
        o.dtype = dtype;
        struct store *store = a_stream(&o, 6, 5, 1);
        struct draw_options options = draw_defaults(NULL);
        options.held_out_one_in = 0;
        struct draw *draw = open_draw(&options);
        struct draw_batch b = {.values = batch_values, .ids = batch_ids, .rows = BATCH};
        assert_ok(draw_next(draw, &b));
        for (size_t i = 0; i < BATCH; i++)
            for (uint32_t d = 0; d < RIG_WIDTH; d++) {
                float expected = rig_value(batch_ids[i], d), got = batch_values[i * RIG_WIDTH + d];
                float tolerance = dtype == DTYPE_F32 ? 0 : dtype == DTYPE_BF16 ? 0.5f : 0.51f;
                assert_true(got >= expected - tolerance && got <= expected + tolerance);
            }
        draw_close(draw);
        store_close(store);
        rig_remove(NULL);
    }
}

/* ---- resume ---- */

static struct consumer_state state_of(struct draw *draw)
{
    struct consumer_state copy;
    void *data;
    size_t bytes;
    assert_ok(consumer_state_encode(draw_state(draw), &data, &bytes));
    assert_ok(consumer_state_decode(data, bytes, &copy));
    free(data);
    return copy;
}

/* The same rows in the same order as if it had never stopped: compared by a hash of all ids. */
static void draw_into(XXH3_state_t *hash, struct draw *draw, struct tally *t, int batches)
{
    struct draw_batch b;
    for (int i = 0; i != batches && next(draw, BATCH, t, &b) == ERR_OK; i++)
        XXH3_64bits_update(hash, batch_ids, b.rows * sizeof *batch_ids);
}

static uint64_t hash_of(struct draw *draw, struct tally *t, int batches)
{
    XXH3_state_t *hash = XXH3_createState();
    XXH3_64bits_reset(hash);
    draw_into(hash, draw, t, batches);
    uint64_t sum = XXH3_64bits_digest(hash);
    XXH3_freeState(hash);
    return sum;
}

static void a_resume_goes_on_exactly(struct draw_options options, const struct store_options *o)
{
    struct store *store = a_stream(o, 40, 7, 1);
    uint64_t expected = 0;
    XXH3_state_t *hash = XXH3_createState();
    for (int stop = -1; stop < 60; stop += 6) {
        struct tally t = tally_of(39 * rig_rows(store) + 7);
        options.arg = &t;
        XXH3_64bits_reset(hash);
        struct draw *draw = open_draw(&options);
        draw_into(hash, draw, &t, stop);
        if (stop >= 0) {
            struct consumer_state s = state_of(draw);
            draw_close(draw);
            draw = open_draw(&options);
            assert_ok(draw_resume(draw, &s));
            consumer_state_free(&s);
            draw_into(hash, draw, &t, -1);
        }
        assert_exact(&t, options.reuse);
        if (stop < 0) expected = XXH3_64bits_digest(hash);
        assert_true(XXH3_64bits_digest(hash) == expected);
        draw_close(draw);
        tally_free(&t);
    }
    XXH3_freeState(hash);
    store_close(store);
}

static void a_resume_draws_the_same_rows_in_the_same_order(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct draw_options options = draw_defaults(NULL);
    a_resume_goes_on_exactly(options, &o);
}

static void so_does_one_whose_slabs_wait_for_a_place(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct draw_options options = draw_defaults(NULL);
    options.active_bytes = 7 * o.slab_bytes;
    a_resume_goes_on_exactly(options, &o);
}

static void so_does_a_replay(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct draw_options options = draw_defaults(NULL);
    options.replay = 1;
    a_resume_goes_on_exactly(options, &o);
}

/* A replay takes slabs by number, in whatever order they were stored. */
static void a_replay_does_not_depend_on_the_order_of_storing(void **state)
{
    (void)state;
    uint64_t hash[2];
    for (int turn = 0; turn < 2; turn++) {
        rig_make(NULL);
        struct store_options o = rig_options();
        struct store *store = rig_open(&o);
        descriptor(store);
        for (uint64_t n = 1; n <= 10; n++)
            rig_fill(store, &o, 0, turn ? 11 - n : n, turn ? 12 - n : n + 1);
        rig_state(store, 1, 0, 0);
        struct tally t = tally_of(10 * rig_rows(store));
        struct draw_options options = draw_defaults(&t);
        options.replay = 1;
        struct draw *draw;
        assert_int_equal(draw_open(&options, &draw), ERR_STATE); /* it has not ended */
        rig_state(store, 1, 0, 1);
        draw = open_draw(&options);
        hash[turn] = hash_of(draw, &t, -1);
        assert_exact(&t, 2);
        draw_close(draw);
        store_close(store);
        tally_free(&t);
        rig_remove(NULL);
    }
    assert_true(hash[0] == hash[1]);
}

static void another_seed_is_another_order(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 20, 0, 1);
    struct tally t = tally_of(20 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.held_out = NULL;
    uint64_t hash[3];
    for (int i = 0; i < 3; i++) {
        options.seed = i == 2;
        struct draw *draw = open_draw(&options);
        hash[i] = hash_of(draw, &t, 3);
        draw_close(draw);
    }
    assert_true(hash[0] == hash[1] && hash[0] != hash[2]);
    store_close(store);
    tally_free(&t);
}

/* A look takes in what is there, held-out rows too, draws nothing, and changes no later batch. */
static void a_look_draws_nothing(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 20, 0, 1);
    struct tally t = tally_of(20 * rig_rows(store)), looked = tally_of(20 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    struct draw *draw = open_draw(&options);
    uint64_t without = hash_of(draw, &t, 3);
    draw_close(draw);
    options.arg = &looked;
    draw = open_draw(&options);
    assert_ok(draw_look(draw));
    struct draw_gauges g = draw_gauges(draw);
    assert_int_equal(g.draws_left, 2 * (20 * rig_rows(store) - g.rows_held_out));
    assert_true(g.rows_held_out > 0 && g.rows_drawn == 0 && g.ended);
    assert_ok(draw_look(draw));
    assert_int_equal(draw_gauges(draw).rows_held_out, g.rows_held_out);
    assert_true(hash_of(draw, &looked, 3) == without);
    g = draw_gauges(draw);
    assert_int_equal(g.rows_drawn + g.draws_left, 2 * (20 * rig_rows(store) - g.rows_held_out));
    draw_finish(draw);
    assert_int_equal(draw_look(draw), ERR_NOTFOUND);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
    tally_free(&looked);
}

/* Too few rows to shuffle well, and more may come: who needs no more does not wait. */
static void who_hurries_does_not_wait_for_more_rows(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 8, 0, 0);
    rig_state(store, 1, 1, 0);
    struct tally t = tally_of(8 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.min_rows = 8 * rig_rows(store);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    assert_int_equal(next(draw, BATCH, &t, &b), ERR_AGAIN);
    draw_hurry(draw);
    assert_ok(next(draw, BATCH, &t, &b));
    assert_int_equal(b.rows, BATCH);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

static void a_state_of_another_is_refused(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 8, 0, 1);
    struct tally t = tally_of(8 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    struct consumer_state s = state_of(draw);
    s.stream++;
    assert_int_equal(draw_resume(draw, &s), ERR_MISMATCH);
    s.stream--;
    s.name[0] = 'x';
    assert_int_equal(draw_resume(draw, &s), ERR_MISMATCH);
    s.name[0] = 'm';
    assert_ok(next(draw, BATCH, &t, &b));
    assert_int_equal(draw_resume(draw, &s), ERR_STATE);
    consumer_state_free(&s);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* ---- slabs that come again ---- */

/* Draw a little, lose all slabs, have them made again: under their old numbers with new ids. */
static void a_slab_that_comes_again_goes_on_where_it_was(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 10, 0, 0);
    struct tally t = tally_of(10 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    for (int i = 0; i < 9; i++) assert_ok(next(draw, BATCH, &t, &b));
    struct consumer_state s = state_of(draw);
    draw_close(draw);
    uint64_t ids[10];
    for (uint64_t i = 0; i < 10; i++) ids[i] = i + 1;
    free_all(store, ids, 10);
    draw = open_draw(&options);
    assert_ok(draw_resume(draw, &s));
    assert_int_equal(next(draw, BATCH, &t, &b), ERR_AGAIN);
    assert_true(draw_gauges(draw).missing_slabs > 0 && draw_gauges(draw).missing_slabs <= 10);
    /* One by one; it draws what there is only when the stream has ended. */
    for (uint64_t n = 10; n >= 1; n--) rig_fill(store, &o, 0, n, n + 1);
    rig_state(store, 1, 0, 1);
    draw_to_the_end(draw, &t);
    assert_exact(&t, 2);
    assert_int_equal(draw_gauges(draw).missing_slabs, 0);
    consumer_state_free(&s);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* What was finished, above a slab that is not, and freed, does not have to come again. */
static void a_finished_slab_is_not_missed(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 30, 0, 1);
    struct tally t = tally_of(30 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    struct consumer_state s;
    size_t finished = 0;
    do {
        assert_ok(next(draw, BATCH, &t, &b));
        s = state_of(draw);
        for (size_t i = finished = 0; i < s.slabs; i++) finished += s.slab[i].finished;
        if (finished < 3) consumer_state_free(&s);
    } while (finished < 3);
    draw_close(draw);
    for (uint64_t n = 1; n <= 30; n++)
        if (consumer_finished(&s, 0, n)) free_all(store, &n, 1); /* ids are numbers here */
    draw = open_draw(&options);
    assert_ok(draw_resume(draw, &s));
    assert_ok(next(draw, BATCH, &t, &b));
    assert_int_equal(draw_gauges(draw).missing_slabs, 0);
    draw_to_the_end(draw, &t);
    assert_exact(&t, 2);
    consumer_state_free(&s);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

static void a_remade_slab_with_other_rows_is_refused(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 8, 0, 0);
    struct tally t = tally_of(8 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    for (int i = 0; i < 4; i++) assert_ok(next(draw, BATCH, &t, &b));
    struct consumer_state s = state_of(draw);
    draw_close(draw);
    uint64_t id = 3;
    free_all(store, &id, 1);
    rig_sequence_rows++; /* the corpus has changed */
    rig_fill(store, &o, 0, 3, 4);
    rig_sequence_rows--;
    draw = open_draw(&options);
    assert_ok(draw_resume(draw, &s));
    assert_int_equal(next(draw, BATCH, &t, &b), ERR_MISMATCH);
    assert_non_null(strstr(err_text(), "slab 3 of producer 0"));
    consumer_state_free(&s);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* The sink sets a damaged buffer aside and makes another while the draw is attached. */
static void a_draw_goes_over_to_the_new_buffer(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 12, 0, 0);
    struct tally t = tally_of(12 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    for (int i = 0; i < 7; i++) assert_ok(next(draw, BATCH, &t, &b));
    store_close(store);
    char aside[256];
    assert_ok(store_set_aside(rig_dir, aside, sizeof aside));
    assert_int_equal(next(draw, BATCH, &t, &b), ERR_AGAIN);
    store = a_stream(&o, 12, 0, 1);
    draw_to_the_end(draw, &t);
    assert_exact(&t, 2);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* ---- held-out rows ---- */

static int refuse_held_out(void *arg, const struct row_id *id, const float *values)
{
    (void)arg;
    (void)id;
    (void)values;
    return ERR_NOSPC;
}

static void a_held_out_row_that_cannot_be_kept_stops_the_draw(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 10, 0, 1);
    struct tally t = tally_of(10 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.held_out = refuse_held_out;
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    assert_int_equal(next(draw, BATCH, &t, &b), ERR_NOSPC);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* A buffer full of high numbers, while lower ones have to be made again: to wait with held-out rows
 * until the lower ones come would be for ever, since nothing would ever be finished. */
static void held_out_rows_do_not_wait_for_a_gap(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    uint64_t capacity = store_capacity(store), rows = rig_rows(store), n;
    descriptor(store);
    struct tally t = tally_of((capacity + 4) * rows);
    t.in_any_order = 1;
    struct draw_options options = draw_defaults(&t);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    rig_fill(store, &o, 0, 5, capacity + 5); /* 1 to 4 are lacking */
    rig_state(store, 1, 0, 0);
    while (next(draw, BATCH, &t, &b) == ERR_OK) {
    }
    struct consumer_state s = state_of(draw);
    assert_int_equal(s.producer[0].harvested, 1);
    for (n = 5; n < capacity + 5; n++) assert_true(consumer_finished(&s, 0, n));
    for (n = 1; n < 5; n++) assert_false(consumer_finished(&s, 0, n));
    assert_int_equal(draw_gauges(draw).missing_slabs, 4);
    draw_close(draw);
    uint64_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8};
    free_all(store, ids, 8);
    draw = open_draw(&options);
    assert_ok(draw_resume(draw, &s));
    rig_fill(store, &o, 0, 1, 5);
    rig_state(store, 1, 0, 1);
    draw_to_the_end(draw, &t);
    assert_exact(&t, 2);
    assert_int_equal(draw_state(draw)->producer[0].lowest, capacity + 5);
    assert_int_equal(draw_state(draw)->producer[0].harvested, capacity + 5);
    consumer_state_free(&s);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* Handed out, not drawn from yet, and its number above a gap: a resume does not hand it out
 * again. */
static void held_out_rows_above_a_gap_come_once(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    descriptor(store);
    rig_fill(store, &o, 0, 3, 30);
    rig_state(store, 1, 0, 0);
    struct tally t = tally_of(29 * rig_rows(store));
    t.in_any_order = 1;
    struct draw_options options = draw_defaults(&t);
    options.active_bytes = 3 * o.slab_bytes; /* most of them wait */
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    assert_ok(next(draw, BATCH, &t, &b));
    struct consumer_state s = state_of(draw);
    draw_close(draw);
    draw = open_draw(&options);
    assert_ok(draw_resume(draw, &s));
    rig_fill(store, &o, 0, 1, 3);
    rig_state(store, 1, 0, 1);
    draw_to_the_end(draw, &t);
    assert_exact(&t, 2);
    consumer_state_free(&s);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* ---- when to wait ---- */

static void too_few_rows_wait_only_while_more_is_coming(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 20, 0, 0);
    struct tally t = tally_of(60 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.min_rows = 30 * rig_rows(store);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    struct store_state s = *store_state(store);
    s.checkpoint_request = 5;
    s.more_is_coming = 1;
    assert_ok(store_begin(store));
    assert_ok(store_state_put(store, &s));
    assert_ok(store_commit(store));
    assert_int_equal(next(draw, BATCH, &t, &b), ERR_AGAIN);
    assert_int_equal(b.checkpoint_request, 5); /* also while it waits */
    rig_state(store, 1, 0, 0);
    assert_ok(next(draw, BATCH, &t, &b));
    rig_state(store, 1, 1, 0);
    assert_int_equal(next(draw, BATCH, &t, &b), ERR_AGAIN);
    rig_fill(store, &o, 0, 21, 41);
    assert_ok(next(draw, BATCH, &t, &b)); /* enough now */
    struct consumer_progress p;
    assert_ok(consumer_progress_read(rig_dir, "main", &p));
    assert_int_equal(p.rows_drawn, 2 * BATCH);
    assert_int_equal(p.waiting, 0);
    assert_int_equal(p.checkpoint_request, 5);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

static void small_batches_come_only_at_the_end_or_from_a_full_buffer(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 5, 0, 0);
    uint64_t capacity = store_capacity(store);
    struct tally t = tally_of((capacity + 1) * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.reuse = 1;
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    int result;
    while ((result = next(draw, BATCH, &t, &b)) == ERR_OK) assert_int_equal(b.rows, BATCH);
    assert_int_equal(result, ERR_AGAIN);
    assert_true(draw_gauges(draw).rows_left > 0); /* not enough for a batch */
    rig_fill(store, &o, 0, 6, capacity + 1);
    rig_state(store, 1, 0, 0);
    int small = 0;
    while ((result = next(draw, BATCH, &t, &b)) == ERR_OK) small += b.rows < BATCH;
    assert_int_equal(result, ERR_AGAIN);
    assert_int_equal(small, 1); /* it would wait for ever: nothing is finished before */
    assert_int_equal(draw_gauges(draw).rows_left, 0);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

static void only_so_many_slabs_are_active(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 30, 0, 1);
    struct tally t = tally_of(30 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.active_bytes = 4 * o.slab_bytes;
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    uint64_t rows = rig_rows(store);
    while (next(draw, BATCH, &t, &b) == ERR_OK) {
        struct draw_gauges g = draw_gauges(draw);
        assert_true(g.active_slabs <= 4);
        for (size_t i = 0; i < b.rows; i++) { /* a window that moves */
            uint64_t number = row_of(&batch_ids[i]) / rows,
                     lowest = draw_state(draw)->producer[0].lowest;
            assert_true(number < lowest + 12);
        }
    }
    assert_exact(&t, 2);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* ---- shed, stop ---- */

static void replaced_slabs_are_counted_as_skipped(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 20, 0, 0);
    struct tally t = tally_of(30 * rig_rows(store));
    uint64_t rows = rig_rows(store);
    struct draw_options options = draw_defaults(&t);
    options.shed = 1;
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    for (int i = 0; i < 6; i++) assert_ok(next(draw, BATCH, &t, &b));
    /* 1 to 5 go, drawn in part; 21 and 22 come and go unseen; 23 to 30 stay. */
    uint64_t ids[] = {1, 2, 3, 4, 5, 21, 22};
    rig_fill(store, &o, 0, 21, 31);
    struct store_state s = *store_state(store);
    s.replaced_slabs = 7;
    s.ended = 1;
    assert_ok(store_begin(store));
    assert_ok(store_free(store, ids, 7));
    assert_ok(store_state_put(store, &s));
    assert_ok(store_commit(store));
    draw_to_the_end(draw, &t);
    const struct consumer_state *c = draw_state(draw);
    uint64_t drawn = 0;
    for (uint64_t r = 0; r < t.rows; r++) {
        drawn += t.drawn[r];
        uint64_t number = r / rows + 1;
        if (number > 5 && number != 21 && number != 22)
            assert_int_equal(t.drawn[r] + 2 * t.held_out[r], 2);
    }
    assert_int_equal(c->rows_drawn, drawn);
    assert_int_equal(c->rows_drawn + c->rows_skipped + 2 * c->rows_held_out, 2 * t.rows);
    assert_int_equal(c->producer[0].lowest, 31);
    assert_int_equal(c->finished, 1);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

static void replace(struct store *store, const uint64_t *ids, size_t count)
{
    struct store_state s = *store_state(store);
    s.replaced_slabs += count;
    assert_ok(store_begin(store));
    assert_ok(store_free(store, ids, count));
    assert_ok(store_state_put(store, &s));
    assert_ok(store_commit(store));
}

/* By age slabs go in any order: what is gone is not taken for something to draw. */
static void slabs_that_expire_out_of_order_are_missed_at_once(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 20, 0, 0);
    struct tally t = tally_of(20 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.shed = options.expires = 1;
    struct draw *draw = open_draw(&options);
    assert_ok(draw_look(draw));
    struct draw_gauges before = draw_gauges(draw);
    static const uint64_t ids[] = {5, 11, 12};
    replace(store, ids, 3);
    assert_ok(draw_look(draw));
    struct draw_gauges g = draw_gauges(draw);
    assert_true(g.rows_skipped > 0);
    assert_int_equal(g.draws_left + g.rows_skipped, before.draws_left);
    assert_int_equal(g.active_slabs, 17);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* Rows that go by age may never fill half of the buffer: half of those that are there will do, once
 * some have gone. */
static void rows_that_expire_are_drawn_before_they_do(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 20, 0, 0);
    rig_state(store, 1, 1, 0);
    struct tally t = tally_of(20 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.min_rows = 30 * rig_rows(store);
    options.shed = options.expires = 1;
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    assert_int_equal(next(draw, BATCH, &t, &b), ERR_AGAIN); /* none has gone: more may come */
    static const uint64_t id = 1;
    replace(store, &id, 1);
    assert_ok(next(draw, BATCH, &t, &b));
    while (next(draw, BATCH, &t, &b) == ERR_OK)
        ;
    uint64_t left = draw_gauges(draw).rows_left, there = 19 * rig_rows(store);
    assert_true(left < there / 2 && left + BATCH >= there / 2);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* The end of a live stream of `numbers` frames is reached, and every draw of it was made, or counts
 * as skipped: of a slab that is gone, those of all its rows. */
static void assert_live_end(struct draw *draw, struct tally *t, uint64_t numbers, uint64_t rows)
{
    draw_to_the_end(draw, t);
    const struct consumer_state *c = draw_state(draw);
    uint64_t drawn = 0;
    for (uint64_t r = 0; r < t->rows; r++) drawn += t->drawn[r];
    assert_int_equal(c->rows_drawn, drawn);
    assert_int_equal(c->rows_drawn + c->rows_skipped, 2 * numbers * rows);
    assert_int_equal(c->producer[0].lowest, numbers + 1);
    assert_int_equal(c->producer[0].harvested, numbers + 1);
    assert_int_equal(consumer_finished_slabs(c), numbers);
    assert_int_equal(c->slabs, 0);
    assert_int_equal(c->finished, 1);
    assert_int_equal(draw_gauges(draw).missing_slabs, 0);
}

/* A trainer was away while slabs that it had drawn from in part were replaced, and others came and
 * went: the stream ends for it all the same. */
static void slabs_replaced_while_a_consumer_was_away_are_skipped(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 20, 0, 0);
    struct tally t = tally_of(30 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.shed = 1;
    options.held_out_one_in = 0;
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    for (int i = 0; i < 6; i++) assert_ok(next(draw, BATCH, &t, &b));
    struct consumer_state s = state_of(draw);
    assert_true(s.slabs > 15); /* drawn in part */
    draw_close(draw);
    uint64_t ids[25];
    for (uint64_t i = 0; i < 25; i++) ids[i] = i + 1;
    rig_fill(store, &o, 0, 21, 31);
    free_all(store, ids, 25);
    rig_state(store, 1, 0, 1);
    draw = open_draw(&options);
    assert_ok(draw_resume(draw, &s));
    assert_live_end(draw, &t, 30, rig_rows(store));
    consumer_state_free(&s);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* Live slabs may be short. Those that came and went unseen are skipped with the rows that they had:
 * what was stored is drawn, held out or skipped. */
static void short_slabs_that_nobody_saw_are_skipped_to_the_row(void **state)
{
    (void)state;
    for (int comes_back = 0; comes_back < 2; comes_back++) {
        rig_make(NULL);
        struct store_options o = rig_options();
        struct store *store = a_stream(&o, 20, 0, 0);
        uint64_t full = rig_rows(store), stored = 20 * full;
        struct tally t = tally_of(30 * full);
        struct draw_options options = draw_defaults(&t);
        options.shed = 1;
        struct draw *draw = open_draw(&options);
        struct draw_batch b;
        for (int i = 0; i < 6; i++) assert_ok(next(draw, BATCH, &t, &b));
        struct consumer_state s = state_of(draw);
        uint64_t ids[25];
        for (uint64_t i = 0; i < 25; i++) ids[i] = i + 1;
        assert_ok(store_begin(store));
        for (uint32_t n = 21; n <= 30; n++) {
            assert_ok(rig_put(store, &o, 0, n, n % 3 ? 5 * (n - 20) : 0));
            stored += n % 3 ? 5 * (n - 20) : full;
        }
        assert_ok(store_commit(store));
        free_all(store, ids, 25);
        struct store_state now = *store_state(store);
        now.replaced_slabs = 25;
        now.ended = 1;
        assert_ok(store_begin(store));
        assert_ok(store_state_put(store, &now));
        assert_ok(store_commit(store));
        if (comes_back) {
            draw_close(draw);
            draw = open_draw(&options);
            assert_ok(draw_resume(draw, &s));
        }
        draw_to_the_end(draw, &t);
        const struct consumer_state *c = draw_state(draw);
        assert_true(c->rows_held_out > 0 && c->rows_skipped > 0);
        assert_int_equal(c->rows_drawn + c->rows_skipped + 2 * c->rows_held_out, 2 * stored);
        assert_int_equal(c->producer[0].lowest, 31);
        consumer_state_free(&s);
        draw_close(draw);
        store_close(store);
        tally_free(&t);
        rig_remove(NULL);
    }
}

/* Slabs that go by age need not be the oldest by id, as producers' clocks differ. */
static void slabs_that_expire_in_the_middle_are_skipped_to_the_row(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 20, 0, 0);
    struct tally t = tally_of(20 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.shed = 1;
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    for (int i = 0; i < 6; i++) assert_ok(next(draw, BATCH, &t, &b));
    static const uint64_t ids[] = {3, 7, 8, 15};
    free_all(store, ids, 4);
    struct store_state now = *store_state(store);
    now.replaced_slabs = 4;
    now.ended = 1;
    assert_ok(store_begin(store));
    assert_ok(store_state_put(store, &now));
    assert_ok(store_commit(store));
    draw_to_the_end(draw, &t);
    const struct consumer_state *c = draw_state(draw);
    assert_true(c->rows_skipped > 0);
    assert_int_equal(c->rows_drawn + c->rows_skipped + 2 * c->rows_held_out, 2 * t.rows);
    assert_int_equal(c->producer[0].lowest, 21);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* Slabs that were replaced while a consumer was away lie before some that it had finished: each is
 * passed over once, and the state that it writes then can be read. */
static void slabs_replaced_before_finished_ones_are_skipped_once(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 20, 0, 0);
    struct tally t = tally_of(20 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.shed = 1;
    options.held_out_one_in = 0;
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    struct consumer_state s;
    size_t finished = 0;
    do {
        assert_ok(next(draw, BATCH, &t, &b));
        s = state_of(draw);
        for (size_t i = finished = 0; i < s.slabs; i++) finished += s.slab[i].finished;
        if (finished < 3) consumer_state_free(&s);
    } while (finished < 3);
    draw_close(draw);
    for (uint64_t n = 1; n <= 20; n++) free_all(store, &n, 1);
    rig_state(store, 1, 0, 1);
    draw = open_draw(&options);
    assert_ok(draw_resume(draw, &s));
    consumer_state_free(&s);
    assert_live_end(draw, &t, 20, rig_rows(store));
    s = state_of(draw);
    consumer_state_free(&s);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* A live buffer is lost and nothing was ever replaced: numbers go on beyond those that were known,
 * and nobody waits for the ones between, whether it was there or comes back. */
static void numbers_that_a_lost_live_buffer_leaves_out_are_skipped(void **state)
{
    (void)state;
    for (int comes_back = 0; comes_back < 2; comes_back++) {
        rig_make(NULL);
        struct store_options o = rig_options();
        struct store *store = a_stream(&o, 12, 0, 0);
        struct tally t = tally_of(1010 * rig_rows(store));
        struct draw_options options = draw_defaults(&t);
        options.shed = 1;
        options.held_out_one_in = 0;
        struct draw *draw = open_draw(&options);
        struct draw_batch b;
        for (int i = 0; i < 7; i++) assert_ok(next(draw, BATCH, &t, &b));
        struct consumer_state s = state_of(draw);
        store_close(store);
        char aside[256];
        assert_ok(store_set_aside(rig_dir, aside, sizeof aside));
        store = rig_open(&o);
        rig_fill(store, &o, 0, 1001, 1011);
        descriptor(store);
        rig_state(store, 1, 0, 1);
        if (comes_back) {
            draw_close(draw);
            draw = open_draw(&options);
            assert_ok(draw_resume(draw, &s));
        }
        assert_live_end(draw, &t, 1010, rig_rows(store));
        assert_int_equal(store_state(store)->replaced_slabs, 0);
        consumer_state_free(&s);
        draw_close(draw);
        store_close(store);
        tally_free(&t);
        rig_remove(NULL);
    }
}

static void a_consumer_told_to_stop_needs_nothing_more(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 10, 0, 1);
    struct tally t = tally_of(10 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    assert_ok(next(draw, BATCH, &t, &b));
    draw_finish(draw);
    assert_int_equal(next(draw, BATCH, &t, &b), ERR_NOTFOUND);
    const struct consumer_state *c = draw_state(draw);
    assert_true(consumer_finished(c, 0, 10));
    assert_int_equal(c->rows_drawn + c->rows_skipped + 2 * c->rows_held_out, 2 * t.rows);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

/* ---- what is refused ---- */

static void refuse(const struct draw_options *o, int code, const char *text)
{
    struct draw *draw;
    assert_int_equal(draw_open(o, &draw), code);
    if (!strstr(err_text(), text)) fail_msg("'%s' is not in: %s", text, err_text());
}

/* As a sink does it, once it knows of the damage. */
static void make_again(const struct store_options *o)
{
    char aside[256];
    assert_ok(store_set_aside(rig_dir, aside, sizeof aside));
    store_close(a_stream(o, 12, 0, 1));
}

struct opened {
    struct environment e;
    MDB_txn *txn;
};

/* While no store is open; a draw may be. */
static struct opened begin_changes(const struct store_options *o)
{
    struct opened x;
    assert_ok(environment_open_writing(rig_dir, o->size_bytes, DURABILITY_PROCESS, &x.e));
    assert_int_equal(mdb_txn_begin(x.e.env, NULL, 0, &x.txn), 0);
    return x;
}

static void change_byte(struct opened *x, MDB_dbi dbi, MDB_val key, size_t at)
{
    MDB_val value;
    assert_int_equal(mdb_get(x->txn, dbi, &key, &value), 0);
    char *copy = malloc(value.mv_size);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[at] ^= 1;
    value.mv_data = copy;
    assert_int_equal(mdb_put(x->txn, dbi, &key, &value, 0), 0);
    free(copy);
}

static void end_changes(struct opened *x)
{
    assert_int_equal(mdb_txn_commit(x->txn), 0);
    environment_close(&x->e);
}

enum kind { PAYLOAD, TWO_PAYLOADS, ALL_PAYLOADS, HEADER, STATE, RECORD, NO_STATE, HIDDEN, KINDS };

static void damage(const struct store_options *o, enum kind kind, uint64_t slabs)
{
    struct opened x = begin_changes(o);
    uint64_t id = slabs;
    MDB_val key = {sizeof id, &id};
    for (; kind <= ALL_PAYLOADS && id > 0; id--)
        if (id == slabs || (kind == TWO_PAYLOADS && id == 3) || kind == ALL_PAYLOADS)
            change_byte(&x, x.e.slabs, key, STORE_SLAB_HEADER_BYTES + 9000);
    id = slabs;
    if (kind == HEADER)
        change_byte(&x, x.e.slabs, key, offsetof(struct slab_header, begin) + 2);
    else if (kind == STATE)
        change_byte(&x, x.e.meta, (MDB_val){5, "state"}, offsetof(struct store_state, ended));
    else if (kind == RECORD)
        change_byte(&x, x.e.meta, (MDB_val){12, "producer/000"}, 0);
    else if (kind == NO_STATE)
        assert_int_equal(mdb_del(x.txn, x.e.meta, &(MDB_val){5, "state"}, NULL), 0);
    else if (kind == HIDDEN)
        assert_int_equal(mdb_del(x.txn, x.e.slabs, &key, NULL), 0);
    end_changes(&x);
}

/* Draw on until there is nothing to draw. */
static void draw_until_it_waits(struct draw *draw, struct tally *t)
{
    struct draw_batch b;
    int result;
    while ((result = next(draw, BATCH, t, &b)) == ERR_OK) {
    }
    if (result != ERR_AGAIN) fail_msg("%s: %s", err_str(result), err_text());
}

/* Whatever is found, and whoever finds it (a batch, the held-out rows of what is new): what was
 * drawn until then is known, the sink is told, and the draw goes on in the buffer that comes. */
static void damage_is_told_and_waited_out(void **state)
{
    (void)state;
    for (int again = 0; again < 2 * KINDS; again++) {
        enum kind kind = (enum kind)(again % KINDS);
        int comes_back = again >= KINDS; /* the trainer dies of something else meanwhile */
        rig_make(NULL);
        struct store_options o = rig_options();
        struct store *store = a_stream(&o, 8, 0, 0);
        struct tally t = tally_of(12 * rig_rows(store));
        struct draw_options options = draw_defaults(&t);
        struct draw *draw = open_draw(&options);
        struct draw_batch b;
        t.in_any_order = 1;
        for (int i = 0; i < 5; i++) assert_ok(next(draw, BATCH, &t, &b));
        rig_fill(store, &o, 0, 9, 13);
        rig_state(store, 1, 0, 1);
        store_close(store);
        damage(&o, kind, 12);
        draw_until_it_waits(draw, &t);
        if (kind == HIDDEN) { /* a slab that is counted and not there, for long */
            assert_string_equal(draw_damage(draw), "");
            assert_true(draw_gauges(draw).missing_slabs == 1);
            draw->missing_since_ns = 1;
            draw_until_it_waits(draw, &t);
        }
        assert_true(draw_damage(draw)[0] != 0);
        assert_int_equal(damage_check(rig_dir, 0), ERR_CORRUPT);
        assert_non_null(strstr(err_text(), "main"));
        assert_int_equal(next(draw, BATCH, &t, &b), ERR_AGAIN);
        if (comes_back) {
            struct consumer_state s = state_of(draw);
            draw_close(draw);
            make_again(&o);
            draw = open_draw(&options);
            assert_ok(draw_resume(draw, &s));
            consumer_state_free(&s);
        } else {
            make_again(&o);
        }
        draw_to_the_end(draw, &t);
        assert_string_equal(draw_damage(draw), "");
        assert_exact(&t, 2);
        draw_close(draw);
        tally_free(&t);
        rig_remove(NULL);
    }
}

/* A batch that comes upon a damaged slab is filled from the others. */
static void a_batch_is_whole_in_spite_of_damage(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 12, 0, 1);
    struct tally t = tally_of(12 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.held_out_one_in = 0;
    store_close(store);
    damage(&o, TWO_PAYLOADS, 12);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    assert_ok(next(draw, BATCH, &t, &b));
    assert_int_equal(b.rows, BATCH);
    assert_int_equal(next(draw, BATCH, &t, &b), ERR_AGAIN);
    assert_non_null(strstr(draw_damage(draw), "of producer 0"));
    draw_close(draw);
    tally_free(&t);
}

/* What was checked once is not where it was any more: one slab's value under the key of another. */
static void slabs_that_change_places_are_found(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 12, 0, 1);
    struct tally t = tally_of(12 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    for (int i = 0; i < 5; i++) assert_ok(next(draw, BATCH, &t, &b)); /* all are checked */
    store_close(store);
    struct opened x = begin_changes(&o);
    uint64_t from = 3, to = 4;
    MDB_val key = {sizeof from, &from}, other = {sizeof to, &to}, value;
    assert_int_equal(mdb_get(x.txn, x.e.slabs, &key, &value), 0);
    char *copy = malloc(value.mv_size);
    memcpy(copy, value.mv_data, value.mv_size);
    value.mv_data = copy;
    assert_int_equal(mdb_put(x.txn, x.e.slabs, &other, &value, 0), 0);
    free(copy);
    end_changes(&x);
    draw_until_it_waits(draw, &t);
    assert_non_null(strstr(draw_damage(draw), "slab 4 of producer 0"));
    make_again(&o);
    draw_to_the_end(draw, &t);
    assert_exact(&t, 2);
    draw_close(draw);
    tally_free(&t);
}

/* Nothing is read of a file that has become shorter: pages behind its end are zeros, or a signal. */
static void a_file_cut_short_under_a_draw_is_found(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 12, 0, 1);
    struct tally t = tally_of(12 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    char path[128];
    for (int i = 0; i < 5; i++) assert_ok(next(draw, BATCH, &t, &b));
    store_close(store);
    snprintf(path, sizeof path, "%s/data.mdb", rig_dir);
    assert_int_equal(truncate(path, 20 * 4096), 0);
    assert_int_equal(next(draw, BATCH, &t, &b), ERR_AGAIN);
    assert_non_null(strstr(draw_damage(draw), "cut short"));
    make_again(&o);
    draw_to_the_end(draw, &t);
    assert_exact(&t, 2);
    draw_close(draw);
    tally_free(&t);
}

/* It comes to an end where there is nothing sound to draw. */
static void nothing_is_drawn_where_all_is_damaged(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 12, 0, 1);
    struct tally t = tally_of(12 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.held_out_one_in = 0;
    store_close(store);
    damage(&o, ALL_PAYLOADS, 12);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    alarm(20);
    assert_int_equal(next(draw, BATCH, &t, &b), ERR_AGAIN);
    alarm(0);
    assert_true(draw_damage(draw)[0] != 0);
    draw_close(draw);
    tally_free(&t);
}

/* Of a buffer that cannot be opened nobody knows the identity: that of the one before is not its. */
static void a_second_damaged_buffer_is_told_as_well(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 12, 0, 0);
    struct tally t = tally_of(12 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    char aside[256];
    assert_ok(next(draw, BATCH, &t, &b));
    store_close(store);
    assert_ok(store_set_aside(rig_dir, aside, sizeof aside));
    store = a_stream(&o, 12, 0, 0);
    uint64_t run = store_state(store)->run;
    store_close(store);
    damage(&o, NO_STATE, 12);
    assert_int_equal(next(draw, BATCH, &t, &b), ERR_AGAIN);
    assert_int_equal(damage_check(rig_dir, run), ERR_CORRUPT);
    draw_close(draw);
    tally_free(&t);
}

static void damage_is_told_where_it_is_found_first(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    store_close(a_stream(&o, 4, 0, 1));
    struct draw_options options = draw_defaults(NULL);
    damage(&o, NO_STATE, 4);
    for (int i = 0; i < 2; i++) refuse(&options, ERR_CORRUPT, "the sink sets such a buffer aside");
    assert_int_equal(damage_check(rig_dir, 0), ERR_CORRUPT);
    make_again(&o);
    draw_close(open_draw(&options));
}

/* A replay has no sink, and its folder may be a copy: nothing is written there. */
static void a_replay_names_the_damaged_slab(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = a_stream(&o, 10, 0, 1);
    struct tally t = tally_of(10 * rig_rows(store));
    struct draw_options options = draw_defaults(&t);
    options.held_out_one_in = 0;
    options.replay = 1;
    store_close(store);
    damage(&o, PAYLOAD, 7);
    struct draw *draw = open_draw(&options);
    struct draw_batch b;
    int result;
    while ((result = next(draw, BATCH, &t, &b)) == ERR_OK) {
    }
    assert_int_equal(result, ERR_CORRUPT);
    assert_non_null(strstr(err_text(), "slab 7 of producer 0"));
    assert_ok(damage_check(rig_dir, 0));
    draw_close(draw);
    damage(&o, NO_STATE, 7);
    refuse(&options, ERR_CORRUPT, "a sound copy");
    assert_ok(damage_check(rig_dir, 0));
    tally_free(&t);
}

static void what_cannot_be_drawn_is_refused(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct draw_options options = draw_defaults(NULL), other = options;
    refuse(&options, ERR_NOTFOUND, "no buffer");
    struct store *store = rig_open(&o);
    refuse(&options, ERR_NOTFOUND, "");
    descriptor(store);
    other.stream = "other";
    refuse(&other, ERR_MISMATCH, "'rig'");
    other = options;
    uint64_t capacity_rows = store_capacity(store) * rig_rows(store);
    other.batch_rows = (uint32_t)(capacity_rows / 4 + 1);
    refuse(&other, ERR_USAGE, "a quarter");
    other = options;
    other.min_rows = capacity_rows + 1;
    refuse(&other, ERR_USAGE, "min_rows");
    other = options;
    other.reuse = 0;
    refuse(&other, ERR_USAGE, "reuse");
    struct draw *draw = open_draw(&options);
    struct draw_batch b = {.values = batch_values, .ids = batch_ids, .rows = BATCH + 1};
    assert_int_equal(draw_next(draw, &b), ERR_LIMIT);
    assert_string_equal(draw_descriptor(draw), "{}");
    assert_int_equal(draw_width(draw), RIG_WIDTH);
    draw_close(draw);
    store_close(store);
    char path[128];
    snprintf(path, sizeof path, "%s/boot", rig_dir);
    assert_ok(file_replace(path, "another-boot\n", 13));
    refuse(&options, ERR_CORRUPT, "when the machine went down");
}

#define test(f) cmocka_unit_test_setup_teardown(f, rig_make, rig_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(an_ended_stream_is_drawn_to_the_last_row),
        cmocka_unit_test(every_dtype_is_read),
        test(a_resume_draws_the_same_rows_in_the_same_order),
        test(so_does_one_whose_slabs_wait_for_a_place),
        test(so_does_a_replay),
        test(a_look_draws_nothing),
        test(who_hurries_does_not_wait_for_more_rows),
        cmocka_unit_test(a_replay_does_not_depend_on_the_order_of_storing),
        test(another_seed_is_another_order),
        test(a_state_of_another_is_refused),
        test(a_slab_that_comes_again_goes_on_where_it_was),
        test(a_finished_slab_is_not_missed),
        test(a_remade_slab_with_other_rows_is_refused),
        test(a_draw_goes_over_to_the_new_buffer),
        test(a_held_out_row_that_cannot_be_kept_stops_the_draw),
        test(held_out_rows_do_not_wait_for_a_gap),
        test(held_out_rows_above_a_gap_come_once),
        test(too_few_rows_wait_only_while_more_is_coming),
        test(small_batches_come_only_at_the_end_or_from_a_full_buffer),
        test(only_so_many_slabs_are_active),
        test(slabs_that_expire_out_of_order_are_missed_at_once),
        test(rows_that_expire_are_drawn_before_they_do),
        test(replaced_slabs_are_counted_as_skipped),
        test(slabs_that_expire_in_the_middle_are_skipped_to_the_row),
        test(slabs_replaced_while_a_consumer_was_away_are_skipped),
        test(slabs_replaced_before_finished_ones_are_skipped_once),
        cmocka_unit_test(short_slabs_that_nobody_saw_are_skipped_to_the_row),
        cmocka_unit_test(numbers_that_a_lost_live_buffer_leaves_out_are_skipped),
        test(a_consumer_told_to_stop_needs_nothing_more),
        cmocka_unit_test(damage_is_told_and_waited_out),
        test(a_batch_is_whole_in_spite_of_damage),
        test(slabs_that_change_places_are_found),
        test(a_file_cut_short_under_a_draw_is_found),
        test(nothing_is_drawn_where_all_is_damaged),
        test(a_second_damaged_buffer_is_told_as_well),
        test(damage_is_told_where_it_is_found_first),
        test(a_replay_names_the_damaged_slab),
        test(what_cannot_be_drawn_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
