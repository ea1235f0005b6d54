#include "tests/unit/buffer/rig.h"

#include "buffer/coverage.h"

/* A consumer that has finished all below `lowest` and, above it, the numbers given (0 ends
 * them). */
static struct consumer_state one(uint64_t lowest, const uint64_t *finished)
{
    struct consumer_state s = {.name = "c", .producers = 1};
    s.producer = calloc(1, sizeof *s.producer);
    s.slab = calloc(16, sizeof *s.slab);
    s.producer[0] = (struct consumer_producer){
        .lowest = lowest, .harvested = lowest, .epoch = 3, .cursor = rig_cursor(0, lowest * 100)};
    for (; finished && *finished; finished++)
        s.slab[s.slabs++] = (struct consumer_slab){.number = *finished, .finished = 1};
    return s;
}

static struct store *a_store(uint64_t from, uint64_t to)
{
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, from, to);
    return store;
}

static void slabs_are_freed_when_all_have_finished_them(void **state)
{
    (void)state;
    struct store *store = a_store(1, 11);
    struct consumer_state a = one(4, (uint64_t[]){6, 8, 0}), b = one(3, (uint64_t[]){6, 7, 0});
    const struct consumer_state *both[] = {&a, &b}, *late[] = {&a, NULL};
    uint64_t ids[20];
    struct coverage c = {both, 2};
    assert_int_equal(coverage_freeable(&c, store, ids, 20), 3);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 2);
    assert_int_equal(ids[2], 6);
    assert_int_equal(coverage_freeable(&c, store, ids, 2), 2);
    assert_true(coverage_finished(&c, 0, 6));
    assert_false(coverage_finished(&c, 0, 7));
    c.states = late; /* one that has not begun covers nothing */
    assert_int_equal(coverage_freeable(&c, store, ids, 20), 0);
    c.consumers = 0; /* none declared: nothing is freed */
    assert_int_equal(coverage_freeable(&c, store, ids, 20), 0);
    assert_false(coverage_finished(&c, 0, 1));
    b.finished = 1; /* told to stop: needs nothing more */
    c = (struct coverage){both, 2};
    assert_int_equal(coverage_freeable(&c, store, ids, 20), 5);
    consumer_state_free(&a);
    consumer_state_free(&b);
    store_close(store);
}

static struct store_producer record_of(const struct store *store)
{
    struct store_producer record = {0};
    store_producer_get(store, 0, &record);
    return record;
}

static void a_producer_goes_back_to_what_is_lacking(void **state)
{
    (void)state;
    struct store *store = a_store(5, 11); /* 1 to 4 were freed, next is 11 */
    struct consumer_state a = one(5, NULL), b = one(3, (uint64_t[]){4, 0});
    const struct consumer_state *states[] = {&a, &b};
    struct coverage c = {states, 1};
    struct store_producer record = record_of(store);
    record.ended = 1;
    assert_int_equal(coverage_rewind(&c, store, 0, &record), 0);
    assert_int_equal(record.next_number, 11);
    assert_int_equal(record.ended, 1);
    c.consumers = 2; /* the second lacks 3 */
    assert_int_equal(coverage_rewind(&c, store, 0, &record), 1);
    assert_int_equal(record.next_number, 3);
    assert_int_equal(record.ended, 0);
    assert_memory_equal(&record.cursor, &b.producer[0].cursor, sizeof record.cursor);
    b.finished = 1; /* unless it needs nothing more */
    record = record_of(store);
    assert_int_equal(coverage_rewind(&c, store, 0, &record), 0);
    states[1] = NULL; /* one that is declared late lacks 1 */
    assert_int_equal(coverage_rewind(&c, store, 0, &record), 1);
    assert_int_equal(record.next_number, 1);
    consumer_state_free(&a);
    consumer_state_free(&b);
    store_close(store);
}

static void a_lost_buffer_begins_where_the_consumers_stand(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    struct consumer_state a = one(9, NULL), b = one(7, (uint64_t[]){8, 9, 0});
    const struct consumer_state *states[] = {&a, &b};
    struct coverage c = {states, 2};
    struct store_producer record = {0};
    assert_int_equal(coverage_rewind(&c, store, 0, &record), 1);
    assert_int_equal(record.next_number, 7);
    assert_int_equal(record.epoch, 3); /* or an older life of the producer would not be fenced */
    assert_memory_equal(&record.cursor, &b.producer[0].cursor, sizeof record.cursor);
    states[0] = states[1] = NULL;
    record = (struct store_producer){0};
    assert_int_equal(coverage_rewind(&c, store, 0, &record), 0);
    consumer_state_free(&a);
    consumer_state_free(&b);
    store_close(store);
}

static void uncovered_is_what_live_trainers_are_ahead(void **state)
{
    (void)state;
    struct store *store = a_store(3, 21); /* 1 and 2 were freed */
    struct consumer_state a = one(3, NULL), b = one(3, (uint64_t[]){5, 0});
    const struct consumer_state *states[] = {&a, &b};
    struct consumer_progress progress[2] = {{.finished_slabs = 2}, {.finished_slabs = 9}};
    struct coverage c = {states, 2};
    assert_int_equal(coverage_uncovered(&c, store, progress), 0);
    progress[0].finished_slabs = 7;
    assert_int_equal(coverage_uncovered(&c, store, progress), 5);
    progress[0].finished_slabs = 12; /* 9 by the other, of which 2 are covered by both */
    assert_int_equal(coverage_uncovered(&c, store, progress), 7);
    a.slab[a.slabs++] = (struct consumer_slab){.number = 5, .finished = 1};
    assert_int_equal(coverage_uncovered(&c, store, progress), 6);
    b.finished = 1; /* waits for nobody that needs nothing more */
    assert_int_equal(coverage_uncovered(&c, store, progress), 12 - 3);
    a.finished = 1;
    assert_int_equal(coverage_uncovered(&c, store, progress), 0);
    assert_true(coverage_all_finished(&c));
    a.finished = 0;
    assert_false(coverage_all_finished(&c));
    c.consumers = 0;
    assert_false(coverage_all_finished(&c));
    consumer_state_free(&a);
    consumer_state_free(&b);
    store_close(store);
}

#define test(f) cmocka_unit_test_setup_teardown(f, rig_make, rig_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(slabs_are_freed_when_all_have_finished_them),
        test(a_producer_goes_back_to_what_is_lacking),
        test(a_lost_buffer_begins_where_the_consumers_stand),
        test(uncovered_is_what_live_trainers_are_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
