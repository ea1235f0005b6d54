/*
 * What the end-to-end tests share: folders of runs, configurations, processes that are started,
 * killed and waited for, each with a deadline, and what a run leaves behind. Anything unexpected
 * fails the test at once (cmocka's fail_msg).
 */
#ifndef SLUICE_TESTS_E2E_HARNESS_H
#define SLUICE_TESTS_E2E_HARNESS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { HARNESS_PATH_BYTES = 1024, HARNESS_TEXT_BYTES = 65536, HARNESS_ARGUMENTS = 64 };

/* Results of run_wait() beside exit codes 0 to 255. */
enum { HARNESS_SIGNALLED = -1, HARNESS_TIMED_OUT = -2 };

struct run {
    char dir[HARNESS_PATH_BYTES];    /* the test's own folder */
    char state[HARNESS_PATH_BYTES];  /* the run folder: DIR/run */
    char config[HARNESS_PATH_BYTES]; /* DIR/run.yaml */
    char out[HARNESS_TEXT_BYTES];    /* of the last run_command(): stdout, NUL-terminated */
    char err[HARNESS_TEXT_BYTES];    /* stderr */
};

/* A fresh folder DIR. The environment names folders below it for state and for the sockets of tapped
 * programs (SLUICE_TAPS=DIR/taps); the model cache stays the user's. */
void run_make(struct run *run);
/* Kill what still runs of it, and remove the folder (kept where SLUICE_E2E_KEEP is set, to
 * look). */
void run_remove(struct run *run);
/* The same as cmocka's set-up and tear-down of a test: *state is its run. */
int run_set_up(void **state);
int run_tear_down(void **state);

/* Write the configuration: `stream: {name: test, run_dir: ..., EXTRA}` and then `rest`. */
void run_configure(struct run *run, const char *extra, const char *rest);

/* A program of the build ("sluice-sink", "tests/e2e/sluice-sink-unsafe"), or a path that begins
 * with a slash. Arguments end with NULL. */

/* Its path into out[HARNESS_PATH_BYTES]. */
void run_program(const char *program, char *out);
/* Start one in the background; its output is appended to DIR/NAME.out. */
pid_t run_start(struct run *run, const char *name, const char *program, ...)
    __attribute__((sentinel));
/* Wait for one that run_start() gave: exit code, or HARNESS_*. */
int run_wait(pid_t pid, double seconds);
/* Run one to its end, with out[] and err[] filled; exit code or HARNESS_*. */
int run_command(struct run *run, double seconds, const char *program, ...)
    __attribute__((sentinel));

/* A process of the run by its name ("sink", "capture-0", "trainer-main"), 0 if there is none. */
pid_t run_process(const struct run *run, const char *name);
/* SIGKILL it; 1 if there was one. */
int run_kill(const struct run *run, const char *name);
/* Wait until a process of that name exists. */
pid_t run_await_process(const struct run *run, const char *name, double seconds);
/* Wait for it, and stop it (SIGSTOP), so that what it does is not over before the test is; and let it go
 * on (SIGCONT). A stopped trainer holds back the whole run under policy block once the buffer is full; a
 * stopped capture does under each policy. */
void run_hold(const struct run *run, const char *name);
void run_let_go(const struct run *run, const char *name);
/* Processes of the run that are alive, sluice itself among them. */
int run_alive(const struct run *run);

/* RUN/CONSUMER/summary.json; the caller decrefs. NULL where there is none. */
json_t *run_summary(const struct run *run, const char *consumer);
/* Rows of the buffer's consumer drawn so far, as its progress file tells; 0 where there is none. */
uint64_t run_drawn(const struct run *run, const char *consumer);
/* Wait until it has drawn so many. */
void run_await_drawn(const struct run *run, const char *consumer, uint64_t rows, double seconds);

/* The value of a line of a process's /metrics, given its name with its label, as there; -1: it
 * cannot be had now. */
double run_metric(const struct run *run, const char *process, const char *name);
/* Wait until it can be had and is so much. */
void run_await_metric(const struct run *run, const char *process, const char *name, double least);

/* Whether every counter of a finished `count` run equals `reuse`, and counted and held-out rows are
 * `rows` together. Prints what is wrong; 1 if all is well. */
int run_counts_are(const struct run *run, const char *consumer, uint64_t rows, unsigned reuse);

/* Whole file as text, NUL-terminated, malloc'ed; NULL where there is none. */
char *run_text(const struct run *run, const char *below_state, size_t *bytes);

/* How often words stand in a file of the test's folder, and wait until they do so many times. */
unsigned run_says(const struct run *run, const char *name, const char *words);
void run_await_said(const struct run *run, const char *name, const char *words, unsigned times);

/* Two files, named as for run_text(), are there and hold the same bytes; where not, the test
 * fails. */
void run_same_files(const struct run *run, const char *a, const char *b);

/* A text file of this name in the test's own folder (run->dir). */
void run_write(const struct run *run, const char *name, const char *text);

/* Whether `part` is in the text; where not, the test fails and shows both. */
void harness_has(const char *text, const char *part);
void harness_has_not(const char *text, const char *part);

/* A port of loopback that nobody has. It stays bound until the test ends, so that no other program is
 * given it; one that asks for it by number, with SO_REUSEADDR or SO_REUSEPORT, may listen there. */
int harness_free_port(void);

void harness_sleep(double seconds);
double harness_seconds(void);

#endif
