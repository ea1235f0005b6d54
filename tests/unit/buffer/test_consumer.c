#include "tests/unit/buffer/rig.h"

#include "buffer/consumer.h"

enum { PRODUCERS = 3, UNFINISHED = 5, FINISHED = 7 };

static struct consumer_state a_state(void)
{
    struct consumer_state s = {
        .name = "main",
        .stream = 12345,
        .checkpoint_request = 9,
        .producers = PRODUCERS,
        .slabs = UNFINISHED + FINISHED,
        .rows_drawn = 1000,
        .rows_held_out = 77,
        .rows_skipped = 3,
        .rng = {1, 2, 3, 4},
        .passed = 4,
    };
    s.producer = calloc(PRODUCERS, sizeof *s.producer);
    s.slab = calloc(s.slabs, sizeof *s.slab);
    for (uint32_t p = 0; p < PRODUCERS; p++)
        s.producer[p] = (struct consumer_producer){
            .lowest = 10 + p, .cursor = {5, 6, 7, 8, 0}, .harvested = 20, .epoch = 2};
    for (uint32_t i = 0; i < UNFINISHED; i++)
        s.slab[i] = (struct consumer_slab){.number = 40 - i, .drawn = i, .producer = i % PRODUCERS};
    for (uint32_t i = 0; i < FINISHED; i++)
        s.slab[UNFINISHED + i] =
            (struct consumer_slab){.number = 13 + 2 * i, .producer = i < 4 ? 0 : 2, .finished = 1};
    return s;
}

static void assert_same(const struct consumer_state *a, const struct consumer_state *b)
{
    struct consumer_state x = *a, y = *b;
    x.producer = y.producer = NULL;
    x.slab = y.slab = NULL;
    assert_memory_equal(&x, &y, sizeof x);
    assert_memory_equal(a->producer, b->producer, a->producers * sizeof *a->producer);
    assert_memory_equal(a->slab, b->slab, a->slabs * sizeof *a->slab);
}

static void a_state_comes_back_as_it_was(void **state)
{
    (void)state;
    struct consumer_state s = a_state(), back;
    assert_ok(consumer_write(rig_dir, &s));
    assert_ok(consumer_read(rig_dir, "main", &back));
    assert_same(&s, &back);
    assert_int_equal(consumer_read(rig_dir, "other", &back), ERR_NOTFOUND);
    consumer_state_free(&back);
    assert_null(back.slab);
    assert_ok(consumer_drop(rig_dir, "main"));
    assert_int_equal(consumer_read(rig_dir, "main", &back), ERR_NOTFOUND);
    assert_ok(consumer_drop(rig_dir, "main"));
    consumer_state_free(&s);
}

static void every_truncation_and_flipped_bit_is_refused(void **state)
{
    (void)state;
    struct consumer_state s = a_state(), back;
    unsigned char *data;
    size_t bytes;
    assert_ok(consumer_state_encode(&s, (void **)&data, &bytes));
    for (size_t n = 0; n < bytes; n++) {
        unsigned char *cut = malloc(n + 1);
        memcpy(cut, data, n);
        assert_int_not_equal(consumer_state_decode(cut, n, &back), ERR_OK);
        assert_null(back.slab);
        free(cut);
    }
    for (size_t i = 0; i < bytes * 8; i++) {
        data[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_int_not_equal(consumer_state_decode(data, bytes, &back), ERR_OK);
        data[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    assert_ok(consumer_state_decode(data, bytes, &back));
    consumer_state_free(&back);
    free(data);
    consumer_state_free(&s);
}

static void another_version_is_refused(void **state)
{
    (void)state;
    struct consumer_state s = a_state(), back;
    unsigned char *data;
    size_t bytes;
    assert_ok(consumer_state_encode(&s, (void **)&data, &bytes));
    data[8]++;
    uint64_t sum = XXH3_64bits(data, bytes - sizeof sum);
    memcpy(data + bytes - sizeof sum, &sum, sizeof sum);
    assert_int_equal(consumer_state_decode(data, bytes, &back), ERR_VERSION);
    free(data);
    consumer_state_free(&s);
}

/* A state whose checksum is right but whose parts contradict each other breaks the lookups. */
static void refuse(struct consumer_state *s)
{
    struct consumer_state back;
    void *data;
    size_t bytes;
    assert_ok(consumer_state_encode(s, &data, &bytes));
    assert_int_equal(consumer_state_decode(data, bytes, &back), ERR_FORMAT);
    free(data);
    consumer_state_free(s);
}

static void contradictions_are_refused(void **state)
{
    (void)state;
    struct consumer_state s = a_state();
    s.slab[UNFINISHED + 1].number = s.slab[UNFINISHED].number;
    refuse(&s);
    s = a_state();
    s.slab[UNFINISHED + 2].finished = 0;
    refuse(&s);
    s = a_state();
    s.slab[0].producer = PRODUCERS;
    refuse(&s);
    s = a_state();
    s.slab[0].number = 1; /* below the lowest */
    refuse(&s);
    s = a_state();
    s.passed = s.slabs + 1;
    refuse(&s);
    s = a_state();
    memset(s.name, 'x', sizeof s.name);
    refuse(&s);
    s = a_state();
    s.producer[1].lowest = 0;
    refuse(&s);
}

static void finished_is_what_the_state_says(void **state)
{
    (void)state;
    struct consumer_state s = a_state();
    assert_true(consumer_finished(&s, 0, 9));   /* below the lowest */
    assert_false(consumer_finished(&s, 0, 10)); /* the lowest itself */
    for (uint64_t n = 13; n <= 19; n++) assert_int_equal(consumer_finished(&s, 0, n), n % 2);
    assert_false(consumer_finished(&s, 0, 21)); /* producer 2 has it */
    assert_true(consumer_finished(&s, 2, 21));
    assert_true(consumer_finished(&s, 2, 25));
    assert_false(consumer_finished(&s, 2, 27));
    assert_false(consumer_finished(&s, 1, 13));
    assert_false(consumer_finished(&s, 0, 40)); /* partly drawn */
    assert_false(consumer_finished(&s, 7, 1));  /* of a producer never seen */
    assert_int_equal(consumer_finished_slabs(&s), 9 + 10 + 11 + FINISHED);
    s.finished = 1;
    assert_true(consumer_finished(&s, 7, 1));
    consumer_state_free(&s);
}

static void names_stay_inside_their_folder(void **state)
{
    (void)state;
    struct consumer_state s = {0};
    const char *names[] = {"", ".", "..", "../x", "a/b", ".hidden"};
    for (int i = 0; i < 6; i++) {
        snprintf(s.name, sizeof s.name, "%s", names[i]);
        assert_int_equal(consumer_write(rig_dir, &s), ERR_USAGE);
        assert_int_equal(consumer_read(rig_dir, names[i], &s), ERR_USAGE);
        assert_int_equal(consumer_drop(rig_dir, names[i]), ERR_USAGE);
    }
}

static void a_state_under_another_name_is_refused(void **state)
{
    (void)state;
    struct consumer_state s = a_state(), back;
    char from[128], to[128];
    assert_ok(consumer_write(rig_dir, &s));
    snprintf(from, sizeof from, "%s/CONSUMERS/main.state", rig_dir);
    snprintf(to, sizeof to, "%s/CONSUMERS/second.state", rig_dir);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(consumer_read(rig_dir, "second", &back), ERR_FORMAT);
    consumer_state_free(&s);
}

static void progress_is_read_while_it_is_written(void **state)
{
    (void)state;
    struct consumer_progress p = {.stream = 1, .finished_slabs = 7, .waiting = 1}, back;
    int fd;
    assert_int_equal(consumer_progress_read(rig_dir, "main", &back), ERR_NOTFOUND);
    assert_ok(consumer_progress_open(rig_dir, "main", &fd));
    assert_int_equal(consumer_progress_read(rig_dir, "main", &back), ERR_NOTFOUND);
    assert_ok(consumer_progress_write(fd, &p));
    assert_ok(consumer_progress_read(rig_dir, "main", &back));
    assert_memory_equal(&p, &back, sizeof p);
    p.finished_slabs = 8;
    assert_ok(consumer_progress_write(fd, &p));
    assert_ok(consumer_progress_read(rig_dir, "main", &back));
    assert_int_equal(back.finished_slabs, 8);
    assert_int_equal(ftruncate(fd, 10), 0);
    assert_int_equal(consumer_progress_read(rig_dir, "main", &back), ERR_FORMAT);
    close(fd);
}

#define test(f) cmocka_unit_test_setup_teardown(f, rig_make, rig_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_state_comes_back_as_it_was),
        test(every_truncation_and_flipped_bit_is_refused),
        test(another_version_is_refused),
        test(contradictions_are_refused),
        test(finished_is_what_the_state_says),
        test(names_stay_inside_their_folder),
        test(a_state_under_another_name_is_refused),
        test(progress_is_read_while_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
