#include "tests/unit/buffer/rig.h"

#include "buffer/draw.h"

enum { BATCH = 256, ONE_IN = 10 };

/* How often each row of a stream was drawn, and whether what was drawn is what was stored. */
struct tally {
    uint64_t rows; /* of producer 0 */
    uint8_t *drawn, *held_out;
    uint64_t last_held_out;
};

static struct tally tally_of(uint64_t rows)
{
    return (struct tally){rows, calloc(rows, 1), calloc(rows, 1), 0};
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
    assert_true(row >= t->last_held_out);
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

static void an_ended_stream_is_drawn_to_the_last_row(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    descriptor(store);
    rig_fill(store, &o, 0, 1, 21);
    assert_ok(store_begin(store));
    assert_ok(rig_put(store, &o, 0, 21, 13)); /* a short last slab */
    assert_ok(store_commit(store));
    rig_state(store, 1, 0, 1);
    struct tally t = tally_of(20 * rig_rows(store) + 13);
    struct draw_options options = draw_defaults(&t);
    struct draw *draw;
    struct draw_batch batch;
    assert_ok(draw_open(&options, &draw));
    int result;
    while ((result = next(draw, BATCH, &t, &batch)) == ERR_OK) {
    }
    assert_int_equal(result, ERR_NOTFOUND);
    assert_exact(&t, 2);
    const struct consumer_state *s = draw_state(draw);
    assert_int_equal(s->finished, 1);
    assert_int_equal(s->slabs, 0);
    assert_int_equal(s->producer[0].lowest, 22);
    assert_int_equal(s->producer[0].cursor.document, t.rows);
    assert_int_equal(s->rows_drawn + 2 * s->rows_held_out, 2 * t.rows);
    draw_close(draw);
    store_close(store);
    tally_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_ended_stream_is_drawn_to_the_last_row, rig_make,
                                        rig_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
