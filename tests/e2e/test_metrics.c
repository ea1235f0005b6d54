/*
 * What the processes of a running pipeline show is what docs/METRICS.md says of them: each metric,
 * with its type and meaning, with a value at each label, on a page that Prometheus takes, and in
 * the reports that the broker has.
 */
#include "tests/e2e/harness.h"

#include "base/err.h"
#include "base/fileio.h"
#include "tests/e2e/fetch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/runtime/exposition.h"

enum { SECONDS = 60, ANSWER_MS = 10000, LINE_BYTES = 1024 };

static const char pipeline[] =
    "capture: { engine: synthetic, synthetic: { features: 32, width: 16, rows: 1000000000 } }\n"
    "sink: { size: 64MiB }\n"
    "trainer: { batch_rows: 256, eval_rows: 4000, reuse: 1,\n"
    "  saes: [ { name: a, arch: topk, features: 32, k: 4 },\n"
    "          { name: b, arch: topk, features: 64, k: 4 } ] }\n";

static const char *const processes[][2] = {
    {"capture", "capture-0"}, {"broker", "broker"}, {"sink", "sink"}, {"trainer", "trainer-main"}};
enum { PROCESSES = sizeof processes / sizeof *processes };

/* A page of a process; NULL while there is none. */
static char *page(const struct run *run, const char *name, const char *path)
{
    char file[2 * HARNESS_PATH_BYTES], *address, *body;
    size_t bytes;
    snprintf(file, sizeof file, "%s/http/%s", run->state, name);
    if (file_read(file, 256, &address, &bytes)) return NULL;
    address[strcspn(address, "\r\n")] = '\0';
    int result = fetch(address, path, ANSWER_MS, &body, &bytes);
    free(address);
    return result ? NULL : body;
}

/* The report of a process in the broker's document; lives as long as that. NULL: there is none. */
static json_t *report_of(const json_t *status, const char *name)
{
    json_t *process;
    size_t i;
    json_array_foreach(json_object_get(status, "processes"), i, process)
    {
        const char *its = json_string_value(json_object_get(process, "name"));
        if (its && strcmp(its, name) == 0) return json_object_get(process, "report");
    }
    return NULL;
}

/* Whether held-out rows were measured, as the trainer's last report has it. */
static int is_measured(const struct run *run)
{
    char *text = page(run, "broker", "/api/status");
    json_t *status = json_loads(text ? text : "", 0, NULL);
    json_t *fve = json_object_get(report_of(status, "trainer-main"), "sluice_trainer_fve_ratio");
    int is = json_is_number(json_object_get(fve, "b"));
    json_decref(status);
    free(text);
    return is;
}

static void await_measured(const struct run *run)
{
    double end = harness_seconds() + SECONDS;
    while (!is_measured(run)) {
        if (harness_seconds() > end) fail_msg("no FVE within %d s", SECONDS);
        harness_sleep(0.2);
    }
}

/* The cells of a row, without the spaces and back quotes around them; cuts `row`. 1: it is one. */
static int cells_of(char *row, char *cell[5])
{
    if (strncmp(row, "| `sluice_", 10) != 0) return 0;
    char *at = row + 2;
    for (int i = 0; i < 5; i++) {
        char *end = i < 4 ? strstr(at, "| ") : strstr(at, " |");
        if (!end) return 0;
        cell[i] = at;
        at = end + 2;
        while (end > cell[i] && end[-1] == ' ') end--;
        *end = '\0';
    }
    cell[0]++;
    cell[0][strcspn(cell[0], "`")] = '\0';
    return 1;
}

static char not_yet[256]; /* what a process has not said so far; "": all is there */

static int is_shown(const char *text, const char *name, const char *is_labelled)
{
    char sample[256];
    snprintf(sample, sizeof sample, "\n%s%s", name, is_labelled[0] ? "{" : " ");
    if (strstr(text, sample)) return 1;
    snprintf(sample, sizeof sample, "\n%s_count ", name); /* a histogram */
    return strstr(text, sample) != NULL;
}

/* One row of the document against page and report; why not: in not_yet. */
static void row_holds(char *cell[5], const char *text, const json_t *report)
{
    char head[2 * LINE_BYTES];
    snprintf(head, sizeof head, "# HELP %s %s\n# TYPE %s %s\n", cell[0], cell[4], cell[0], cell[1]);
    if (!strstr(text, head)) fail_msg("no page has: %s", head);
    const json_t *value = json_object_get(report, cell[0]);
    const char *why = !is_shown(text, cell[0], cell[3])            ? "declared, and not shown"
                      : !value                                     ? "not reported"
                      : cell[3][0] && json_object_size(value) == 0 ? "without a label"
                                                                   : NULL;
    if (why) snprintf(not_yet, sizeof not_yet, "%s is %s", cell[0], why);
}

/* The section of a process; the number of its metrics. */
static size_t section_holds(const char *document, const char *kind, const char *text,
                            const json_t *report)
{
    char line[LINE_BYTES], *cell[5];
    size_t rows = 0;
    snprintf(line, sizeof line, "\n## sluice-%s\n", kind);
    const char *at = strstr(document, line);
    if (!at) fail_msg("docs/METRICS.md has no section of %s", kind);
    at += strlen(line);
    while (*at && strncmp(at, "## ", 3) != 0) {
        size_t length = strcspn(at, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, at);
        if (cells_of(line, cell)) {
            row_holds(cell, text, report);
            rows++;
        }
        at += length + (at[length] == '\n');
    }
    return rows;
}

/* Prometheus's own judge of a page: names, types, units, what stands twice. */
static void promtool_takes(struct run *run, const char *name, const char *text)
{
    char file[64], command[2 * HARNESS_PATH_BYTES];
    snprintf(file, sizeof file, "%s.metrics", name);
    run_write(run, file, text);
    snprintf(command, sizeof command,
             "exec \"$(scripts/prometheus.sh)\"/promtool check metrics <'%s/%s'", run->dir, file);
    if (run_command(run, SECONDS, "/bin/sh", "-c", command, NULL) != 0 || run->err[0])
        fail_msg("promtool of %s: %s%s", name, run->out, run->err);
}

/* Each process now; not_yet says what is missing. */
static void all_holds(struct run *run, const char *document)
{
    char *status_text = page(run, "broker", "/api/status");
    json_t *status = json_loads(status_text ? status_text : "", 0, NULL);
    not_yet[0] = '\0';
    for (int i = 0; i < PROCESSES && !not_yet[0]; i++) {
        json_t *report = report_of(status, processes[i][1]);
        char *text = page(run, processes[i][1], "/metrics");
        if (!report || !text) {
            snprintf(not_yet, sizeof not_yet, "%s %s", processes[i][1],
                     text ? "is not known to the broker" : "shows nothing");
            free(text);
            break;
        }
        promtool_takes(run, processes[i][1], text);
        if (!exposition_ok(text)) fail_msg("%s: %s", processes[i][1], exposition_why);
        size_t rows = section_holds(document, processes[i][0], text, report);
        if (!not_yet[0]) assert_int_equal(rows, json_object_size(report)); /* and nothing else */
        free(text);
    }
    json_decref(status);
    free(status_text);
}

static void all_is_shown_that_is_declared(void **state)
{
    struct run *run = *state;
    char *document;
    size_t bytes;
    if (file_read("docs/METRICS.md", 1 << 20, &document, &bytes)) fail_msg("%s", err_text());
    run_configure(run, "", pipeline);
    run_start(run, "up", "sluice", "up", run->config, NULL);
    await_measured(run);
    double end = harness_seconds() + SECONDS;
    while (all_holds(run, document), not_yet[0]) { /* some numbers come with a later report */
        if (harness_seconds() > end) fail_msg("%s", not_yet);
        harness_sleep(0.5);
    }
    free(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_is_shown_that_is_declared, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
