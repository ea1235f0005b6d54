/*
 * How well batches are mixed: pairs of rows of one sequence in a batch of 4,096, out of a buffer of
 * 270 sequences of 511 rows, against what a uniform draw from the same rows must give, computed
 * here from the rows that are left; full and left alone, and while slabs come and go.
 */
#include "tests/unit/buffer/rig.h"

#include <math.h>

#include "buffer/draw.h"
#include "buffer/quality.h"

enum { BATCH = 4096, SEQUENCE_ROWS = 511, WIDTH = 4, SEQUENCES = 4000, LEAST_SEQUENCES = 250 };

struct mix {
    struct store_options options;
    struct store *store;
    uint64_t next_number, frames;
    uint32_t left[SEQUENCES]; /* rows of a sequence that are stored and not drawn */
    double pairs, ideal_pairs, told_pairs, told_ideal_pairs; /* sums over batches */
    double told_entropy, told_ideal_entropy;
    int batches;
};

static float values[BATCH * WIDTH];
static struct row_id ids[BATCH];

static void add_frame(struct mix *m)
{
    uint64_t rows = rig_rows(m->store), first = (m->next_number - 1) * rows;
    assert_ok(rig_put(m->store, &m->options, 0, m->next_number, 0));
    for (uint64_t r = first; r < first + rows; r++) m->left[r / SEQUENCE_ROWS]++;
    m->next_number++;
}

static void mix_open(struct mix *m)
{
    memset(m, 0, sizeof *m);
    rig_sequence_rows = SEQUENCE_ROWS;
    m->options = rig_options();
    m->options.width = WIDTH;
    m->options.dtype = DTYPE_BF16;
    m->options.slab_bytes = 2 * 4096 - 16;
    m->options.size_bytes = 4 << 20;
    m->store = rig_open(&m->options);
    m->next_number = 1;
    assert_ok(store_descriptor_put(m->store, "{}", 2));
    assert_true(store_capacity(m->store) * rig_rows(m->store) > LEAST_SEQUENCES * SEQUENCE_ROWS);
    assert_ok(store_begin(m->store));
    while (m->next_number <= store_capacity(m->store)) add_frame(m);
    assert_ok(store_commit(m->store));
    rig_state(m->store, 1, 0, 0);
}

static void mix_close(struct mix *m)
{
    store_close(m->store);
    rig_sequence_rows = RIG_SEQUENCE_ROWS;
}

static struct draw *draw_of(uint32_t reuse, int shuffle)
{
    struct draw_options o = {
        .dir = rig_dir,
        .stream = "rig",
        .consumer = "main",
        .reuse = reuse,
        .batch_rows = BATCH,
        .seed = 11,
        .shuffle = shuffle,
    };
    struct draw *draw;
    assert_ok(draw_open(&o, &draw));
    return draw;
}

static double expected_pairs(const struct mix *m)
{
    double n = 0, pairs = 0;
    for (int s = 0; s < SEQUENCES; s++) n += m->left[s];
    for (int s = 0; s < SEQUENCES; s++) pairs += m->left[s] * (m->left[s] - 1.0);
    return pairs / (n * (n - 1)) * BATCH * (BATCH - 1.0) / 2;
}

static double pairs_of_batch(size_t rows)
{
    static uint32_t count[SEQUENCES];
    double pairs = 0;
    memset(count, 0, sizeof count);
    for (size_t i = 0; i < rows; i++) pairs += count[ids[i].sequence / 16]++;
    return pairs;
}

/* One batch; once: its rows have no draw left after it. */
static int take_batch(struct mix *m, struct draw *draw, int once)
{
    struct draw_batch b = {.values = values, .ids = ids, .rows = BATCH};
    int result = draw_next(draw, &b);
    if (result != ERR_OK) return result;
    assert_int_equal(b.rows, BATCH);
    double pairs = pairs_of_batch(b.rows);
    m->ideal_pairs += expected_pairs(m);
    m->pairs += pairs;
    assert_true(fabs(pairs - b.same_sequence_pairs) < 0.5);
    m->told_pairs += b.same_sequence_pairs;
    m->told_ideal_pairs += b.ideal_same_sequence_pairs;
    m->told_entropy += b.entropy;
    m->told_ideal_entropy += b.ideal_entropy;
    m->batches++;
    for (size_t i = 0; once && i < b.rows; i++) m->left[ids[i].sequence / 16]--;
    return ERR_OK;
}

static void assert_well_mixed(const struct mix *m, double least)
{
    double ratio = m->pairs / m->ideal_pairs, told = m->told_ideal_pairs / m->ideal_pairs;
    double entropy = m->told_entropy / m->told_ideal_entropy;
    print_message("%d batches: pairs %.3f of the ideal, entropy %.4f; the ideal as told %.3f\n",
                  m->batches, ratio, entropy, told);
    assert_true(ratio > least && ratio < 1.1);
    assert_true(told > 0.9 && told < 1.1);
    assert_true(entropy >= 0.99);
}

static void a_full_buffer_is_mixed(void **state)
{
    (void)state;
    struct mix m;
    mix_open(&m);
    struct draw *draw = draw_of(1, 1);
    for (int i = 0; i < 16; i++) assert_ok(take_batch(&m, draw, 1));
    assert_well_mixed(&m, 0.9);
    draw_close(draw);
    mix_close(&m);
}

static void with_reuse_it_is_mixed_all_the_same(void **state)
{
    (void)state;
    struct mix m;
    mix_open(&m);
    struct draw *draw = draw_of(4, 1);
    for (int i = 0; i < 48; i++) assert_ok(take_batch(&m, draw, 0)); /* not into the last pass */
    assert_well_mixed(&m, 0.9);
    draw_close(draw);
    mix_close(&m);
}

static void free_finished(struct mix *m, const struct consumer_state *s)
{
    assert_ok(store_begin(m->store));
    for (uint64_t i = 0; i < store_count(m->store); i++) {
        struct slab_ref ref = store_slab(m->store, i);
        if (consumer_finished(s, 0, ref.number)) assert_ok(store_free(m->store, &ref.id, 1));
    }
    assert_ok(store_commit(m->store));
}

/* Fill up, a few frames a commit: pages of freed slabs come back two commits later. */
static void fill_up(struct mix *m, uint64_t most)
{
    while (store_count(m->store) < store_capacity(m->store) && m->next_number < most) {
        assert_ok(store_begin(m->store));
        for (int i = 0; i < 8 && store_state(m->store)->slabs < store_capacity(m->store); i++)
            add_frame(m);
        assert_ok(store_commit(m->store));
    }
}

/* What is finished is freed, and new slabs take its place: eight buffers' worth. Slabs that are
 * nearly empty are drawn from as often as full ones, so there are even fewer pairs than in a draw
 * that is uniform over rows. */
static void a_stream_is_mixed_as_it_passes(void **state)
{
    (void)state;
    struct mix m;
    mix_open(&m);
    struct draw *draw = draw_of(1, 1);
    uint64_t most = 8 * store_capacity(m.store);
    while (m.next_number < most) {
        assert_ok(take_batch(&m, draw, 1));
        free_finished(&m, draw_state(draw));
        fill_up(&m, most);
    }
    assert_well_mixed(&m, 0.7);
    draw_close(draw);
    mix_close(&m);
}

/* The control: in order, the same measure is over ten times the ideal. */
static void without_the_shuffle_it_is_ten_times_as_bad(void **state)
{
    (void)state;
    struct mix m;
    mix_open(&m);
    struct draw *draw = draw_of(1, 0);
    for (int i = 0; i < 16; i++) assert_ok(take_batch(&m, draw, 1));
    print_message("pairs %.1f times the ideal\n", m.pairs / m.ideal_pairs);
    assert_true(m.pairs > 10 * m.ideal_pairs);
    assert_true(m.told_pairs > 10 * m.told_ideal_pairs);
    draw_close(draw);
    mix_close(&m);
}

static void quality_counts_right(void **state)
{
    (void)state;
    struct quality q;
    double pairs, entropy;
    assert_ok(quality_init(&q, 10));
    for (int round = 0; round < 3; round++) { /* it is empty again each time */
        quality_empty(&q);
        const uint64_t words[] = {7, 7, 7, 8, 9, 9, 0, 1, 2, 3};
        for (int i = 0; i < 10; i++) quality_add(&q, words[i]);
        assert_int_equal(quality_add(&q, 3), 2);
        quality_of(&q, 11, &pairs, &entropy);
        assert_true(fabs(pairs - 5) < 1e-9);
        double expected = -(3 * log(3 / 11.0) + 4 * log(2 / 11.0) + 4 * log(1 / 11.0)) / 11;
        assert_true(fabs(entropy - expected) < 1e-9);
    }
    quality_fini(&q);
}

#define test(f) cmocka_unit_test_setup_teardown(f, rig_make, rig_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quality_counts_right),           test(a_full_buffer_is_mixed),
        test(with_reuse_it_is_mixed_all_the_same),        test(a_stream_is_mixed_as_it_passes),
        test(without_the_shuffle_it_is_ten_times_as_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
