#include "tests/unit/buffer/rig.h"

static void what_is_committed_is_there_after_reopening(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 11);
    rig_fill(store, &o, 1, 1, 4);
    uint32_t rows = rig_rows(store);
    store_close(store);
    store = rig_open(&o);
    struct slab_ref ref;
    struct store_producer record;
    assert_int_equal(store_count(store), 13);
    assert_int_equal(store_state(store)->slabs, 13);
    assert_int_equal(store_state(store)->rows, 13 * rows);
    assert_ok(store_find(store, 0, 10, &ref));
    assert_int_equal(ref.rows, rows);
    assert_int_equal(store_find(store, 0, 11, &ref), ERR_NOTFOUND);
    assert_ok(store_producer_get(store, 1, &record));
    assert_int_equal(record.next_number, 4);
    assert_int_equal(store_producer_get(store, 2, &record), ERR_NOTFOUND);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_committed_is_there_after_reopening, rig_make,
                                        rig_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
