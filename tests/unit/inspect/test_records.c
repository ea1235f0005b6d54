/* Working files that were damaged in place are told, rather than believed: their values choose bins. */
#include "tests/unit/engine/support.h"

#include "inspect/sorter.h"

#include <math.h>
#include <string.h>

enum { ROWS = 20, FEATURES = 4 };
static const uint64_t MEMORY = UINT64_C(16) << 20;

/* Two features fire at each row. */
static int write_records(void **state)
{
    struct records records;
    if (make_folder(state) != 0) return -1;
    int result = records_open(folder, 0, 0, &records);
    for (uint32_t r = 0; r < ROWS && result == ERR_OK; r++) {
        struct row_id id = {.sequence = r / 5, .position = r % 5, .token = r};
        const uint32_t features[] = {r % 2, 2 + r % 2};
        const float values[] = {1, 2 + (float)r};
        result = records_add(&records, &id, 0, features, values, 2);
    }
    if (result == ERR_OK) result = records_sync(&records);
    records_close(&records);
    return result;
}

static void put(const char *name, uint64_t at, const void *bytes, size_t count)
{
    FILE *file = fopen(in_folder(name), "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, count, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

static const float wrong[] = {0, -1, NAN, INFINITY};

static void values_of_records_are_looked_at(void **state)
{
    struct record_view view;
    const uint64_t at = 7 * sizeof(struct fired) + offsetof(struct fired, value);
    const float good = 5; /* of the second pair of row 3 */
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put("fired", at, &wrong[i], sizeof wrong[i]);
        assert_int_equal(records_map(folder, ROWS, 2 * ROWS, FEATURES, &view), ERR_CORRUPT);
        assert_non_null(strstr(err_text(), "HINT"));
    }
    put("fired", at, &good, sizeof good);
    assert_int_equal(records_map(folder, ROWS, 2 * ROWS, FEATURES, &view), ERR_OK);
    records_unmap(&view);
}

static void sorted_hits_are_looked_at(void **state)
{
    struct record_view view;
    struct sorted sorted;
    const uint32_t row = ROWS;
    (void)state;
    assert_int_equal(records_map(folder, ROWS, 2 * ROWS, FEATURES, &view), ERR_OK);
    for (size_t i = 0; i <= sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(sorter_make(folder, &view, FEATURES, MEMORY), ERR_OK);
        assert_int_equal(sorter_map(folder, &view, FEATURES, &sorted), ERR_OK);
        assert_int_equal(sorted.start[FEATURES], 2 * ROWS);
        sorter_unmap(&sorted);
        if (i == 0)
            put("sorted", 9 * sizeof(struct hit) + offsetof(struct hit, row), &row, sizeof row);
        else
            put("sorted", 9 * sizeof(struct hit) + offsetof(struct hit, value), &wrong[i - 1],
                sizeof *wrong);
        assert_int_equal(sorter_map(folder, &view, FEATURES, &sorted), ERR_CORRUPT);
        assert_non_null(strstr(err_text(), "sorted"));
    }
    records_unmap(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_records_are_looked_at),
        cmocka_unit_test(sorted_hits_are_looked_at),
    };
    return cmocka_run_group_tests(tests, write_records, remove_folder);
}
