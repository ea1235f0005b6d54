/*
 * A corpus out of a pipe, of which nobody knows how long it is, comes to its end by `sluice finish`: while
 * somebody writes, and when nobody does.
 */
#include "tests/e2e/harness.h"
#include "tests/tiny_models.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static void finish(struct run *run, const char *option, const char *words)
{
    int code = run_command(run, 60, "sluice", "finish", run->config, option, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    harness_has(run->out, words);
}

static void ends_well(pid_t pid)
{
    int code = run_wait(pid, 240);
    if (code != 0) fail_msg("sluice up ended with %d", code);
}

static uint64_t number(const json_t *summary, const char *key)
{
    const json_t *value = json_object_get(summary, key);
    if (!json_is_integer(value)) fail_msg("the summary has no %s", key);
    return (uint64_t)json_integer_value(value);
}

/* The decay as the summary tells it, which also ended where it was to. */
static void decay_of(const struct run *run, const char *consumer, uint64_t *from, uint64_t *end)
{
    json_t *s = run_summary(run, consumer), *of = json_object_get(s, "finish");
    if (!of) fail_msg("%s was not finished", consumer);
    *from = number(of, "from_rows");
    *end = number(of, "end_rows");
    assert_int_equal(number(s, "rows"), *end);
    json_decref(s);
}

/* A stream whose length nobody knows: tiny rows of what the test writes into the pipe that is returned.
 * `sluice up` is started; its pid comes out. */
static FILE *up_of_a_pipe(struct run *run, const char *trainer, pid_t *pid)
{
    char model[HARNESS_PATH_BYTES + 32], extra[HARNESS_PATH_BYTES + 96], rest[1024];
    char sluice[HARNESS_PATH_BYTES], command[4 * HARNESS_PATH_BYTES], pipe[HARNESS_PATH_BYTES + 8];
    snprintf(model, sizeof model, "%s/tiny.gguf", run->dir);
    tiny_write(model, &(struct tiny){.architecture = "llama", .layers = 3});
    snprintf(extra, sizeof extra, "model: %s, hooks: [resid_post.1], dtype: f32", model);
    snprintf(rest, sizeof rest,
             "capture: { corpus: [-], resumable: false, context_tokens: 64, threads: 1,\n"
             "           exact_model: true }\n"
             "sink: { size: 2MiB }\n"
             "trainer: { batch_rows: 256, min_rows: 2000, checkpoint_seconds: 1, %s\n"
             "           saes: [ { arch: topk, features: 64, k: 4 } ] }\n",
             trainer);
    run_configure(run, extra, rest);
    run_program("sluice", sluice);
    snprintf(pipe, sizeof pipe, "%s/pipe", run->dir);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    int fd = open(pipe, O_RDWR | O_CLOEXEC); /* it has a reader at once, and never ends */
    assert_true(fd >= 0);
    snprintf(command, sizeof command, "exec %s up %s <%s", sluice, run->config, pipe);
    *pid = run_start(run, "up", "/bin/sh", "-c", command, NULL);
    return fdopen(fd, "w");
}

static void write_lines(FILE *pipe, int lines)
{
    for (int i = 0; i < lines; i++)
        fprintf(pipe, "this is line %d, and it is about %d\n", i, i * 7919 % 1000);
    assert_int_equal(fflush(pipe), 0);
}

/* It is stopped in the middle, while whoever writes goes on. */
static void a_pipe_is_finished(void **state)
{
    struct run *run = *state;
    uint64_t from, end;
    pid_t pid;
    FILE *pipe = up_of_a_pipe(run, "", &pid);
    for (int i = 0; i < 100 && run_drawn(run, "main") < 10000; i++) write_lines(pipe, 100);
    run_await_drawn(run, "main", 10000, 120);
    finish(run, NULL, "Captures end when that many are in the buffer");
    run_await_said(run, "run/log/capture-0.log", "no more rows are taken", 1);
    write_lines(pipe, 100);
    ends_well(pid);
    decay_of(run, "main", &from, &end);
    assert_int_equal(end - from, from / 5);
    fclose(pipe);
}

/* Nobody writes any more, so that its capture hears of nothing. */
static void a_pipe_that_is_silent_is_finished(void **state)
{
    struct run *run = *state;
    uint64_t from, end;
    pid_t pid;
    FILE *pipe = up_of_a_pipe(run, "finish_rows: 1000000,", &pid);
    for (int i = 0; i < 100 && run_drawn(run, "main") < 10000; i++) write_lines(pipe, 100);
    run_await_drawn(run, "main", 10000, 120);
    finish(run, "--now", "finishes");
    ends_well(pid);
    decay_of(run, "main", &from, &end);
    assert_true(end - from < 1000000);
    fclose(pipe);
}

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pipe_is_finished, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_pipe_that_is_silent_is_finished, run_set_up,
                                        run_tear_down),
    };
    return cmocka_run_group_tests_name("finish_pipe", tests, NULL, NULL);
}
