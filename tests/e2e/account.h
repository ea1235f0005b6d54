/*
 * Processes of a run that are started one by one, struck and started again, and the account of what the
 * stream's first producer made, out of the buffer that they leave. For tests of one file each.
 */
#ifndef SLUICE_TESTS_E2E_ACCOUNT_H
#define SLUICE_TESTS_E2E_ACCOUNT_H

#include "base/err.h"
#include "buffer/store.h"
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct child {
    const char *name, *program, *option, *value; /* option NULL: none */
    pid_t pid;
};

__attribute__((unused)) static void start(struct run *run, struct child *c)
{
    c->pid = c->option ? run_start(run, c->name, c->program, run->config, c->option, c->value, NULL)
                       : run_start(run, c->name, c->program, run->config, NULL);
}

/* Told to leave, it does, with exit code 0. */
__attribute__((unused)) static void leave(struct child *c)
{
    kill(c->pid, SIGTERM);
    assert_int_equal(run_wait(c->pid, 60), 0);
}

__attribute__((unused)) static void strike(struct run *run, struct child *c)
{
    kill(c->pid, SIGKILL);
    if (run_wait(c->pid, 30) != HARNESS_SIGNALLED) fail_msg("%s was gone: too few rows", c->name);
    start(run, c);
}

/* Rows of all lives of producer 0. */
struct account {
    uint64_t captured, filtered, stored, shed, rejected;
    uint64_t replaced_slabs; /* of the whole stream */
    int ended;
};

/* Nobody has the buffer open. */
__attribute__((unused)) static struct account account_of(const struct run *run, uint32_t width,
                                                         uint8_t dtype, uint64_t size_bytes)
{
    char dir[HARNESS_PATH_BYTES + 16];
    struct store *store;
    struct store_producer p;
    snprintf(dir, sizeof dir, "%s/buffer", run->state);
    struct store_options options = {
        .dir = dir, .stream = "test", .size_bytes = size_bytes, .width = width, .dtype = dtype};
    if (store_open(&options, &store)) fail_msg("%s", err_text());
    assert_int_equal(store_producer_get(store, 0, &p), 0);
    struct account a = {.captured = p.totals.captured_rows + p.past_totals.captured_rows,
                        .filtered = p.totals.filtered_rows + p.past_totals.filtered_rows,
                        .stored = p.rows,
                        .shed = p.totals.shed_rows + p.past_totals.shed_rows,
                        .rejected = p.totals.rejected_rows + p.past_totals.rejected_rows,
                        .replaced_slabs = store_state(store)->replaced_slabs,
                        .ended = (int)p.ended};
    store_close(store);
    print_message("epoch %u: captured %llu, filtered %llu, stored %llu, shed %llu, rejected %llu\n",
                  p.epoch, (unsigned long long)a.captured, (unsigned long long)a.filtered,
                  (unsigned long long)a.stored, (unsigned long long)a.shed,
                  (unsigned long long)a.rejected);
    return a;
}

#endif
