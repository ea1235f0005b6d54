/* What `sluice sweep` reads: summary.json and history.tsv, also where they are odd or broken. */
#include "cli/outcome.h"

#include "run_folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char head[] = "step\trows\tseconds\tsae\tflops\tloss\tmse\tfve\tl0\tdead\n";

static void write_text(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/main/%s", dir, name);
    assert_int_equal(file_replace(path, text, strlen(text)), ERR_OK);
}

static void write_history(const char *lines)
{
    char text[1024];
    snprintf(text, sizeof text, "%s%s", head, lines);
    write_text("history.tsv", text);
}

/* `count` autoencoders, called sae, fve, 2, 3, ...: the first two as columns of the history. */
static void write_summary(int count)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    fputs("{\"stream\": \"t\", \"consumer\": \"main\", \"rows\": 100, \"saes\": [", out);
    for (int i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        fprintf(out,
                "%s{\"name\": \"%s\", \"arch\": \"%s\", \"activation\": \"topk\", "
                "\"features\": 8, \"k\": 2, \"lambda\": null}",
                i ? "," : "",
                i == 0   ? "sae"
                : i == 1 ? "fve"
                         : name,
                i == 1 ? "crosscoder" : "topk");
    }
    fputs("]}", out);
    fclose(out);
    write_text("summary.json", text);
    free(text);
}

static const struct outcome *named(const struct outcomes *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->one[i].name, name) == 0) return &all->one[i];
    fail_msg("there is no %s", name);
    return NULL;
}

static void names_of_columns_are_names_too(void **state)
{
    (void)state;
    struct outcomes all;
    write_summary(2);
    write_history("1\t10\t0.1\tsae\t1000\t1\t1\t0.5\t2\t0\n1\t10\t0.1\tfve\t2000\t1\t1\t-\t2\t0\n");
    assert_int_equal(outcomes_read(config, "main", &all), ERR_OK);
    assert_int_equal(named(&all, "sae")->points, 1);
    assert_true(named(&all, "sae")->point[0].flops == 1000);
    assert_true(named(&all, "sae")->point[0].fve == 0.5);
    assert_int_equal(named(&all, "fve")->points, 0); /* not known */
    assert_true(isnan(named(&all, "fve")->lambda));
    assert_true(named(&all, "fve")->k == 2);
    assert_string_equal(named(&all, "sae")->arch, "topk");
    assert_string_equal(named(&all, "fve")->arch, "crosscoder/topk");
    outcomes_free(&all);
}

/* Neither has a place in a picture of logarithms. */
static void points_without_compute_are_none(void **state)
{
    (void)state;
    struct outcomes all;
    write_summary(1);
    write_history("0\t0\t0.1\tsae\t0\t1\t1\t0.5\t2\t0\n1\t10\t0.1\tsae\t-\t1\t1\t0.5\t2\t0\n"
                  "2\t20\t0.1\tsae\tinf\t1\t1\t0.5\t2\t0\n3\t30\t0.1\tsae\t9\t1\t1\t0.6\t2\t0\n");
    assert_int_equal(outcomes_read(config, "main", &all), ERR_OK);
    assert_int_equal(all.one[0].points, 1);
    assert_true(all.one[0].point[0].flops == 9);
    outcomes_free(&all);
}

/* Lines of a younger trainer have more columns; what a resume changed comes into one cell. */
static void younger_runs_tell_more(void **state)
{
    (void)state;
    struct outcomes all;
    write_text(
        "summary.json",
        "{\"stream\": \"t\", \"consumer\": \"main\", \"rows\": 100, \"changes\": [{\"key\": "
        "\"batch_rows\", \"from_step\": 2, \"old\": 256, \"new\": 512}], \"saes\": [{\"name\": "
        "\"a\", \"arch\": \"topk\", \"features\": 8, \"k\": 2, \"changes\": [{\"key\": \"lr\", "
        "\"from_step\": 1, \"old\": 0.001, \"new\": 0.002}]}]}");
    write_text("history.tsv", "step\trows\tseconds\tsae\tflops\tloss\tmse\tfve\tl0\tdead\tlr\t"
                              "batch_rows\trate\tlambda\n"
                              "1\t10\t0.1\ta\t1000\t1\t1\t0.5\t2\t3\t0.001\t256\t0.001\t-\n");
    assert_int_equal(outcomes_read(config, "main", &all), ERR_OK);
    assert_int_equal(all.count, 1);
    assert_int_equal(all.one[0].points, 1);
    assert_true(all.one[0].point[0].fve == 0.5);
    assert_string_equal(all.one[0].changes, "batch_rows:256>512@2 lr:0.001>0.002@1");
    outcomes_free(&all);
    write_summary(1);
    assert_int_equal(outcomes_read(config, "main", &all), ERR_OK);
    assert_string_equal(all.one[0].changes, "-");
    outcomes_free(&all);
}

static void broken_files_are_told(void **state)
{
    (void)state;
    struct outcomes all;
    write_summary(1);
    write_history("1\t10\tsae\n");
    assert_int_equal(outcomes_read(config, "main", &all), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "history.tsv"));
    char path[128];
    snprintf(path, sizeof path, "%s/main/history.tsv", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(outcomes_read(config, "main", &all), ERR_NOTFOUND);
    assert_non_null(strstr(err_text(), "HINT"));
    write_history("");
    write_summary(CONFIG_MAX_SAES);
    assert_int_equal(outcomes_read(config, "main", &all), ERR_OK);
    outcomes_free(&all);
    write_summary(CONFIG_MAX_SAES + 1);
    assert_int_equal(outcomes_read(config, "main", &all), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "more than 64"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_columns_are_names_too),
        cmocka_unit_test(points_without_compute_are_none),
        cmocka_unit_test(younger_runs_tell_more),
        cmocka_unit_test(broken_files_are_told),
    };
    return cmocka_run_group_tests_name("outcome", tests, set_up, tear_down);
}
