/* The table at the end of a run: its columns stand straight, however long the names are. */
#include "cli/report.h"

#include "run_folder.h"
#include "runtime/left_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void write_summary(const char *first, const char *second)
{
    char path[128], text[512];
    snprintf(path, sizeof path, "%s/main/summary.json", dir);
    snprintf(text, sizeof text,
             "{\"consumer\": \"main\", \"rows\": 1234567, \"saes\": ["
             "{\"name\": \"%s\", \"features\": 8, \"k\": 2},"
             "{\"name\": \"%s\", \"features\": 4096, \"k\": 32}]}",
             first, second);
    assert_int_equal(file_replace(path, text, strlen(text)), ERR_OK);
}

/* The head's line and two more are equally long, as their last column ends at one place. */
static void columns_are_straight(const char *first, const char *second)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    write_summary(first, second);
    assert_int_equal(report_print(config, out), ERR_OK);
    fclose(out);
    assert_non_null(strstr(text, first));
    assert_non_null(strstr(text, second));
    const char *line = text;
    size_t length = strcspn(text, "\n");
    for (int i = 0; i < 3; i++, line += length + 1) assert_int_equal(strcspn(line, "\n"), length);
    free(text);
}

static void names_of_any_length(void **state)
{
    (void)state;
    columns_are_straight("a", "b");
    columns_are_straight("a", "a-transcoder-with-a-skip-and-many-features-and-a-name-as-such.1");
}

/* Without a broker, and whatever became of the run. */
static void what_was_left_out_is_in_the_report(void **state)
{
    (void)state;
    char *text = NULL;
    size_t bytes;
    struct left_out l = {.has_corpus = 1,
                         .documents = 150,
                         .skipped = {0, 2, 0, 0},
                         .first_skipped = "a.jsonl, line 7: no JSON",
                         .kept_rows = 1000,
                         .first_rows = 10};
    write_summary("a", "b");
    FILE *out = open_memstream(&text, &bytes);
    assert_int_equal(report_print(config, out), ERR_OK);
    fflush(out);
    assert_null(strstr(text, "documents:")); /* a run of before has told nothing */
    assert_int_equal(left_out_write(config, 0, &l), ERR_OK);
    assert_int_equal(report_print(config, out), ERR_OK);
    fclose(out);
    assert_non_null(strstr(text, "  documents: 150 read, 2 skipped (2 not JSON or CSV; the first: "
                                 "a.jsonl, line 7: no JSON)\n"));
    assert_non_null(strstr(text,
                           "  rows: 1,010 made, 10 filtered (0 special tokens, 10 at position "
                           "0, 0 over the norm limit)\n"));
    free(text);
}

static void steps_left_out_are_in_the_report(void **state)
{
    (void)state;
    char path[128], *text = NULL;
    size_t bytes;
    static const char summary[] = "{\"consumer\": \"main\", \"saes\": [{\"name\": \"one\", "
                                  "\"skipped_steps\": 8}, {\"name\": \"two\", "
                                  "\"skipped_steps\": 0}]}";
    snprintf(path, sizeof path, "%s/main/summary.json", dir);
    assert_int_equal(file_replace(path, summary, strlen(summary)), ERR_OK);
    FILE *out = open_memstream(&text, &bytes);
    assert_int_equal(report_print(config, out), ERR_OK);
    fclose(out);
    assert_non_null(strstr(text, "  one: 8 steps left out, as their loss or gradient was not "));
    assert_null(strstr(text, "two: "));
    free(text);
}

/* What `sweep` shows, too: once, the reason that the trainer gave, and a hint where it helps. */
static void rows_and_the_missing_fve_are_told(void **state)
{
    (void)state;
    static const char summary[] =
        "{\"consumer\": \"main\", \"held_out_rows\": 7000, \"skipped_rows\":"
        " 1234, \"evaluated_rows\": %d, \"saes\": [{\"fve\": null, "
        "\"no_fve\": \"because\", \"dead_window_rows\": 10}]}";
    static const int evaluated[] = {1999, 2000};
    for (int i = 0; i < 2; i++) {
        char json[512], *text = NULL;
        size_t bytes;
        snprintf(json, sizeof json, summary, evaluated[i]);
        json_t *object = json_loads(json, 0, NULL);
        FILE *out = open_memstream(&text, &bytes);
        report_rows(object, out);
        fclose(out);
        json_decref(object);
        assert_non_null(strstr(text, "7,000 rows held out, 1,234 skipped; dead: no firing in 10 "));
        assert_non_null(strstr(text, "; no FVE: because"));
        assert_int_equal(strstr(text, "HINT: raise trainer.eval_rows") != NULL, i == 0);
        free(text);
    }
}

/* Of what was skipped, what was missed is told apart. */
static void missed_rows_are_told(void **state)
{
    (void)state;
    char *text = NULL;
    size_t bytes;
    json_t *object = json_pack("{s:s, s:i, s:i, s:i}", "consumer", "main", "held_out_rows", 7000,
                               "skipped_rows", 1234, "missed_rows", 1000);
    FILE *out = open_memstream(&text, &bytes);
    report_rows(object, out);
    fclose(out);
    json_decref(object);
    assert_non_null(
        strstr(text, "1,234 skipped (1,000 missed: replaced before they were drawn); dead: "));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_any_length),
        cmocka_unit_test(what_was_left_out_is_in_the_report),
        cmocka_unit_test(steps_left_out_are_in_the_report),
        cmocka_unit_test(rows_and_the_missing_fve_are_told),
        cmocka_unit_test(missed_rows_are_told),
    };
    return cmocka_run_group_tests_name("report", tests, set_up, tear_down);
}
