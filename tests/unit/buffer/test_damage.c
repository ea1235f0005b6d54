/*
 * Reports of damage: which buffer they mean, and that nothing else is touched by them.
 */
#include "tests/unit/buffer/rig.h"

#include "buffer/damage.h"

static void put(const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", rig_dir, name);
    assert_ok(dir_make(rig_dir, 0700));
    assert_ok(file_replace(path, text, strlen(text)));
}

static void a_report_is_told_with_who_and_why(void **state)
{
    (void)state;
    put("data.mdb", "x");
    assert_ok(damage_check(rig_dir, 5));
    assert_ok(damage_report(rig_dir, damage_inode(rig_dir), 5, "trainer-main", "slab 3 is bad"));
    assert_int_equal(damage_check(rig_dir, 5), ERR_CORRUPT);
    assert_non_null(strstr(err_text(), "slab 3 is bad"));
    assert_non_null(strstr(err_text(), "trainer-main"));
    assert_int_equal(damage_check(rig_dir, 0), ERR_CORRUPT);
    damage_forget(rig_dir);
    assert_ok(damage_check(rig_dir, 5));
}

static void whose_identity_was_not_readable(void **state)
{
    (void)state;
    put("data.mdb", "x");
    assert_ok(damage_report(rig_dir, damage_inode(rig_dir), 0, "main", "it is no LMDB file"));
    assert_int_equal(damage_check(rig_dir, 7), ERR_CORRUPT);
}

/* A new buffer may even have the inode of the old one, once that was removed. */
static void a_report_of_another_buffer_means_nothing(void **state)
{
    (void)state;
    put("data.mdb", "x");
    uint64_t inode = damage_inode(rig_dir);
    assert_ok(damage_report(rig_dir, inode, 5, "main", "bad"));
    assert_ok(damage_check(rig_dir, 6));
    put("data.mdb", "y"); /* another file */
    assert_true(damage_inode(rig_dir) != inode);
    assert_ok(damage_check(rig_dir, 5));
    damage_forget(rig_dir);
    assert_ok(damage_report(rig_dir, inode, 5, "main", "bad")); /* found too late */
    char path[160];
    snprintf(path, sizeof path, "%s/damage", rig_dir);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void what_is_no_report_means_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "inode", "inode 1\nrun 2\n", "\n\n\n\n",
                                        "inode 99999999999999999999999\nrun x\nfinder\nwhy\n"};
    put("data.mdb", "x");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        put("damage", texts[i]);
        assert_ok(damage_check(rig_dir, 5));
    }
}

#define test(f) cmocka_unit_test_setup_teardown(f, rig_make, rig_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_report_is_told_with_who_and_why),
        test(whose_identity_was_not_readable),
        test(a_report_of_another_buffer_means_nothing),
        test(what_is_no_report_means_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
