/*
 * The engine `files` as a user meets it: files of rows go through the pipeline, what can't be read
 * is told once with exit code 2, and rows that are all equal have no FVE.
 */
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECONDS = 60 };

static void configure(struct run *run, const char *file, const char *more, const char *trainer)
{
    char here[HARNESS_PATH_BYTES], text[3 * HARNESS_PATH_BYTES];
    const char *folder = file[0] == '/' ? "" : getcwd(here, sizeof here);
    assert_non_null(folder);
    snprintf(text, sizeof text,
             "capture: { engine: files, files: [\"%s%s%s\"], %s }\n"
             "sink: { size: 32MiB }\n"
             "trainer: { batch_rows: 256, %s }\n",
             folder, file[0] == '/' ? "" : "/tests/rows/", file, more, trainer);
    run_configure(run, "dtype: f32", text);
}

static const char topk[] = "saes: [ { name: one, arch: topk, features: 16, k: 2 } ]";

static void files_go_through(void **state)
{
    static const struct {
        const char *file, *more;
    } good[] = {
        {"big_f8.npy", "file_sequence_rows: 5"},
        {"fortran.npz", "tokens_tensor: tokens"},
        {"compressed.npz", "tensor: acts, tokens_tensor: tokens, sequences_tensor: sequences"},
        {"server.safetensors", "tokens_tensor: token_ids, file_axes: layers"},
        {"shards/rows.safetensors.index.json", "tensor: acts, producers: 2, file_sequence_rows: 5"},
    };
    struct run *run = *state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        configure(run, good[i].file, good[i].more, topk);
        int code = run_command(run, SECONDS, "sluice", "check", run->config, NULL);
        if (code != 0) fail_msg("%s: exit code %d: %s", good[i].file, code, run->err);
        code = run_command(run, SECONDS, "sluice", "up", "--fresh", run->config, NULL);
        if (code != 0) fail_msg("%s: exit code %d: %s", good[i].file, code, run->err);
        json_t *summary = run_summary(run, "main");
        long long rows = strstr(good[i].file, "server") ? 12 : 24;
        assert_int_equal(json_integer_value(json_object_get(summary, "rows")), rows);
        json_decref(summary);
    }
}

static void what_cannot_be_read_is_told_once(void **state)
{
    static const struct {
        const char *file, *words;
        int code;
    } bad[] = {
        {"float8.npy", "dtype <V1", 1},
        {"bf16.npy", "capture.file_dtype: bf16", 1},
        {"float8.safetensors", "dtype F8_E4M3", 1},
        {"one_dimension.npy", "1 dimension", 1},
        {"stored.npz", "acts, tokens, sequences", 2},
        {"empty.npy", "no rows", 1},
        {"make.py", "neither", 1},
        {"gone.npy", "gone.npy", 2},
    };
    struct run *run = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        configure(run, bad[i].file, "file_sequence_rows: 5", topk);
        int code = run_command(run, SECONDS, "sluice", "up", "--fresh", run->config, NULL);
        if (code != bad[i].code || !strstr(run->err, bad[i].words) ||
            strstr(run->err, "started again"))
            fail_msg("%s: exit code %d: %s", bad[i].file, code, run->err);
    }
}

/* 40,000 rows of 4 values, all 3.1. */
static void write_equal_rows(const char *path)
{
    enum { ROWS = 40000, WIDTH = 4 };
    static float values[ROWS * WIDTH];
    char header[128];
    int n = sprintf(header + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }\n",
                    ROWS, WIDTH);
    memcpy(header, "\x93NUMPY\x01\0", 8);
    header[8] = (char)n;
    header[9] = 0;
    for (int i = 0; i < ROWS * WIDTH; i++) values[i] = 3.1f;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(header, 1, (size_t)(10 + n), file), 10 + n);
    assert_int_equal(fwrite(values, sizeof values, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

static void equal_rows_have_no_fve(void **state)
{
    struct run *run = *state;
    char path[HARNESS_PATH_BYTES + 32], trainer[200];
    snprintf(path, sizeof path, "%s/equal.npy", run->dir);
    write_equal_rows(path);
    snprintf(trainer, sizeof trainer, "eval_rows: 4000, %s", topk);
    configure(run, path, "file_sequence_rows: 64", trainer);
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 0);
    json_t *summary = run_summary(run, "main");
    json_t *sae = json_array_get(json_object_get(summary, "saes"), 0);
    assert_true(json_is_null(json_object_get(sae, "fve")));
    json_decref(summary);
    if (!strstr(run->out, "no FVE: the held-out rows are all equal")) fail_msg("%s", run->out);
}

int main(void)
{
#define ROWS(name) cmocka_unit_test_setup_teardown(name, run_set_up, run_tear_down)
    const struct CMUnitTest tests[] = {
        ROWS(files_go_through),
        ROWS(what_cannot_be_read_is_told_once),
        ROWS(equal_rows_have_no_fve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
