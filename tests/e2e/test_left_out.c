/*
 * What is left out is told, and too much of it ends the run: documents that cannot be read, rows
 * over the norm's limit, a disk that is full. The numbers are those of the whole run, whoever was
 * killed meanwhile.
 */
#include "tests/e2e/harness.h"
#include "tests/tiny_models.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SECONDS = 120 };

/* The line of text that begins so, or the last one (NULL). */
static const char *line_of(const char *text, const char *begin)
{
    static char line[2048];
    const char *from = begin ? strstr(text, begin) : text;
    if (!from) fail_msg("there is no '%s' in: %s", begin, text);
    for (const char *next = from; !begin && (next = strchr(next, '\n')) && next[1];) from = ++next;
    snprintf(line, sizeof line, "%.*s", (int)strcspn(from, "\n"), from);
    return line;
}

/* ---- documents ---- */

/* JSON Lines of `lines` documents; those at 7 and at every `each` lines after it are damaged. */
static void write_corpus(const struct run *run, int lines, int each)
{
    char path[HARNESS_PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/corpus.jsonl", run->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 1; i <= lines; i++) {
        int is_bad = i >= 7 && (i - 7) % each == 0;
        fprintf(file, "{\"text\": \"this is line %d of %d, and it is about %d%s\n", i, lines,
                i * 7919 % 1000, is_bad ? "" : "\"}");
    }
    assert_int_equal(fclose(file), 0);
}

static void configure_corpus(struct run *run, const char *more)
{
    char extra[HARNESS_PATH_BYTES + 128], rest[HARNESS_PATH_BYTES + 1024];
    char model[HARNESS_PATH_BYTES + 32];
    snprintf(model, sizeof model, "%s/tiny.gguf", run->dir);
    tiny_write(model, &(struct tiny){.architecture = "llama", .layers = 3});
    snprintf(extra, sizeof extra, "model: %s, hooks: [resid_post.1], dtype: f32", model);
    snprintf(rest, sizeof rest,
             "capture:\n"
             "  corpus: [%s/corpus.jsonl]\n"
             "  context_tokens: 64\n"
             "  exact_model: true\n"
             "  threads: 1\n"
             "%s"
             "sink: { size: 2MiB }\n"
             "trainer:\n"
             "  batch_rows: 256\n"
             "  min_rows: 2000\n"
             "  checkpoint_seconds: 1\n"
             "  saes: [ { arch: topk, features: 64, k: 4, lr: 1e-3 } ]\n",
             run->dir, more);
    run_configure(run, extra, rest);
}

static void two_of_150_documents_are_too_many(void **state)
{
    struct run *run = *state;
    write_corpus(run, 150, 113);
    configure_corpus(run, "");
    double begun = harness_seconds();
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 2);
    assert_true(harness_seconds() - begun < 30);
    harness_has_not(run->err, "started again");
    const char *last = line_of(run->err, NULL);
    harness_has(last, "sluice: capture-0: 2 of 1");
    harness_has(last, "documents of the corpus were skipped (2 not JSON or CSV)");
    harness_has(last, "capture.max_bad_documents = 0.01");
    harness_has(last, "corpus.jsonl, line 7: ");
    harness_has(last, "HINT: ");
}

/* Where the length of the run is known nobody counts the corpus beforehand. */
static void documents_are_judged_as_they_come(void **state)
{
    struct run *run = *state;
    write_corpus(run, 150, 113);
    configure_corpus(run, "  rows: 1000000\n");
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 2);
    harness_has(line_of(run->err, NULL), "sluice: capture-0: 2 of 1");
    write_corpus(run, 50, 113); /* fewer than can be judged before the end */
    int code = run_command(run, SECONDS, "sluice", "up", "--fresh", run->config, NULL);
    assert_int_equal(code, 2);
    harness_has(line_of(run->err, NULL), "sluice: capture-0: 1 of 50 documents");
    code = run_command(run, SECONDS, "sluice", "up", run->config, "--set",
                       "capture.max_bad_documents=0.5", NULL); /* it goes on from there */
    if (code != 0) fail_msg("%s", run->err);
    harness_has(run->out, "  documents: 50 read, 1 skipped");
}

static void what_is_allowed_is_told(void **state)
{
    struct run *run = *state;
    write_corpus(run, 150, 113);
    configure_corpus(run, "  max_bad_documents: 0.5\n");
    if (run_command(run, SECONDS, "sluice", "up", run->config, NULL) != 0) fail_msg("%s", run->err);
    harness_has(run->out, "  documents: 150 read, 2 skipped (2 not JSON or CSV; the first: ");
    harness_has(run->out, "corpus.jsonl, line 7: ");
    harness_has(run->out, "  rows: ");
    harness_has(run->out, " filtered (");
    harness_has(run->out, " rows held out");
    assert_int_equal(run_command(run, SECONDS, "sluice", "status", run->config, NULL), 0);
    harness_has(run->out, "  documents: 150 read, 2 skipped (2 not JSON or CSV; the first: ");
    char *log = run_text(run, "log/capture-0.log", NULL);
    assert_non_null(log);
    harness_has(log, "a document of the corpus is skipped");
    harness_has(log, "documents: 150 read, 2 skipped");
    free(log);
}

/* The two lines of a run that nobody touched, and of one whose processes are killed amid it. */
static void killed_runs_tell_the_same(struct run *run, const char *producers, const char *ratio)
{
    char documents[2048], rows[2048];
    char set[64], limit[64];
    int killed = 0;
    snprintf(set, sizeof set, "capture.producers=%s", producers);
    snprintf(limit, sizeof limit, "capture.max_norm_ratio=%s", ratio);
    write_corpus(run, 4000, 130);
    configure_corpus(run, "  max_bad_documents: 0.5\n"
                          "  max_filtered_share: 1\n"
                          "  measure_contexts: 16\n");
    int code =
        run_command(run, SECONDS, "sluice", "up", run->config, "--set", set, "--set", limit, NULL);
    if (code != 0) fail_msg("%s", run->err);
    snprintf(documents, sizeof documents, "%s", line_of(run->out, "  documents: "));
    snprintf(rows, sizeof rows, "%s", line_of(run->out, "  rows: "));
    harness_has(documents, "4,000 read, 31 skipped");
    if (strcmp(ratio, "0") != 0) harness_has_not(rows, " 0 over the norm limit");
    pid_t up = run_start(run, "up", "sluice", "up", "--fresh", run->config, "--set", set, "--set",
                         limit, NULL);
    run_await_process(run, "capture-0", SECONDS); /* by then the first run's files are gone */
    for (int i = 1; i <= 5; i++) {
        const char *name = i == 3 ? "sink" : "capture-0";
        run_await_drawn(run, "main", 8000u * (unsigned)i, SECONDS);
        run_hold(run, "trainer-main"); /* where it is fast, the last one that died is away still */
        run_await_process(run, name, SECONDS);
        killed += run_kill(run, name);
        run_let_go(run, "trainer-main");
    }
    assert_int_equal(run_wait(up, SECONDS), 0);
    char *out = run_text(run, "../up.out", NULL);
    assert_non_null(out);
    assert_string_equal(line_of(out, "  documents: "), documents);
    assert_string_equal(line_of(out, "  rows: "), rows);
    assert_true(killed >= 3);
    harness_has(out, "is started again");
    free(out);
}

static void numbers_are_right_after_kills(void **state)
{
    killed_runs_tell_the_same(*state, "1", "1.1");
}

static void numbers_are_right_over_producers(void **state)
{
    /* Which producer comes first, and measures, is chance: no limit. */
    killed_runs_tell_the_same(*state, "2", "0");
}

/* How many documents the capture has told of in a file, as it does each two seconds. */
static unsigned documents_told(const struct run *run)
{
    unsigned documents = 0;
    char *text = run_text(run, "capture/capture-0.json", NULL);
    const char *at = text ? strstr(text, "\"documents\": ") : NULL;
    if (at) sscanf(at, "\"documents\": %u", &documents);
    free(text);
    return documents;
}

/* A pipe cannot be read again: what the first life has read is still counted, and the gap is
 * told. The pipe does not end before the capture is killed. */
static void a_pipe_tells_what_was_lost(void **state)
{
    struct run *run = *state;
    char sluice[HARNESS_PATH_BYTES], command[4 * HARNESS_PATH_BYTES];
    write_corpus(run, 4000, 130);
    configure_corpus(run, "  max_bad_documents: 0.5\n  resumable: false\n");
    run_program("sluice", sluice);
    snprintf(command, sizeof command,
             "cd %s && until [ -e killed ]; do cat corpus.jsonl; done | %s up %s --set "
             "capture.corpus=[-]",
             run->dir, sluice, run->config);
    pid_t up = run_start(run, "up", "/bin/sh", "-c", command, NULL);
    run_await_drawn(run, "main", 20000, SECONDS);
    for (double until = harness_seconds() + SECONDS; documents_told(run) < 1000;) {
        if (harness_seconds() > until) fail_msg("%u documents are told of", documents_told(run));
        harness_sleep(0.05);
    }
    assert_int_equal(run_kill(run, "capture-0"), 1);
    run_write(run, "killed", "");
    assert_int_equal(run_wait(up, SECONDS), 0);
    char *out = run_text(run, "../up.out", NULL);
    assert_non_null(out);
    unsigned thousands = 0, rest = 0;
    const char *line = line_of(out, "  documents: ");
    assert_int_equal(sscanf(line, "  documents: %u,%u read", &thousands, &rest), 2);
    assert_true(thousands >= 1);
    harness_has(line, "line 7: ");
    harness_has(line_of(out, "  rows: "),
                "; what was under way when a process died is lost, once (");
    free(out);
}

/* ---- rows ---- */

enum { QUIET = 20000, LOUD = 8000, WIDTH = 16 };

/* The rows of the end are 30 times as long as those that the limit is measured on, or no
 * numbers. */
static void write_rows(const struct run *run, float factor)
{
    char path[HARNESS_PATH_BYTES + 32], header[128];
    static float row[WIDTH];
    snprintf(path, sizeof path, "%s/rows.npy", run->dir);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    int n = snprintf(header, sizeof header,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", QUIET + LOUD,
                     WIDTH);
    fprintf(file, "\x93NUMPY\x01%c\x76%c%-117.*s\n", 0, 0, n, header);
    for (int r = 0; r < QUIET + LOUD; r++) {
        for (int i = 0; i < WIDTH; i++)
            row[i] = (float)sin(r * 0.37 * (i + 1) + i * i) * (r < QUIET ? 1.0f : factor);
        assert_int_equal(fwrite(row, sizeof row, 1, file), 1);
    }
    assert_int_equal(fclose(file), 0);
}

static void configure_rows(struct run *run, float factor)
{
    char text[HARNESS_PATH_BYTES + 512];
    write_rows(run, factor);
    snprintf(text, sizeof text,
             "capture: { engine: files, files: [%s/rows.npy], measure_contexts: 16 }\n"
             "sink: { size: 16MiB }\n"
             "trainer: { batch_rows: 256,\n"
             "           saes: [ { arch: topk, features: 64, k: 4, lr: 1e-3 } ] }\n",
             run->dir);
    run_configure(run, "dtype: f32", text);
}

static void rows_louder_than_those_measured_end_the_run(void **state)
{
    struct run *run = *state;
    configure_rows(run, 30);
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 2);
    harness_has_not(run->err, "started again");
    const char *last = line_of(run->err, NULL);
    harness_has(last, "sluice: capture-0: the norm filter left out 501 of the last 10000 rows");
    harness_has(last, "capture.max_filtered_share = 0.05");
    harness_has(last, "capture.measure_contexts");
    harness_has(last, "capture.max_norm_ratio");
    harness_has(last, "capture.keep_sinks");
    assert_int_equal(run_command(run, SECONDS, "sluice", "status", run->config, NULL), 1);
    harness_has(run->out, "501 over the norm limit");
    int code = run_command(run, SECONDS, "sluice", "up", run->config, "--set",
                           "capture.max_filtered_share=1", NULL);
    if (code != 0) fail_msg("%s", run->err);
    harness_has(run->out,
                "  rows: 28,000 made, 8,000 filtered (0 special tokens, 0 at position 0, 8,000 "
                "over the norm limit)\n");
    harness_has_not(run->out, "documents:");
}

static void rows_that_are_no_numbers_end_the_run(void **state)
{
    struct run *run = *state;
    configure_rows(run, NAN);
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 2);
    harness_has_not(run->err, "started again");
    harness_has(line_of(run->err, NULL),
                "rows are not finite, more than capture.max_rejected_share");
    int code = run_command(run, SECONDS, "sluice", "up", run->config, "--set",
                           "capture.max_rejected_share=1", NULL);
    if (code != 0) fail_msg("%s", run->err);
    harness_has(run->out,
                "  rows: 28,000 made, 0 filtered (0 special tokens, 0 at position 0, 0 over the "
                "norm limit), 8,000 rejected as not finite\n");
}

/* ---- the disk ---- */

/* A run whose folder $1 lies on a disk of $2, which is too small, and gets room once the line has
 * the words $3: what was told till then lies in $4.*, with the health of process $5. Where that is
 * the sink the run may not end before its next line: the trainer is held till then. */
static const char small_disk_script[] =
    "disk=$1 bytes=$2 words=$3 note=$4 process=$5 run=$6 sluice=$7 config=$8\n"
    "mkdir -p $disk && mount -t tmpfs -o size=$bytes,mode=700 tmpfs $disk || exit 9\n"
    "$sluice up $config --set up.progress=true 2>$note.line & up=$!\n"
    "health() { exec 3<>/dev/tcp/$(tr : / <$run/http/$1) || return\n"
    "  printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3; }\n"
    "for i in $(seq 1200); do grep -q \"$words\" $note.line && break; sleep 0.1; done\n"
    "$sluice status $config >$note.status 2>&1\n"
    "$sluice status --json $config >$note.json 2>&1\n"
    "health $process >$note.health 2>&1\n"
    "[ $process = sink ] && hold=$(pgrep -P $up -f sluice-trainer)\n"
    "[ -z \"$hold\" ] || kill -STOP $hold\n"
    "mount -o remount,size=64m $disk\n"
    "[ -z \"$hold\" ] || for i in $(seq 1200); do\n"
    "  tail -n 1 $note.line | grep -q \"capture waits\" || break; sleep 0.1; done\n"
    "[ -z \"$hold\" ] || kill -CONT $hold\n"
    "wait $up; code=$?\n"
    "cp -r $disk $note.kept && umount $disk && cp -r $note.kept/. $disk\n"
    "exit $code\n";

static void note_has(struct run *run, const char *ending, const char *part)
{
    char name[64];
    snprintf(name, sizeof name, "../note.%s", ending);
    char *text = run_text(run, name, NULL);
    assert_non_null(text);
    harness_has(text, part);
    free(text);
}

static void up_on_a_small_disk(struct run *run, const char *folder, const char *bytes,
                               const char *words, const char *process)
{
    char script[HARNESS_PATH_BYTES + 64], note[HARNESS_PATH_BYTES + 64], sluice[HARNESS_PATH_BYTES];
    char disk[HARNESS_PATH_BYTES + 64];
    if (system("unshare -rm true 2>/dev/null") != 0) {
        print_message("this machine lets nobody mount a small disk\n");
        skip();
    }
    snprintf(script, sizeof script, "%s/small.sh", run->dir);
    snprintf(note, sizeof note, "%s/note", run->dir);
    snprintf(disk, sizeof disk, "%s%s", run->state, folder);
    run_program("sluice", sluice);
    FILE *file = fopen(script, "w");
    assert_non_null(file);
    fputs(small_disk_script, file);
    assert_int_equal(fclose(file), 0);
    int code = run_command(run, 4 * SECONDS, "/usr/bin/unshare", "-rm", "/bin/bash", script, disk,
                           bytes, words, note, process, run->state, sluice, run->config, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
}

/* The last line of progress: the sink's notice goes with its reason. The trainer, whose checkpoints
 * may have met the same full disk, was held meanwhile: its own goes with its next report. */
static void notice_is_gone(struct run *run)
{
    char *lines = run_text(run, "../note.line", NULL);
    assert_non_null(lines);
    harness_has_not(line_of(lines, NULL), "capture waits");
    free(lines);
}

static void a_full_disk_of_the_run_is_told(void **state)
{
    struct run *run = *state;
    run_configure(run, "dtype: f32",
                  "capture: { engine: synthetic,\n"
                  "           synthetic: { features: 32, width: 16, rows: 600000, seed: 1 } }\n"
                  "sink: { size: 32MiB }\n"
                  "trainer: { batch_rows: 256, saes: [ { name: rows, arch: count } ] }\n");
    up_on_a_small_disk(run, "", "6m", "buffer is full.*capture waits", "sink");
    note_has(run, "line", "buffer is full: 0.");
    note_has(run, "line", " MB free, needs 0.3 MB; capture waits");
    note_has(run, "status", "WARNING: the disk of ");
    note_has(run, "json", "sluice_sink_disk_waiting_seconds");
    note_has(run, "health", "503 ");
    note_has(run, "health", "the buffer cannot be written");
    assert_true(run_counts_are(run, "main", 600000, 1));
    notice_is_gone(run);
}

/* No checkpoint finds room; the buffer does. */
static void a_full_disk_of_checkpoints_is_told(void **state)
{
    struct run *run = *state;
    run_configure(run, "dtype: f32",
                  "capture: { engine: synthetic,\n"
                  "           synthetic: { features: 32, width: 64, rows: 200000, seed: 1 } }\n"
                  "sink: { size: 32MiB }\n"
                  "trainer: { batch_rows: 256, checkpoint_seconds: 1,\n"
                  "           saes: [ { arch: topk, features: 512, k: 4, lr: 1e-3 } ] }\n");
    up_on_a_small_disk(run, "/main", "64k", "main is full.*checkpoints wait", "trainer-main");
    note_has(run, "status", "checkpoints wait");
    note_has(run, "json", "sluice_trainer_disk_waiting_seconds");
    note_has(run, "health", "503 ");
    note_has(run, "health", "No space left on device");
    json_t *summary = run_summary(run, "main");
    assert_non_null(summary);
    json_decref(summary);
}

#define LEFT_OUT(name) cmocka_unit_test_setup_teardown(name, run_set_up, run_tear_down)

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        LEFT_OUT(two_of_150_documents_are_too_many),
        LEFT_OUT(documents_are_judged_as_they_come),
        LEFT_OUT(what_is_allowed_is_told),
        LEFT_OUT(numbers_are_right_after_kills),
        LEFT_OUT(numbers_are_right_over_producers),
        LEFT_OUT(a_pipe_tells_what_was_lost),
        LEFT_OUT(rows_louder_than_those_measured_end_the_run),
        LEFT_OUT(rows_that_are_no_numbers_end_the_run),
        LEFT_OUT(a_full_disk_of_the_run_is_told),
        LEFT_OUT(a_full_disk_of_checkpoints_is_told),
    };
    return cmocka_run_group_tests_name("left out", tests, NULL, NULL);
}
