/*
 * A live run whose rows go by age: what was there for a while, in the buffer, in a trainer's held-out
 * file, under whatever name, is in no byte of the run's folder one minute after its age has ended,
 * also where the sink was killed meanwhile. And no log tells a text.
 */
#include "base/err.h"
#include "base/fileio.h"
#include "buffer/scan.h"
#include "proto/descriptor.h"
#include "proto/rows.h"
#include "tests/e2e/harness.h"

#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { WIDTH = 576, AGE_SECONDS = 6, GRACE_SECONDS = 60, RUN_TOKENS = 6, STARTS_SECONDS = 240 };

static const char secret[] = "The zebra of Quixlandia plays a violet bassoon";

static void configure(struct run *run)
{
    char corpus[64 * 1024] = "", text[2048];
    for (int i = 0; i < 200; i++) /* the same again, with other words before it */
        snprintf(corpus + strlen(corpus), 256, "Story %d of %d begins like this. %s.\n%%\n", i,
                 i * 7919 % 1000, secret);
    run_write(run, "secrets", corpus);
    snprintf(text, sizeof text,
             "capture: { corpus: [ %s/secrets, corpus ], document_separator: \"%%\", "
             "context_tokens: 32, batch_contexts: 4, rows: 2000000, measure_contexts: 8 }\n"
             "sink: { size: 32MiB, retention: %ds }\n"
             "trainer: { batch_rows: 128, min_rows: 200, eval_seconds: 2, checkpoint_seconds: 2, "
             "eval_rows: 200000, saes: [ { arch: topk, features: 64, k: 4 } ] }\n",
             run->dir, AGE_SECONDS);
    run_configure(run, "model: smollm2, hooks: [resid_post.15], policy: shed", text);
}

/* ---- what is looked for ---- */

struct planted {
    struct row_id ids[RUN_TOKENS]; /* as they lie in a slab */
    uint32_t tokens[RUN_TOKENS];   /* one behind the other */
    uint16_t packed[WIDTH];
    float values[WIDTH];
    double until; /* its age ends before, by harness_seconds() */
};

/* A run of rows of one sequence, in one slab; held_out: of one that is held out. */
static int find_run(const struct scan_slab *slab, uint32_t one_in, int held_out, uint32_t *first)
{
    for (uint32_t i = 0; i + RUN_TOKENS <= slab->rows; i++) {
        struct row_id id = rows_id(slab->raw, i), last = rows_id(slab->raw, i + RUN_TOKENS - 1);
        if (id.sequence != last.sequence || rows_held_out(id.sequence, one_in) != held_out)
            continue;
        *first = i;
        return 1;
    }
    return 0;
}

static void take_row(const struct scan *scan, const struct scan_slab *slab, uint32_t first,
                     struct planted *p)
{
    for (uint32_t i = 0; i < RUN_TOKENS; i++) {
        p->ids[i] = rows_id(slab->raw, first + i);
        p->tokens[i] = p->ids[i].token;
    }
    const char *values = (const char *)slab->raw + slab->rows * sizeof(struct row_id);
    memcpy(p->packed, values + (size_t)first * sizeof p->packed, sizeof p->packed);
    scan_values(scan, slab, first, p->values);
    p->until = harness_seconds() + AGE_SECONDS;
}

static uint32_t held_out_one_in(const struct scan *scan)
{
    struct descriptor d;
    const char *text = scan_descriptor(scan);
    assert_int_equal(descriptor_decode(text, strlen(text), &d), ERR_OK);
    uint32_t one_in = d.held_out_one_in;
    descriptor_free(&d);
    return one_in;
}

/* Out of the newest slabs of the buffer that goes on. */
static void plant(const struct run *run, int held_out, struct planted *p)
{
    char dir[HARNESS_PATH_BYTES + 16];
    snprintf(dir, sizeof dir, "%s/buffer", run->state);
    for (double until = harness_seconds() + STARTS_SECONDS;; harness_sleep(0.1)) {
        struct scan *scan;
        struct scan_slab slab;
        uint32_t first;
        int found = 0;
        if (harness_seconds() > until) fail_msg("no such row in %s", dir);
        if (scan_open(dir, &scan) != ERR_OK) continue;
        uint32_t one_in = held_out_one_in(scan);
        while (scan_next(scan, &slab) == ERR_OK)
            if (find_run(&slab, one_in, held_out, &first)) {
                take_row(scan, &slab, first, p);
                found = 1;
            }
        scan_close(scan);
        if (found) return;
    }
}

/* ---- where it is ---- */

static struct {
    const struct planted *planted;
    char where[HARNESS_PATH_BYTES]; /* the last file that it was found in; "": none */
    int times;
} search;

static int look_into(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)place;
    char *data;
    size_t bytes;
    if (kind != FTW_F || !S_ISREG(st->st_mode)) return 0;
    if (file_read(path, 1 << 28, &data, &bytes) != ERR_OK) return 0;
    const struct planted *p = search.planted;
    int found = memmem(data, bytes, p->ids, 2 * sizeof p->ids[0]) ||
                memmem(data, bytes, p->tokens, sizeof p->tokens) ||
                memmem(data, bytes, p->packed, sizeof p->packed) ||
                memmem(data, bytes, p->values, sizeof p->values);
    free(data);
    if (found) snprintf(search.where, sizeof search.where, "%s", path);
    search.times += found;
    return 0;
}

/* In how many files of the run it is. */
static int files_with(const struct run *run, const struct planted *p)
{
    search.planted = p;
    search.times = 0;
    search.where[0] = '\0';
    nftw(run->state, look_into, 16, FTW_PHYS);
    return search.times;
}

static void expect_gone(const struct run *run, const struct planted *p)
{
    while (files_with(run, p))
        if (harness_seconds() > p->until + GRACE_SECONDS)
            fail_msg("it is in %s still, %d s after its age ended", search.where, GRACE_SECONDS);
        else
            harness_sleep(0.2);
    print_message("gone %.1f s after its age ended\n", harness_seconds() - p->until);
}

/* Where the machine is slow, one may be too old before all is looked through. */
static void plant_in_files(const struct run *run, struct planted *p)
{
    double until = harness_seconds() + STARTS_SECONDS;
    do {
        if (harness_seconds() > until) fail_msg("no such row was ever found in %s", run->state);
        plant(run, 0, p);
    } while (!files_with(run, p));
}

static int comes_into(const char *path, const struct planted *p)
{
    for (; harness_seconds() < p->until; harness_sleep(0.05)) {
        char *data;
        size_t bytes;
        if (file_read(path, 1 << 28, &data, &bytes) != ERR_OK) continue;
        int found = memmem(data, bytes, p->values, sizeof p->values) != NULL;
        free(data);
        if (found) return 1;
    }
    return 0;
}

/* A held-out row that its trainer has taken: where the machine is slow, one may be too old before. */
static void plant_in_held_out_file(const struct run *run, struct planted *p)
{
    char path[HARNESS_PATH_BYTES + 32];
    double until = harness_seconds() + STARTS_SECONDS;
    snprintf(path, sizeof path, "%s/main/held_out.aged", run->state);
    do {
        if (harness_seconds() > until) fail_msg("no such row ever came into %s", path);
        plant(run, 1, p);
    } while (!comes_into(path, p));
}

static int look_for_text(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)place;
    char *data;
    size_t bytes;
    if (kind != FTW_F || !S_ISREG(st->st_mode)) return 0;
    assert_int_equal(file_read(path, 1 << 28, &data, &bytes), ERR_OK);
    if (memmem(data, bytes, "Quixlandia", 10) || memmem(data, bytes, "bassoon", 7))
        snprintf(search.where, sizeof search.where, "%s", path);
    free(data);
    return 0;
}

/* Out of the buffer, as it goes on: elsewhere than in the run's folder it is refused. */
static void make_index(struct run *run, struct planted *p)
{
    char inside[HARNESS_PATH_BYTES + 32], outside[HARNESS_PATH_BYTES + 32];
    snprintf(inside, sizeof inside, "%s/index/mine", run->state);
    snprintf(outside, sizeof outside, "%s/outside", run->dir);
    int code = run_command(run, 240, "sluice", "inspect", run->state, outside, "--from-buffer",
                           "--no-promotes", NULL);
    assert_int_equal(code, 2);
    harness_has(run->err, "/index/NAME");
    assert_int_equal(access(outside, F_OK), -1);
    /* its records name rows as slabs do, apart from each other */
    char path[HARNESS_PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/records/rows", inside);
    double until = harness_seconds() + STARTS_SECONDS;
    do { /* its age ends, too, perhaps before it is made */
        if (harness_seconds() > until) fail_msg("there never is %s: %s", path, run->err);
        code = run_command(run, 240, "sluice", "inspect", run->state, inside, "--from-buffer",
                           "--no-promotes", "--keep-records", NULL);
    } while (code != 0 || access(path, F_OK) != 0);
    p->until = harness_seconds() + AGE_SECONDS;
    while (access(inside, F_OK) == 0) {
        if (harness_seconds() > p->until + GRACE_SECONDS) fail_msg("%s is there still", inside);
        harness_sleep(0.2);
    }
}

static void what_is_too_old_is_nowhere(void **state)
{
    struct run *run = *state;
    struct planted trained, held_out, of_the_killed;
    configure(run);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    plant_in_files(run, &trained);
    plant_in_held_out_file(run, &held_out);
    expect_gone(run, &trained);
    expect_gone(run, &held_out);

    plant(run, 0, &of_the_killed);
    make_index(run, &of_the_killed);
    plant_in_files(run, &of_the_killed);
    run_hold(run, "capture-0"); /* nothing comes that would be written over it */
    assert_true(run_kill(run, "sink"));
    expect_gone(run, &of_the_killed);
    run_let_go(run, "capture-0");
    run_await_metric(run, "sink", "sluice_buffer_expired_slabs_total", 0);
    run_await_metric(run, "trainer-main", "sluice_trainer_expired_held_out_rows_total", 1);

    kill(up, SIGTERM);
    run_wait(up, 120);
    nftw(run->state, look_for_text, 16, FTW_PHYS);
    if (search.where[0]) fail_msg("%s tells a text", search.where);
}

/* ---- token ids that are left out ---- */

enum { TOKENLESS_ROWS = 3000 };

/* The ids of the first row's sequence in a buffer of the same corpus that has them. */
static void take_tokens(struct run *run, struct planted *p)
{
    plant(run, 0, p);
    for (int i = 0; i < RUN_TOKENS; i++) assert_true(p->tokens[i] != ROW_NO_TOKEN);
}

static void make_stream(struct run *run, const char *more)
{
    char stream[256], text[1024];
    snprintf(stream, sizeof stream, "model: smollm2, hooks: [resid_post.15]%s", more);
    snprintf(text, sizeof text,
             "capture: { corpus: corpus, context_tokens: 32, rows: %d, measure_contexts: 8 }\n"
             "sink: { size: 32MiB }\n"
             "trainer: { consumers: [], saes: [ { arch: topk, features: 64, k: 4 } ] }\n",
             TOKENLESS_ROWS);
    run_configure(run, stream, text);
    if (run_command(run, STARTS_SECONDS, "sluice", "up", run->config, NULL) != 0)
        fail_msg("%s", run->err);
}

static void no_token_leaves_the_producer(void **state)
{
    struct run *run = *state;
    struct planted with, without;
    make_stream(run, "");
    take_tokens(run, &with);
    assert_true(files_with(run, &with) > 0);
    assert_int_equal(dir_remove(run->state), ERR_OK);
    make_stream(run, ", keep_tokens: false");
    plant(run, 0, &without);
    for (int i = 0; i < RUN_TOKENS; i++) {
        assert_int_equal(without.tokens[i], ROW_NO_TOKEN);
        assert_int_equal(without.ids[i].sequence, with.ids[i].sequence);
        assert_int_equal(without.ids[i].position, with.ids[i].position);
    }
    memset(with.packed, 0x5a, sizeof with.packed); /* the rows are there, their tokens are not */
    memset(with.values, 0x5a, sizeof with.values);
    if (files_with(run, &with)) fail_msg("token ids are in %s", search.where);
}

int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_too_old_is_nowhere, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(no_token_leaves_the_producer, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
