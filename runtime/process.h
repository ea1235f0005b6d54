/*
 * The skeleton of every long-running process. A main.c is one table and one call:
 *
 *     int main(int argc, char **argv) { return process_main(&broker_process, argc, argv); }
 *
 * process_main: options, configuration, --print-config, --check and what man/generate.sh asks for
 * (--print-metrics: the process's section of docs/METRICS.md); umask 077, core dumps off;
 * loop, signals, parent's pipe; metrics and HTTP; then start(), the loop, and stop(). SIGTERM,
 * SIGINT, or the end of the parent's pipe (inherited descriptor named by SLUICE_PARENT_FD) call
 * drain(); a second signal, or PROCESS_DRAIN_SECONDS of draining, stops at once (exit code 1). Exit
 * codes: 0 done, 1 failed at run time, 2 usage or configuration.
 *
 * All callbacks run on the loop thread and must not block: what computes has a thread of its own
 * and comes back through a process_wake.
 */
#ifndef SLUICE_RUNTIME_PROCESS_H
#define SLUICE_RUNTIME_PROCESS_H

#include "config/config.h"
#include "runtime/http.h"
#include "runtime/link.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/options.h"

/* What a process that has a parent (SLUICE_PARENT_FD) ends with in place of 1 where a second try is
 * of no use (err_is_final()): a file that it reads is not what it should be. */
enum { PROCESS_EXIT_FINAL = 3 };

/* A drain that takes longer is stopped: ten seconds are promised, some are grace. */
enum { PROCESS_DRAIN_SECONDS = 15 };

struct process;
struct process_timer;
struct process_wake;

struct process_spec {
    struct program_spec program;
    const char *section; /* "capture", "broker", "sink", "trainer": whose http address is used */
    /* What this one is called in logs, reports and RUN/http: "capture-0", "trainer-main". Writes
     * into out[64] from configuration and options. NULL: the section's name. ERR_USAGE. */
    int (*name)(const struct config *config, const struct options *options, char *out);
    /* What it asks of the configuration beyond config_check_section(), without opening anything;
     * for --check, too. NULL: nothing. ERR_USAGE. */
    int (*check)(const struct config *config);
    const struct metric *metrics;
    size_t metrics_count;
    /* What --print-metrics tells behind their table. NULL: nothing. */
    void (*document)(FILE *out);
    const struct http_handler *handlers; /* arg is replaced by the process's state; may be NULL */
    size_t handlers_count;
    unsigned connections; /* to its pages, at most; 0: as http.h has it */
    size_t state_bytes;   /* zeroed memory for process_state() */

    /* Open everything. An error ends the process with its text. */
    int (*start)(struct process *process);
    /* Begin to end: must lead to process_finish() within ten seconds. Called at most once. NULL:
     * finishes at once. */
    void (*drain)(struct process *process);
    /* Right after start(), then each second: refresh gauges. The skeleton sends the report
     * afterwards. May be NULL. */
    void (*stats)(struct process *process);
    /* ERR_OK: it does its work, or has done some since the last call; otherwise err_text() says why
     * it can't. Each second, after stats(); /readyz and /healthz (readiness.h) follow from it. May
     * be NULL. */
    int (*ready)(struct process *process);
    /* Give back everything; also called where start() failed half-way. */
    void (*stop)(struct process *process);
};

/* For a process through which frames come and go, before it is run: malloc keeps what they leave
 * (up to 64 MiB; how much there is at once is the credit's to bound), where it would give it back
 * to the system each time, and take and clear it anew. */
void process_keep_freed_memory(void);
/* Run the process; returns its exit code. */
int process_main(const struct process_spec *spec, int argc, char **argv);

void *process_state(struct process *process);
const struct config *process_config(const struct process *process);
const struct options *process_options(const struct process *process);
const char *process_name(const struct process *process);
struct metrics *process_metrics(struct process *process);
struct link_hub *process_hub(struct process *process);

/* End the loop after the present callback. ERR_OK: exit code 0; an error: its text (read now) is
 * logged and the exit code is err_exit_code(). The first error wins. Loop thread. */
void process_finish(struct process *process, int code);

/* Send the one-second MESSAGE_REPORT (metrics_json) over this DEALER from now on; NULL: no more. */
void process_report_to(struct process *process, struct link *link);

/* The report itself, as it is now; the caller frees *text. ERR_NOMEM. */
int process_report(struct process *process, char **text, size_t *bytes);

/* Who listens to the handler of this process that is a stream, and an event for all of them: http.h. */
size_t process_listeners(const struct process *process);
void process_tell(struct process *process, const char *event, const char *text, size_t bytes);

/* A repeating timer, stopped at first. fn runs on the loop thread. NULL without memory; the
 * skeleton frees those that are left after stop(). interval_ms = 0 stops it. */
struct process_timer *process_timer_new(struct process *process, void (*fn)(void *arg), void *arg);
void process_timer_set(struct process_timer *timer, uint64_t interval_ms);

/* A way for another thread to call fn(arg) on the loop thread soon; several calls may become one.
 * NULL without memory. Valid until stop() has returned: join threads in stop(). */
struct process_wake *process_wake_new(struct process *process, void (*fn)(void *arg), void *arg);
void process_wake_send(struct process_wake *wake); /* from any thread */

/* Nanoseconds: monotonic, and since 1970. */
uint64_t process_now_ns(void);
uint64_t process_wall_ns(void);

#endif
