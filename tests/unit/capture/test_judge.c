/* When too much is left out: documents of the corpus, rows over the norm's limit. */
#include "capture/judge.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int judged(uint64_t read, uint64_t skipped, double share, int final)
{
    struct engine_documents d = {.read = read, .first_skipped = "a.jsonl, line 7: no text"};
    d.skipped[ENGINE_SKIP_SYNTAX] = skipped / 2;
    d.skipped[ENGINE_SKIP_FIELD] = skipped - skipped / 2;
    return judge_documents(&d, share, final);
}

static void documents_from_a_hundred_on_and_at_the_end(void **state)
{
    (void)state;
    assert_int_equal(judged(0, 0, 0, 1), ERR_OK);
    assert_int_equal(judged(99, 99, 0.01, 0), ERR_OK); /* too early to tell */
    assert_int_equal(judged(99, 1, 0.01, 1), ERR_USAGE);
    assert_int_equal(judged(100, 1, 0.01, 0), ERR_OK); /* as much as is allowed */
    assert_int_equal(judged(100, 2, 0.01, 0), ERR_USAGE);
    assert_int_equal(judged(150, 2, 0.01, 1), ERR_USAGE);
    assert_int_equal(judged(150, 2, 0.5, 1), ERR_OK);
    assert_int_equal(judged(1000000, 1000000, 1, 1), ERR_OK);
    assert_int_equal(judged(5, 5, 1, 1), ERR_OK);
    assert_int_equal(judged(1000000, 1, 0, 0), ERR_USAGE);
}

static void a_refusal_says_how_many_why_where_and_what_to_do(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "3 of 150 documents", "1 not JSON or CSV, 2 without the text's field",
        "capture.max_bad_documents = 0.01", "a.jsonl, line 7: no text", "HINT"};
    assert_int_equal(judged(150, 3, 0.01, 0), ERR_USAGE);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(err_text(), parts[i])) fail_msg("no '%s' in: %s", parts[i], err_text());
}

/* ---- any 10,000 rows ---- */

enum { ROWS = 60000 };

/* The twin: every window of 10,000 rows that ends at `end`, counted anew. */
static int twin_exceeds(const uint8_t *over, size_t end, double share)
{
    uint32_t n = 0;
    if (end < JUDGE_WINDOW_ROWS) return 0;
    for (size_t i = end - JUDGE_WINDOW_ROWS; i < end; i++) n += over[i];
    return (double)n > share * JUDGE_WINDOW_ROWS;
}

/* The first row at which the window refuses, and at which the twin does; 0: none. */
static size_t first_refusal(const uint8_t *over, size_t rows, double share, int is_twin)
{
    struct judge_window w = {0};
    for (size_t i = 0; i < rows; i++) {
        if (!is_twin) judge_add(&w, over[i]);
        int refuses = is_twin ? twin_exceeds(over, i + 1, share) : !!judge_filtered(&w, share, 0);
        if (refuses) return i + 1;
    }
    return 0;
}

static void same_as_twin(const uint8_t *over, double share, int should_refuse)
{
    size_t own = first_refusal(over, ROWS, share, 0), twin = first_refusal(over, ROWS, share, 1);
    if (own != twin) fail_msg("it refuses at %zu, the twin at %zu", own, twin);
    assert_int_equal(own > 0, should_refuse);
}

/* A burst of 501 rows lies anywhere, also across whatever blocks somebody may think of. */
static void a_burst_anywhere_is_found_at_its_last_row(void **state)
{
    (void)state;
    static const size_t at[] = {0, 4999, 9700, 9999, 10000, 19750, 29999, ROWS - 501};
    uint8_t *over = calloc(ROWS, 1);
    assert_non_null(over);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        memset(over, 0, ROWS);
        memset(over + at[i], 1, 501);
        same_as_twin(over, 0.05, 1);
        over[at[i]] = 0; /* 500 are allowed */
        same_as_twin(over, 0.05, 0);
    }
    free(over);
}

static void random_rows_are_judged_as_by_counting_anew(void **state)
{
    (void)state;
    uint8_t *over = calloc(ROWS, 1);
    assert_non_null(over);
    uint64_t seed = 7;
    for (int trial = 0; trial < 6; trial++) {
        double rate = 0.046 + 0.001 * trial; /* around the share */
        for (size_t i = 0; i < ROWS; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            over[i] = (double)(seed >> 11) * 0x1p-53 < rate;
        }
        size_t own = first_refusal(over, ROWS, 0.05, 0);
        assert_int_equal(own, first_refusal(over, ROWS, 0.05, 1));
    }
    free(over);
}

static void shorter_runs_are_judged_at_the_end(void **state)
{
    (void)state;
    struct judge_window w = {0};
    assert_int_equal(judge_filtered(&w, 0, 1), ERR_OK);
    for (int i = 0; i < 100; i++) judge_add(&w, i < 6);
    assert_int_equal(judge_filtered(&w, 0.05, 0), ERR_OK);
    assert_int_equal(judge_filtered(&w, 0.06, 1), ERR_OK);
    assert_int_equal(judge_filtered(&w, 0.05, 1), ERR_USAGE);
    assert_non_null(strstr(err_text(), "6 of 100 rows"));
    assert_non_null(strstr(err_text(), "max_norm_ratio"));
    assert_non_null(strstr(err_text(), "measure_contexts"));
    assert_non_null(strstr(err_text(), "keep_sinks"));
    assert_int_equal(judge_filtered(&w, 1, 1), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_from_a_hundred_on_and_at_the_end),
        cmocka_unit_test(a_refusal_says_how_many_why_where_and_what_to_do),
        cmocka_unit_test(a_burst_anywhere_is_found_at_its_last_row),
        cmocka_unit_test(random_rows_are_judged_as_by_counting_anew),
        cmocka_unit_test(shorter_runs_are_judged_at_the_end),
    };
    return cmocka_run_group_tests_name("judge", tests, NULL, NULL);
}
