/* A scan: every slab once, as it was put; what goes before it is read is counted; nobody waits. */
#include "tests/unit/buffer/rig.h"

#include "buffer/damage.h"
#include "buffer/scan.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { SLABS = 40 };

static void describe(struct store *store)
{
    assert_ok(store_descriptor_put(store, "{\"a\": 1}", 8));
}

/* Frames from..to - 1, a commit each; tries again where pages are not free yet. */
static void put(struct store *store, uint64_t from, uint64_t to)
{
    struct store_options o = rig_options();
    for (uint64_t n = from; n < to; n++) {
        int result = ERR_AGAIN;
        for (int tries = 0; result == ERR_AGAIN && tries < 16; tries++) {
            assert_ok(store_begin(store));
            result = rig_put(store, &o, 0, n, 0);
            if (store_is_spoilt(store))
                store_abort(store);
            else
                assert_ok(store_commit(store));
        }
        assert_ok(result);
    }
}

static void free_oldest(struct store *store, uint64_t count)
{
    uint64_t ids[SLABS];
    for (uint64_t i = 0; i < count; i++) ids[i] = store_slab(store, i).id;
    assert_ok(store_begin(store));
    assert_ok(store_free(store, ids, count));
    assert_ok(store_commit(store));
}

static struct scan *look(void)
{
    struct scan *scan;
    assert_ok(scan_open(rig_dir, &scan));
    return scan;
}

/* A slab's rows are those of its frame. */
static void is_frame(const struct scan *scan, const struct scan_slab *slab)
{
    float values[RIG_WIDTH];
    for (uint32_t i = 0; i < slab->rows; i++) {
        struct row_id is = rows_id(slab->raw, i);
        struct row_id should = rig_id(slab->producer, (slab->number - 1) * slab->rows + i);
        assert_memory_equal(&is, &should, sizeof is);
        scan_values(scan, slab, i, values);
        for (uint32_t d = 0; d < RIG_WIDTH; d++)
            if (values[d] != rig_value(is, d)) fail_msg("another value");
    }
}

static uint64_t read_all(struct scan *scan)
{
    struct scan_slab slab;
    uint64_t count = 0, before = 0;
    int result;
    while ((result = scan_next(scan, &slab)) == ERR_OK) {
        assert_true(slab.number > before);
        before = slab.number;
        is_frame(scan, &slab);
        count++;
    }
    assert_int_equal(result, ERR_NOTFOUND);
    return count;
}

static void each_slab_is_read_once(void **state)
{
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    (void)state;
    describe(store);
    put(store, 1, SLABS + 1);
    struct scan *scan = look();
    assert_string_equal(scan_descriptor(scan), "{\"a\": 1}");
    assert_int_equal(read_all(scan), SLABS);
    assert_int_equal(read_all(scan), 0);
    assert_int_equal(scan_ended(scan), 0);
    put(store, SLABS + 1, SLABS + 4);
    assert_int_equal(read_all(scan), 3);
    assert_int_equal(scan_counts(scan).slabs, SLABS + 3);
    assert_int_equal(scan_counts(scan).missed_slabs, 0);
    scan_close(scan);
    store_close(store);
}

static void what_goes_is_counted(void **state)
{
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    struct scan_slab slab;
    (void)state;
    describe(store);
    put(store, 1, SLABS + 1);
    free_oldest(store, 4); /* before it looks: none of its business */
    struct scan *scan = look();
    assert_ok(scan_next(scan, &slab));
    assert_int_equal(slab.number, 5);
    free_oldest(store, 11);
    put(store, SLABS + 1, SLABS + 3);
    assert_int_equal(read_all(scan), SLABS - 15 + 2);
    assert_int_equal(scan_counts(scan).missed_slabs, 10);
    free_oldest(store, 5);
    put(store, SLABS + 3, SLABS + 6);
    free_oldest(store, store_count(store) - 1);
    assert_int_equal(read_all(scan), 1);
    assert_int_equal(scan_counts(scan).missed_slabs, 12);
    scan_close(scan);
    store_close(store);
}

/* Slabs come and go many times over while a scan is open and reads now and then. Were it in a
 * transaction meanwhile, its pages would be kept, and there would soon be no room. */
static void the_sink_is_not_held_up(void **state)
{
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    struct scan_slab slab;
    (void)state;
    describe(store);
    uint64_t capacity = store_capacity(store), next = 1;
    put(store, next, next + capacity);
    next += capacity;
    struct scan *scan = look();
    for (int turn = 0; turn < 20; turn++) {
        assert_ok(scan_next(scan, &slab));
        for (uint64_t i = 0; i < capacity / 16; i++) {
            free_oldest(store, 16);
            put(store, next, next + 16);
            next += 16;
        }
    }
    scan_close(scan);
    store_close(store);
}

/* One that dies in between leaves nothing that anybody waits for: no file, no reader. */
static void it_leaves_nothing_behind(void **state)
{
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    struct stat st;
    char path[256];
    (void)state;
    describe(store);
    put(store, 1, 10);
    struct scan *scan = look();
    read_all(scan);
    scan_close(scan);
    store_close(store);
    snprintf(path, sizeof path, "%s/CONSUMERS", rig_dir);
    assert_int_not_equal(stat(path, &st), 0);
    snprintf(path, sizeof path, "%s/damage", rig_dir);
    assert_int_not_equal(stat(path, &st), 0);
}

static void an_end_is_told(void **state)
{
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    (void)state;
    describe(store);
    put(store, 1, 3);
    struct store_state ended = *store_state(store);
    ended.ended = 1;
    assert_ok(store_begin(store));
    assert_ok(store_state_put(store, &ended));
    assert_ok(store_commit(store));
    store_close(store);
    struct scan *scan = look();
    assert_int_equal(read_all(scan), 2);
    assert_int_equal(scan_ended(scan), 1);
    scan_close(scan);
}

/* A flipped bit in a payload. */
static void a_damaged_slab_is_told(void **state)
{
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    struct scan_slab slab;
    char path[256];
    float value[RIG_WIDTH], found[RIG_WIDTH];
    (void)state;
    describe(store);
    put(store, 1, 2);
    store_close(store);
    snprintf(path, sizeof path, "%s/data.mdb", rig_dir);
    struct row_id id = rig_id(0, 5);
    for (uint32_t d = 0; d < RIG_WIDTH; d++) value[d] = rig_value(id, d);
    int fd = open(path, O_RDWR), flipped = 0;
    for (off_t at = 0; pread(fd, found, sizeof found, at) == sizeof found; at += 4) {
        if (memcmp(found, value, sizeof value) != 0) continue;
        found[0] += 1;
        flipped += pwrite(fd, found, sizeof found, at) == sizeof found;
    }
    close(fd);
    assert_true(flipped > 0);
    struct scan *scan = look();
    assert_int_equal(scan_next(scan, &slab), ERR_CORRUPT);
    assert_non_null(strstr(err_text(), "checksum"));
    scan_close(scan);
}

static void one_that_was_replaced_is_told(void **state)
{
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    struct scan_slab slab;
    char aside[256];
    (void)state;
    describe(store);
    put(store, 1, 5);
    struct scan *scan = look();
    assert_ok(scan_next(scan, &slab));
    store_close(store);
    assert_ok(store_set_aside(rig_dir, aside, sizeof aside));
    store = rig_open(&o);
    assert_int_equal(scan_next(scan, &slab), ERR_CORRUPT);
    assert_non_null(strstr(err_text(), "HINT"));
    scan_close(scan);
    store_close(store);
}

static void nothing_is_no_buffer(void **state)
{
    struct scan *scan;
    (void)state;
    assert_int_equal(scan_open(rig_dir, &scan), ERR_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_slab_is_read_once, rig_make, rig_remove),
        cmocka_unit_test_setup_teardown(what_goes_is_counted, rig_make, rig_remove),
        cmocka_unit_test_setup_teardown(the_sink_is_not_held_up, rig_make, rig_remove),
        cmocka_unit_test_setup_teardown(it_leaves_nothing_behind, rig_make, rig_remove),
        cmocka_unit_test_setup_teardown(an_end_is_told, rig_make, rig_remove),
        cmocka_unit_test_setup_teardown(a_damaged_slab_is_told, rig_make, rig_remove),
        cmocka_unit_test_setup_teardown(one_that_was_replaced_is_told, rig_make, rig_remove),
        cmocka_unit_test_setup_teardown(nothing_is_no_buffer, rig_make, rig_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
