/* Below the table: what a resume changed, and what looks wrong; also of summaries that are odd. */
#include "cli/remarks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *text_of(const char *summary)
{
    char *text = NULL;
    size_t bytes;
    json_t *object = json_loads(summary, 0, NULL);
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(object);
    assert_non_null(out);
    remarks_print(object, out);
    assert_int_equal(fclose(out), 0);
    json_decref(object);
    return text;
}

static void is(const char *summary, const char *wanted)
{
    char *text = text_of(summary);
    assert_string_equal(text, wanted);
    free(text);
}

static void each_setting_has_a_line(void **state)
{
    (void)state;
    is("{\"consumer\": \"main\", \"changes\": [{\"sae\": null, \"key\": \"batch_rows\","
       " \"from_step\": 2000, \"from_rows\": 512000, \"old\": 256, \"new\": 512},"
       " {\"key\": \"dataset\", \"from_step\": 9, \"from_rows\": 10, \"old\": \"\", \"new\":"
       " \"a\\tb\\u001b\"}],"
       " \"saes\": [{\"name\": \"x\", \"changes\": ["
       " {\"sae\": 0, \"key\": \"lr\", \"from_step\": 120, \"from_rows\": 30720, \"old\": 0.001,"
       " \"new\": 0.002}, {\"sae\": 0, \"key\": \"decay\", \"from_step\": 120, \"from_rows\": "
       "30720,"
       " \"old\": 0.2, \"new\": 0.5}, {\"sae\": 0, \"key\": \"lr\", \"from_step\": 300,"
       " \"from_rows\": 76800, \"old\": 0.002, \"new\": 0.001}], \"warnings\": [\"all is "
       "lost\"]}]}",
       "  main: batch_rows was 256 up to step 2,000 (512,000 rows), then 512\n"
       "  main: dataset was - up to step 9 (10 rows), then a b \n"
       "  x: lr was 0.001 up to step 120 (30,720 rows), then 0.002 up to step 300 (76,800 rows), "
       "then 0.001\n"
       "  x: decay was 0.2 up to step 120 (30,720 rows), then 0.5\n"
       "  WARNING: x: all is lost\n");
    is("{\"consumer\": \"main\", \"changes_known_from_step\": 40}",
       "  main: changes before step 40 are not known: an older version made them\n");
}

static void odd_summaries_say_nothing(void **state)
{
    (void)state;
    is("{}", "");
    is("[]", "");
    is("{\"changes\": 3, \"saes\": {\"a\": 1}, \"changes_known_from_step\": \"x\"}", "");
    is("{\"saes\": [3, {\"warnings\": [4, null], \"changes\": null}]}", "");
    free(text_of("{\"changes\": [1, {}, {\"key\": 5}], \"saes\": [{\"changes\": [null]}]}"));
}

/* Once: in the warning's words where there is one. */
static void steps_left_out_are_told_once(void **state)
{
    (void)state;
    is("{\"saes\": [{\"name\": \"a\", \"skipped_steps\": 8, \"warnings\": [\"all is lost\"]},"
       " {\"name\": \"b\", \"skipped_steps\": 3000, \"warnings\": [null, \"3000 of 4000 steps were"
       " left out, as ...\"]}, {\"name\": \"c\", \"skipped_steps\": 0}]}",
       "  a: 8 steps left out, as their loss or gradient was not finite\n"
       "  WARNING: a: all is lost\n"
       "  WARNING: b: 3000 of 4000 steps were left out, as ...\n");
}

static void no_fve_is(const char *summary, const char *wanted)
{
    json_t *object = json_loads(summary, 0, NULL);
    const char *why = remarks_no_fve(object);
    assert_string_equal(why ? why : "", wanted);
    json_decref(object);
}

static void why_none_has_an_fve(void **state)
{
    (void)state;
    no_fve_is("{}", "");
    no_fve_is("{\"saes\": 3}", "");
    no_fve_is("{\"saes\": [{\"arch\": \"count\"}, {\"fve\": null, \"no_fve\": \"x y\"}]}", "x y");
    no_fve_is("{\"saes\": [{\"fve\": null, \"no_fve\": \"x\"}, {\"fve\": 0.5}]}", "");
    assert_null(remarks_no_fve(NULL));
}

static void a_cell_has_no_tabs(void **state)
{
    (void)state;
    json_t *changes = json_loads("[{\"key\": \"lr\", \"from_step\": 123, \"old\": 0.001, \"new\": "
                                 "0.002}, {\"key\": \"name\", \"from_step\": 5, \"old\": \"a\\tb\","
                                 " \"new\": \"c\\n\"}]",
                                 0, NULL);
    char *cell = remarks_cell(changes);
    assert_string_equal(cell, "lr:0.001>0.002@123 name:a b>c @5");
    free(cell);
    json_decref(changes);
    cell = remarks_cell(NULL);
    assert_string_equal(cell, "-");
    free(cell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_setting_has_a_line),      cmocka_unit_test(odd_summaries_say_nothing),
        cmocka_unit_test(steps_left_out_are_told_once), cmocka_unit_test(why_none_has_an_fve),
        cmocka_unit_test(a_cell_has_no_tabs),
    };
    return cmocka_run_group_tests_name("remarks", tests, NULL, NULL);
}
