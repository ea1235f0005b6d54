/* Rows on their way into records. */
#include "tests/unit/inspect/tiny_subject.h"

#include "inspect/block.h"

/* A row that is finite, and so large that what a feature makes of it is not. */
static void values_that_are_none_are_left_out(void **state)
{
    struct subject s;
    struct records records;
    struct record_view view;
    struct block b;
    float row[TINY_WIDTH];
    (void)state;
    tiny_subject("resid_post.1", &s);
    assert_int_equal(records_open(folder, 0, 0, &records), ERR_OK);
    assert_int_equal(block_init(&b, &s, &records), ERR_OK);
    for (uint32_t r = 0; r < 3; r++) {
        struct row_id id = {.sequence = 1, .position = r + 1, .token = 5};
        for (uint32_t i = 0; i < TINY_WIDTH; i++)
            row[i] = (r == 1 ? 3e38F : 1.0F) * (s.model.encoder->w.w_enc[i] > 0 ? 1.0F : -1.0F);
        block_add(&b, &id, 0, row);
    }
    assert_int_equal(block_write(&b), ERR_OK);
    assert_int_equal(b.kept_rows, 2);
    assert_int_equal(records_sync(&records), ERR_OK);
    assert_int_equal(records_map(folder, 3, records.fired, TINY_FEATURES, &view), ERR_OK);
    for (uint32_t r = 0; r < 3; r++) {
        assert_int_equal(view.row[r].is_left_out, r == 1);
        assert_int_equal(record_end(&view, r) > view.row[r].start, r != 1);
    }
    records_unmap(&view);
    block_fini(&b);
    records_close(&records);
    subject_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values_that_are_none_are_left_out)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
