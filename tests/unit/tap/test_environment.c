/* What the tap is told, and what the program and its children see of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tap/environment.h"

static int clean(void **state)
{
    (void)state;
    environment_clean();
    unsetenv("LD_PRELOAD");
    unsetenv("LD_AUDIT");
    return setenv("SLUICE_TAP_STREAM", "live", 1);
}

static struct tap_start start;

static void all_of_it_is_read(void **state)
{
    (void)state;
    setenv("SLUICE_TAP_HOOKS", "resid_post.3,attn_out.4", 1);
    setenv("SLUICE_TAP_FOLDER", "/somewhere", 1);
    setenv("SLUICE_TAP_RING_BYTES", "1000000", 1);
    setenv("SLUICE_TAP_DTYPE", "f32", 1);
    setenv("SLUICE_TAP_MODEL", "big", 1);
    setenv("SLUICE_TAP_SHARE", "0.25", 1);
    setenv("SLUICE_TAP_ROWS_PER_SECOND", "100", 1);
    setenv("SLUICE_TAP_BYTES_PER_SECOND", "1000000", 1);
    setenv("SLUICE_TAP_ON", "no", 1);
    assert_int_equal(environment_read(&start), ERR_OK);
    assert_string_equal(start.settings.stream, "live");
    assert_string_equal(start.settings.folder, "/somewhere");
    assert_string_equal(start.model, "big");
    assert_int_equal(start.settings.hooks_count, 2);
    assert_string_equal(start.settings.hooks[1], "attn_out.4");
    assert_int_equal(start.settings.ring_bytes, 1000000);
    assert_true(start.settings.is_f32);
    assert_true(start.settings.share == 0.25);
    assert_true(start.settings.rows_per_second == 100);
    assert_int_equal(start.settings.bytes_per_second, 1000000);
    assert_false(start.settings.on);
}

static void little_is_enough(void **state)
{
    (void)state;
    setenv("SLUICE_TAP_HOOKS", "resid_post.3", 1);
    assert_int_equal(environment_read(&start), ERR_OK);
    assert_true(start.settings.on);
    assert_true(start.settings.share == 1);
    assert_false(start.settings.is_f32);
    unsetenv("SLUICE_TAP_STREAM");
    assert_int_equal(environment_read(&start), ERR_OK);
    assert_false(start.settings.on);
    unsetenv("SLUICE_TAP_HOOKS");
    assert_int_equal(environment_read(&start), ERR_NOTFOUND);
}

static void refused(const char *name, const char *value)
{
    const char *kept = getenv(name);
    char before[64] = "";
    if (kept) strcpy(before, kept);
    setenv(name, value, 1);
    if (environment_read(&start) == ERR_OK) fail_msg("%s=%s was taken", name, value);
    if (kept)
        setenv(name, before, 1);
    else
        unsetenv(name);
}

static void what_makes_no_sense_is_refused(void **state)
{
    char long_name[80];
    (void)state;
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    setenv("SLUICE_TAP_HOOKS", "resid_post.3", 1);
    refused("SLUICE_TAP_STREAM", long_name);
    refused("SLUICE_TAP_HOOKS", long_name);
    refused("SLUICE_TAP_HOOKS", "resid_post.1,,resid_post.2");
    refused("SLUICE_TAP_DTYPE", "int8");
    refused("SLUICE_TAP_SHARE", "half");
    refused("SLUICE_TAP_SHARE", "-1");
    refused("SLUICE_TAP_ROWS_PER_SECOND", "nan");
    refused("SLUICE_TAP_BYTES_PER_SECOND", "-1");
    refused("SLUICE_TAP_RING_BYTES", "64MiB");
    refused("SLUICE_TAP_FOLDER", "not/from/the/root");
    refused("SLUICE_TAP_EXCLUDE", "a\tb");
    refused("SLUICE_TAP_COLOUR", "red");
    assert_int_equal(environment_read(&start), ERR_OK);
}

static void children_see_none_of_it(void **state)
{
    (void)state;
    setenv("SLUICE_TAP_MODEL", "big", 1);
    setenv("SLUICE_TAP", "mine", 1);
    setenv("LD_PRELOAD", "/a/libsluice-tap.so:/b/libjemalloc.so.2 /c/other.so", 1);
    setenv("LD_AUDIT", "/a/libsluice-audit.so", 1);
    environment_clean();
    assert_null(getenv("SLUICE_TAP_STREAM"));
    assert_null(getenv("SLUICE_TAP_MODEL"));
    assert_string_equal(getenv("SLUICE_TAP"), "mine");
    assert_string_equal(getenv("LD_PRELOAD"), "/b/libjemalloc.so.2:/c/other.so");
    assert_null(getenv("LD_AUDIT"));
    unsetenv("SLUICE_TAP");
}

static void libraries_of_others_stay(void **state)
{
    (void)state;
    setenv("LD_PRELOAD", "/b/notlibsluice-tap.so", 1);
    setenv("LD_AUDIT", "libsluice-audit.so:/x/audit.so", 1);
    environment_clean();
    assert_string_equal(getenv("LD_PRELOAD"), "/b/notlibsluice-tap.so");
    assert_string_equal(getenv("LD_AUDIT"), "/x/audit.so");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_of_it_is_read, clean),
        cmocka_unit_test_setup(little_is_enough, clean),
        cmocka_unit_test_setup(what_makes_no_sense_is_refused, clean),
        cmocka_unit_test_setup(children_see_none_of_it, clean),
        cmocka_unit_test_setup(libraries_of_others_stay, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
