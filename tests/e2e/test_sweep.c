/*
 * `sluice sweep`: six autoencoders out of two lists and two more on the synthetic engine. The
 * table, sweep.tsv and scaling.svg are there, say what summary.json says, and can be had again.
 */
#include "tests/e2e/harness.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SAES = 8, SECONDS = 120 };

static const char pipeline[] =
    "capture:\n"
    "  engine: synthetic\n"
    "  synthetic: { features: 128, width: 64, l0: 4, rows: 120000, sequence_rows: 64 }\n"
    "sink: { size: 32MiB }\n"
    "trainer:\n"
    "  batch_rows: 512\n"
    "  eval_rows: 4000\n"
    "  eval_seconds: 1\n"
    "  saes: [ { arch: topk, features: [96, 192, 384], k: [4, 8], lr: 3e-3 },\n"
    "          { arch: l1, features: 192, lambda: [1, 4], lr: 1e-3 },\n"
    "          { name: rows, arch: count } ]\n";

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void await_sweep(struct run *run)
{
    if (run_command(run, SECONDS, "sluice", "sweep", run->config, NULL) != 0)
        fail_msg("%s", run->err);
}

/* The columns of the line of sweep.tsv that begins with `name`; NULL where there is none. The text
 * is cut into them. */
static char *line_of(char *text, const char *name)
{
    size_t length = strlen(name);
    for (char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, name, length) == 0 && line[length] == '\t') return line;
    return NULL;
}

/* Of the column `wanted` of the head, a line's value; NaN for "-". */
static double column_of(const char *text, const char *line, const char *wanted)
{
    const char *head = text;
    size_t length = strlen(wanted);
    while (strncmp(head, wanted, length) != 0 || !strchr("\t\n", head[length])) {
        head += strcspn(head, "\t\n") + 1;
        line += strcspn(line, "\t\n") + 1;
        if (head[-1] == '\n') fail_msg("there is no column %s", wanted);
    }
    return *line == '-' ? NAN : strtod(line, NULL);
}

static void close_to(double a, double b)
{
    if (isnan(a) && isnan(b)) return;
    if (!(fabs(a - b) <= 1e-8 * fabs(b))) fail_msg("%.12g is not %.12g", a, b);
}

static void results_agree_with_the_summary(void **state)
{
    struct run *run = *state;
    await_sweep(run);
    json_t *summary = run_summary(run, "main"), *sae;
    char *table = run_text(run, "main/sweep.tsv", NULL);
    size_t i;
    double last = INFINITY;
    assert_non_null(summary);
    assert_non_null(table);
    assert_int_equal(json_array_size(json_object_get(summary, "saes")), SAES + 1);
    json_array_foreach(json_object_get(summary, "saes"), i, sae)
    {
        static const char *const same[] = {
            "features", "lr",  "decoder_lr_factor", "seed", "flops", "loss", "mse", "fve",
            "l0",       "dead"};
        const char *name = json_string_value(json_object_get(sae, "name"));
        char *line = line_of(table, name);
        if (strcmp(name, "rows") == 0) {
            assert_null(line);
            continue;
        }
        if (!line) fail_msg("%s is not in sweep.tsv", name);
        for (size_t c = 0; c < sizeof same / sizeof same[0]; c++)
            close_to(column_of(table, line, same[c]), number(sae, same[c]));
        int l1 = strncmp(name, "l1", 2) == 0;
        close_to(column_of(table, line, "k"), l1 ? NAN : number(sae, "k"));
        close_to(column_of(table, line, "lambda"), l1 ? number(sae, "lambda") : NAN);
        close_to(column_of(table, line, "rows"), number(summary, "rows"));
        close_to(column_of(table, line, "flops"),
                 12.0 * 64 * number(sae, "features") * number(summary, "rows"));
        if (!strstr(run->out, name)) fail_msg("%s is not in the table", name);
    }
    for (const char *line = strchr(table, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
        double fve = column_of(table, line, "fve"); /* the best first */
        assert_true(fve <= last);
        last = fve;
    }
    assert_non_null(strstr(run->out, "sweep.tsv"));
    assert_non_null(strstr(run->out, "scaling.svg"));
    assert_null(strchr(run->out, '\033'));
    free(table);
    json_decref(summary);
}

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;
    for (; (text = strstr(text, word)); text += strlen(word)) n++;
    return n;
}

static void the_picture_shows_each(void **state)
{
    struct run *run = *state;
    char command[2 * HARNESS_PATH_BYTES];
    char *svg = run_text(run, "main/scaling.svg", NULL);
    assert_non_null(svg);
    snprintf(command, sizeof command,
             "python3 -c 'import sys, xml.dom.minidom as m; r = m.parse(sys.argv[1])."
             "documentElement; sys.exit(r.tagName != \"svg\" or r.firstChild.nextSibling.tagName "
             "!= \"title\")' %s/main/scaling.svg",
             run->state);
    assert_int_equal(system(command), 0);
    assert_int_equal(count(svg, "class=\"curve\""), SAES);
    assert_int_equal(count(svg, " dead</title>"), SAES);
    assert_int_equal(count(svg, "class=\"envelope\""), 2); /* and in the legend */
    assert_non_null(strstr(svg, "prefers-color-scheme:dark"));
    assert_null(strstr(svg, "nan"));
    assert_null(strstr(svg, "inf"));
    free(svg);
}

static void run_again_shows_and_writes_again(void **state)
{
    struct run *run = *state;
    char path[2][HARNESS_PATH_BYTES + 32];
    char *first[2];
    static const char *const files[] = {"main/sweep.tsv", "main/scaling.svg"};
    for (int i = 0; i < 2; i++) {
        first[i] = run_text(run, files[i], NULL);
        snprintf(path[i], sizeof path[i], "%s/%s", run->state, files[i]);
        assert_int_equal(unlink(path[i]), 0);
    }
    await_sweep(run);
    assert_non_null(strstr(run->out, "finished already"));
    assert_non_null(strstr(run->out, "sluice sweep --fresh"));
    assert_non_null(strstr(run->out, "topk-384-k8"));
    for (int i = 0; i < 2; i++) {
        char *again = run_text(run, files[i], NULL);
        assert_non_null(again);
        assert_string_equal(first[i], again);
        free(first[i]);
        free(again);
    }
}

/* Too few rows are held out for an FVE: said, not made up. */
static void without_held_out_rows_it_says_so(void **state)
{
    struct run *run = *state;
    if (run_command(run, SECONDS, "sluice", "sweep", run->config, "--fresh", "--set",
                    "trainer.eval_rows=500", NULL) != 0)
        fail_msg("%s", run->err);
    char *table = run_text(run, "main/sweep.tsv", NULL), *line = line_of(table, "topk-96-k4");
    char *svg = run_text(run, "main/scaling.svg", NULL);
    assert_non_null(line);
    assert_true(isnan(column_of(table, line, "fve")));
    assert_true(isfinite(column_of(table, line, "loss")));
    assert_non_null(strstr(svg, "held-out rows are fewer than 2,000"));
    assert_non_null(strstr(run->out, "HINT: raise trainer.eval_rows"));
    assert_int_equal(count(svg, "class=\"curve\""), 0);
    free(table);
    free(svg);
}

static int set_up(void **state)
{
    if (run_set_up(state)) return -1;
    run_configure(*state, "dtype: f32", pipeline);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_agree_with_the_summary),
        cmocka_unit_test(the_picture_shows_each),
        cmocka_unit_test(run_again_shows_and_writes_again),
        cmocka_unit_test(without_held_out_rows_it_says_so),
    };
    return cmocka_run_group_tests_name("sweep", tests, set_up, run_tear_down);
}
