/*
 * What bad input gets: a message that says what, where and what to do next, and exit code 2 (usage,
 * configuration) or 1 (at run time); and nothing is lost that was acked.
 */
#include "buffer/environment.h"
#include "tests/e2e/harness.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECONDS = 60 };

/* On lines of their own, so that errors can name them: run_configure() writes line 1. */
static const char synthetic[] =
    "capture:\n"
    "  engine: synthetic\n"
    "  synthetic: { features: 64, width: 64, l0: 4, rows: 300000, sequence_rows: 64 }\n"
    "sink: { size: 32MiB }\n"
    "trainer:\n"
    "  batch_rows: 512\n"
    "  eval_rows: 2000\n"
    "  checkpoint_seconds: 1\n"
    "  saes: [ { name: rows, arch: count } ]\n";

static const char llama[] = "capture: { engine: llama, corpus: [CORPUS], context_tokens: 64 }\n"
                            "sink: { size: 64MiB }\n"
                            "trainer: { saes: [ { arch: topk, features: 1152, k: 16 } ] }\n";

/* ---- the configuration ---- */

static void unknown_keys_and_values_out_of_range(void **state)
{
    struct run *run = *state;
    static const struct {
        const char *text, *line, *words;
    } bad[] = {
        {"capture: { engine: synthetic }\nsink:\n  sise: 8MiB\n", ":4:", "size"},
        {"capture: { engine: synthetic }\nsinks: { size: 8MiB }\n", ":3:", "sink"},
        {"capture: { engine: synthetic }\ntrainer:\n  reuse: 0\n", ":4:", "1 to"},
        {"capture: { engine: synthetic }\ntrainer:\n  reuse: many\n", ":4:", "number"},
        {"capture: { engine: antique }\n", ":2:", "llama"},
        {"capture: { engine: synthetic }\nsink: { size: 32Mib }\n", ":3:", "MiB"},
        {"capture: { engine: synthetic }\nsink: [\n", ":4:", ""},
        {"trainer: { saes: [ { arch: topk, features: 64 } ] }\n", ":2:", "k"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        run_configure(run, "", bad[i].text);
        int code = run_command(run, SECONDS, "sluice", "up", run->config, NULL);
        if (code != 2) fail_msg("item %zu: exit code %d: %s", i, code, run->err);
        harness_has(run->err, run->config);
        harness_has(run->err, bad[i].line);
        harness_has(run->err, bad[i].words);
    }
}

static void rows_that_the_buffer_cannot_hold(void **state)
{
    struct run *run = *state;
    run_configure(run, "", synthetic);
    int code = run_command(run, SECONDS, "sluice", "check", run->config, "--set",
                           "trainer.min_rows=10000000", NULL);
    assert_int_equal(code, 2);
    harness_has(run->err, "trainer.min_rows");
    harness_has(run->err, "HINT");
    code = run_command(run, SECONDS, "sluice", "up", run->config, "--set",
                       "trainer.batch_rows=100000", NULL);
    assert_int_equal(code, 2);
    harness_has(run->err, "a quarter of the buffer");
    harness_has(run->err, "HINT");
}

/* Not one at a time: whoever sets up a machine has to know of all. */
static void all_that_is_missing_is_told_at_once(void **state)
{
    struct run *run = *state;
    run_configure(run, "model: /nonexistent/model.gguf, hooks: [resid_post.15]",
                  "capture: { corpus: /nonexistent/words.txt }\ntrainer: { saes: [] }\n");
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, NULL), 2);
    harness_has(run->err, "/nonexistent/model.gguf");
    harness_has(run->err, "/nonexistent/words.txt");
    harness_has(run->err, "trainer.saes");
    assert_string_equal(run->out, "");
}

static void a_buffer_larger_than_the_disk(void **state)
{
    struct run *run = *state;
    run_configure(run, "", synthetic);
    assert_int_equal(run_command(run, SECONDS, "sluice", "check", run->config, NULL), 0);
    assert_null(strstr(run->out, "WARNING"));
    harness_has(run->out, "memory of the broker");
    assert_int_equal(
        run_command(run, SECONDS, "sluice", "check", run->config, "--set", "sink.size=63TiB", NULL),
        0);
    harness_has(run->out, "WARNING: the disk of ");
    harness_has(run->out, "may take 63.0 TiB");
}

/* ---- the model and the corpus ---- */

/* What a trainer would refuse once all runs. */
static void names_in_the_environment_are_checked(void **state)
{
    struct run *run = *state;
    run_configure(run, "", synthetic);
    setenv("SLUICE_KERNELS", "nonsense", 1);
    int code = run_command(run, SECONDS, "sluice", "check", run->config, NULL);
    unsetenv("SLUICE_KERNELS");
    assert_int_equal(code, 2);
    harness_has(run->err, "SLUICE_KERNELS is 'nonsense'");
    harness_has(run->err, "plain");
}

static int check_with(struct run *run, const char *set)
{
    char other[HARNESS_PATH_BYTES + 64];
    run_write(run, "corpus.txt", "Once upon a time.\n");
    snprintf(other, sizeof other, "capture.corpus=%s/corpus.txt", run->dir);
    return run_command(run, SECONDS, "sluice", "check", run->config, "--set", other, "--set", set,
                       NULL);
}

static void a_file_that_is_no_model(void **state)
{
    struct run *run = *state;
    char set[HARNESS_PATH_BYTES + 64];
    run_configure(run, "model: smollm2, hooks: [resid_post.15]", llama);
    run_write(run, "no.gguf", "this is not a model\n");
    snprintf(set, sizeof set, "stream.model=%s/no.gguf", run->dir);
    assert_int_equal(check_with(run, set), 1);
    harness_has(run->err, "no.gguf is not a GGUF file");
    harness_has(run->err, "HINT");
    assert_int_equal(check_with(run, "stream.model=/nonexistent/model.gguf"), 2);
    harness_has(run->err, "/nonexistent/model.gguf");
    harness_has(run->err, "HINT");
    int code = run_command(run, SECONDS, "sluice", "up", run->config, "--set",
                           "stream.model=/nonexistent/model.gguf", NULL);
    assert_int_equal(code, 2);
    assert_null(strstr(run->err, "started again"));
    harness_has(run->err, "/nonexistent/model.gguf");
}

static void a_hook_that_does_not_exist(void **state)
{
    struct run *run = *state;
    run_configure(run, "model: smollm2, hooks: [resid_post.15]", llama);
    if (check_with(run, "capture.threads=1") != 0) {
        print_message("no model in the cache (%s)\n", run->err);
        skip();
    }
    assert_int_equal(check_with(run, "stream.hooks=resid_post.29"), 0); /* the last is had, too */
    assert_int_equal(check_with(run, "stream.hooks=resid_post.99"), 2);
    harness_has(run->err, "resid_post.99");
    harness_has(run->err, "resid_post.0 to resid_post.29"); /* those that do */
    assert_int_equal(check_with(run, "stream.hooks=nonsense"), 2);
    harness_has(run->err, "resid_post.0 to resid_post.29");
}

static void small_configurations_draw_no_warning(void **state)
{
    struct run *run = *state;
    static const char *const files[] = {"configs/short.yaml", "configs/synthetic.yaml",
                                        "configs/two-producers.yaml"};
    run_configure(run, "model: smollm2, hooks: [resid_post.15]", llama);
    if (check_with(run, "capture.threads=1") != 0) skip();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (run_command(run, SECONDS, "sluice", "check", files[i], NULL) != 0)
            fail_msg("%s", run->err);
        if (strstr(run->out, "WARNING")) fail_msg("%s: %s", files[i], run->out);
    }
}

static void a_corpus_without_text(void **state)
{
    struct run *run = *state;
    char set[HARNESS_PATH_BYTES + 64];
    run_configure(run, "model: smollm2, hooks: [resid_post.15]", llama);
    if (check_with(run, "capture.threads=1") != 0) skip();
    run_write(run, "empty.txt", "");
    snprintf(set, sizeof set, "capture.corpus=%s/empty.txt", run->dir);
    assert_int_equal(check_with(run, set), 1);
    harness_has(run->err, "empty");
    harness_has(run->err, "empty.txt");
    assert_int_equal(check_with(run, "capture.corpus=/nonexistent/words.txt"), 2);
    harness_has(run->err, "/nonexistent/words.txt");
    harness_has(run->err, "HINT");
}

/* ---- what the machine holds against us ---- */

static int listen_somewhere(char *address, size_t bytes)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    snprintf(address, bytes, "127.0.0.1:%u", ntohs(a.sin_port));
    return fd;
}

static void a_port_in_use(void **state)
{
    struct run *run = *state;
    char address[64], set[128];
    int fd = listen_somewhere(address, sizeof address);
    run_configure(run, "", synthetic);
    snprintf(set, sizeof set, "broker.http=%s", address);
    int code = run_command(run, SECONDS, "sluice-broker", run->config, "--set", set, NULL);
    assert_int_equal(code, 1);
    harness_has(run->err, address);
    /* Under sluice: given up after a few tries, with the reason. */
    code = run_command(run, 60, "sluice", "up", run->config, "--set", set, NULL);
    assert_int_equal(code, 1);
    harness_has(run->err, "broker ended with exit code 1");
    harness_has(run->err, address);
    snprintf(set, sizeof set, "broker.front=tcp://%s", address);
    code = run_command(run, SECONDS, "sluice-broker", run->config, "--set",
                       "broker.insecure_tcp=true", "--set", set, NULL);
    assert_int_equal(code, 1);
    harness_has(run->err, address);
    close(fd);
}

static void a_stale_socket_and_a_second_broker(void **state)
{
    struct run *run = *state;
    run_configure(run, "", synthetic);
    pid_t broker = run_start(run, "broker", "sluice-broker", run->config, NULL);
    char path[HARNESS_PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/ipc/front", run->state);
    for (int i = 0; i < 6000 && access(path, F_OK) != 0; i++) harness_sleep(0.01);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(run_command(run, SECONDS, "sluice-broker", run->config, NULL), 1);
    harness_has(run->err, "front"); /* a live one is not stolen */
    kill(broker, SIGKILL);
    run_wait(broker, SECONDS);
    assert_int_equal(access(path, F_OK), 0); /* now it is stale */
    if (run_command(run, 60, "sluice", "up", run->config, NULL) != 0) fail_msg("%s", run->err);
    assert_true(run_counts_are(run, "main", 300000, 1));
}

/* Reports take a moment to reach the broker, and age there. */
static void await_status(struct run *run, const char *name)
{
    double until = harness_seconds() + SECONDS;
    do {
        assert_int_equal(run_command(run, SECONDS, "sluice", "status", run->config, NULL), 0);
        if (strstr(run->out, name)) return;
        harness_sleep(0.05);
    } while (harness_seconds() < until);
    fail_msg("no %s within %d s in: %s", name, SECONDS, run->out);
}

static void await_list(struct run *run, const char *words)
{
    double until = harness_seconds() + SECONDS;
    do {
        assert_int_equal(run_command(run, SECONDS, "sluice", "consumer", "list", run->config, NULL),
                         0);
        if (strstr(run->out, words)) return;
        harness_sleep(0.05);
    } while (harness_seconds() < until);
    fail_msg("no '%s' within %d s in: %s", words, SECONDS, run->out);
}

/* Until a file below the run's folder has these words. */
static void await_output(struct run *run, const char *file, const char *words)
{
    double until = harness_seconds() + SECONDS;
    int said = 0;
    while (!said) {
        char *text = run_text(run, file, NULL);
        said = text && strstr(text, words);
        free(text);
        if (!said && harness_seconds() > until) fail_msg("no '%s' in %s", words, file);
        harness_sleep(0.05);
    }
}

static void a_second_run_of_the_stream(void **state)
{
    struct run *run = *state;
    char pid[32];
    run_configure(run, "", synthetic);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, "--set",
                         "capture.synthetic.rows=100000000", NULL);
    run_await_process(run, "trainer-main", SECONDS);
    run_await_drawn(run, "main", 10000, SECONDS);
    assert_int_equal(run_command(run, SECONDS, "sluice", "up", run->config, NULL), 1);
    snprintf(pid, sizeof pid, "process %d", (int)up);
    harness_has(run->err, pid);
    harness_has(run->err, "HINT");
    await_status(run, "trainer-main");
    harness_has(run->out, "is running");
    assert_int_equal(run_command(run, SECONDS, "sluice", "buffer", "info", run->config, NULL), 0);
    harness_has(run->out, "capacity");
    await_list(run, "at work");
    await_output(run, "log/trainer-main.log", "msg=checkpoint ");
    assert_int_equal(run_kill(run, "trainer-main"), 1);
    await_output(run, "../up.out",
                 "trainer-main ended with signal 9 (Killed) and is started again");
    kill(up, SIGINT);
    assert_int_equal(run_wait(up, SECONDS), 0);
    assert_int_equal(run_alive(run), 0);
    await_list(run, "stopped");
    assert_int_equal(run_command(run, SECONDS, "sluice", "status", run->config, NULL), 1);
    harness_has(run->err, "is not running: it stopped unfinished, with ");
    assert_null(strstr(run->err, " 0 rows"));
    harness_has(run->err, "HINT: `sluice up");
    int code = /* another autoencoder: told, and not tried again */
        run_command(run, 60, "sluice", "up", run->config, "--set",
                    "capture.synthetic.rows=100000000", "--set", "trainer.saes.0.arch=topk",
                    "--set", "trainer.saes.0.features=9", "--set", "trainer.saes.0.k=2", NULL);
    assert_int_equal(code, 2);
    assert_null(strstr(run->err, "trainer-main ended with exit code 2 and is started again"));
    assert_null(strstr(run->err, "five times"));
    harness_has(run->err, "trainer.saes.0: arch");
    harness_has(run->err, "--fresh");
}

static void a_buffer_of_another_stream(void **state)
{
    struct run *run = *state;
    char text[4096];
    run_configure(run, "", synthetic);
    if (run_command(run, 60, "sluice", "up", run->config, NULL) != 0) fail_msg("%s", run->err);
    snprintf(text, sizeof text, "stream: { name: other, run_dir: %s }\n%s", run->state, synthetic);
    run_write(run, "run.yaml", text);
    assert_int_equal(run_command(run, 60, "sluice", "up", run->config, NULL), 2);
    harness_has(run->err, "test");
    harness_has(run->err, "other");
    harness_has(run->err, "HINT");
    run_configure(run, "", synthetic); /* and the first one is as it was */
    assert_int_equal(run_command(run, SECONDS, "sluice", "buffer", "info", run->config, NULL), 0);
}

/* A run that is stopped on its way; to be gone on with under other settings. */
static void stop_midway(struct run *run)
{
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    run_await_drawn(run, "main", 50000, SECONDS);
    kill(up, SIGTERM);
    assert_int_equal(run_wait(up, SECONDS), 0);
}

/* The key that was changed is named, with both values. */
static void is_blamed(struct run *run, const char *set, const char *words)
{
    int code = run_command(run, 60, "sluice", "up", run->config, "--set", set, NULL);
    if (code != 2) fail_msg("%s: exit code %d: %s", set, code, run->err);
    harness_has(run->err, words);
    harness_has(run->err, "--fresh");
}

static void data_that_changed_under_a_run(void **state)
{
    struct run *run = *state;
    run_configure(
        run, "",
        "capture:\n"
        "  engine: synthetic\n"
        "  synthetic: { features: 64, width: 64, l0: 4, rows: 3000000, sequence_rows: 64 }\n"
        "sink: { size: 32MiB }\n"
        "trainer: { batch_rows: 512, saes: [ { name: rows, arch: count } ] }\n");
    stop_midway(run);
    is_blamed(run, "capture.synthetic.rows=4000000",
              "capture.synthetic.rows has changed since this stream began: it was '3000000', now "
              "it is '4000000'");
    is_blamed(run, "capture.synthetic.seed=1",
              "capture.synthetic.seed has changed since this stream began: it was '0', now it is "
              "'1'");
    is_blamed(run, "capture.synthetic.sequence_rows=32", "capture.synthetic.sequence_rows has");
    is_blamed(run, "capture.synthetic.width=32", "capture.synthetic.width has");
    is_blamed(run, "capture.synthetic.l0=3.5", "it was '4', now it is '3.5'");
    is_blamed(run, "capture.max_norm_ratio=7", "capture.max_norm_ratio has");
}

/* Rows of 8 values in the first of two files; all of them `value` and some. */
static void put_rows(const struct run *run, const char *name, float value)
{
    enum { ROWS = 100000, WIDTH = 8 };
    char path[HARNESS_PATH_BYTES + 64], header[129];
    snprintf(path, sizeof path, "%s/%s", run->dir, name);
    memset(header, ' ', 128);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    int n = snprintf(header + 10, 118,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", ROWS, WIDTH);
    header[10 + n] = ' ';
    header[127] = '\n';
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(header, 1, 128, file), 128);
    for (int i = 0; i < ROWS * WIDTH; i++) {
        float x = value + (float)(i % 13);
        assert_int_equal(fwrite(&x, 4, 1, file), 1);
    }
    assert_int_equal(fclose(file), 0);
}

static void files_that_changed_under_a_run(void **state)
{
    struct run *run = *state;
    char text[4 * HARNESS_PATH_BYTES], set[4 * HARNESS_PATH_BYTES];
    put_rows(run, "a.npy", 1);
    put_rows(run, "b.npy", 2);
    snprintf(text, sizeof text,
             "capture: { engine: files, files: [%s/a.npy, %s/b.npy] }\n"
             "sink: { size: 16MiB }\n"
             "trainer: { batch_rows: 64, reuse: 200, saes: [ { name: rows, arch: count } ] }\n",
             run->dir, run->dir);
    run_configure(run, "dtype: f32", text);
    stop_midway(run);
    snprintf(set, sizeof set, "capture.files=%s/a.npy", run->dir);
    is_blamed(run, set, "capture.files (how many) has changed since this stream began: it was '2'");
    is_blamed(run, "capture.file_sequence_rows=500",
              "capture.file_sequence_rows has changed since this stream began: it was '512'");
    is_blamed(run, "capture.engine=synthetic", "capture.engine has");
    put_rows(run, "b.npy", 3);
    is_blamed(run, "capture.threads=1", "capture.files (the fingerprint of what they hold");
}

static void a_buffer_of_another_version(void **state)
{
    struct run *run = *state;
    char path[HARNESS_PATH_BYTES + 32];
    size_t bytes;
    run_configure(run, "", synthetic);
    if (run_command(run, 60, "sluice", "up", run->config, NULL) != 0) fail_msg("%s", run->err);
    char *data = run_text(run, "buffer/data.mdb", &bytes);
    snprintf(path, sizeof path, "%s/buffer/data.mdb", run->state);
    FILE *file = fopen(path, "r+");
    assert_non_null(data);
    assert_non_null(file);
    int changed = 0;
    for (size_t i = 0; i + sizeof(struct format_record) + sizeof(uint64_t) < bytes; i++) {
        if (memcmp(data + i, "SLUBUFF\n", 8) != 0) continue;
        uint32_t version = 99; /* as that version would have written it */
        memcpy(data + i + 8, &version, sizeof version);
        uint64_t seal = environment_seal("format", data + i, sizeof(struct format_record));
        fseek(file, (long)i, SEEK_SET);
        fwrite(data + i, sizeof(struct format_record), 1, file);
        fwrite(&seal, sizeof seal, 1, file);
        changed++;
    }
    fclose(file);
    free(data);
    assert_true(changed > 0);
    assert_int_equal(run_command(run, SECONDS, "sluice", "buffer", "info", run->config, NULL), 1);
    harness_has(run->err, "99");
    harness_has(run->err, "HINT");
    harness_has(run->err, run->state);
}

/* A small disk at $1 of $2 bytes, which gets room once the log $3 has the words $4, and notes that
 * in $5; then the command. What it left there is put where the test sees it. */
static const char full_disk_script[] =
    "folder=$1 bytes=$2 log=$3 words=$4 note=$5; shift 5\n"
    "mkdir -p $folder && mount -t tmpfs -o size=$bytes,mode=700 tmpfs $folder || exit 9\n"
    "{ until grep -i \"$words\" $log >$note 2>/dev/null; do sleep 0.1; done\n"
    "  mount -o remount,size=64m $folder; } &\n"
    "\"$@\"\n"
    "code=$?; cp -r $folder $note.kept && umount $folder && cp -r $note.kept/. $folder\n"
    "exit $code\n";

/* `sluice up` beside whose disk for `folder` (below the run's) fills: it must not lose a child. */
static void up_on_a_full_disk(struct run *run, const char *folder, const char *bytes,
                              const char *log, const char *words)
{
    char script[HARNESS_PATH_BYTES + 64], note[HARNESS_PATH_BYTES + 64], sluice[HARNESS_PATH_BYTES];
    char disk[HARNESS_PATH_BYTES + 64], log_file[HARNESS_PATH_BYTES + 64];
    if (system("unshare -rm true 2>/dev/null") != 0) {
        print_message("this machine lets nobody mount a small disk\n");
        skip();
    }
    run_write(run, "full.sh", full_disk_script);
    snprintf(script, sizeof script, "%s/full.sh", run->dir);
    snprintf(note, sizeof note, "%s/note", run->dir);
    snprintf(disk, sizeof disk, "%s/%s", run->state, folder);
    snprintf(log_file, sizeof log_file, "%s/log/%s", run->state, log);
    run_program("sluice", sluice);
    int code =
        run_command(run, 120, "/usr/bin/unshare", "-rm", "/bin/sh", script, disk, bytes, log_file,
                    words, note, sluice, "up", run->config, "--set", "up.restart=false", NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    char *said = run_text(run, "../note", NULL);
    assert_true(said && said[0]); /* it was full, and the log said so */
    free(said);
}

/* A disk of 12 MiB under a buffer of 32 MiB. */
static void a_full_disk(void **state)
{
    struct run *run = *state;
    run_configure(run, "", synthetic);
    up_on_a_full_disk(run, "buffer", "12m", "sink.log", "space\\|cannot be written");
    assert_true(run_counts_are(run, "main", 300000, 1));
}

/* Held-out rows and checkpoints find no room until all has been trained on. */
static void a_full_disk_of_the_trainer(void **state)
{
    struct run *run = *state;
    run_configure(run, "",
                  "capture:\n"
                  "  engine: synthetic\n"
                  "  synthetic: { features: 64, width: 64, l0: 4, rows: 100000 }\n"
                  "sink: { size: 32MiB }\n"
                  "trainer:\n"
                  "  batch_rows: 512\n"
                  "  eval_rows: 2000\n"
                  "  checkpoint_seconds: 1\n"
                  "  saes: [ { name: rows, arch: count } ]\n");
    up_on_a_full_disk(run, "main", "64k", "trainer-main.log", "waiting for room");
    assert_true(run_counts_are(run, "main", 100000, 1));
}

/* Checkpoints have room, what leaves has not. */
static void a_full_disk_of_the_exports(void **state)
{
    struct run *run = *state;
    run_configure(run, "",
                  "capture:\n"
                  "  engine: synthetic\n"
                  "  synthetic: { features: 64, width: 64, l0: 4, rows: 50000 }\n"
                  "sink: { size: 32MiB }\n"
                  "trainer: { saes: [ { name: one, arch: topk, features: 128, k: 4 } ] }\n");
    up_on_a_full_disk(run, "main/export", "16k", "trainer-main.log", "waiting for room");
    json_t *summary = run_summary(run, "main");
    assert_non_null(summary);
    json_decref(summary);
}

/* A small file system at $1, and a run there that was stopped after its first checkpoint: its small
 * steps take so long that it is not over before. */
#define STOPPED_FIRST                                                                              \
    "folder=$1 err=$2; shift 2\n"                                                                  \
    "mkdir -p $folder && mount -t tmpfs -o size=64m,mode=700 tmpfs $folder || exit 9\n"            \
    "\"$@\" --set trainer.batch_rows=1 >/dev/null 2>&1 & first=$!\n"                               \
    "until ls $folder/main/checkpoint-*.sluice >/dev/null 2>&1; do\n"                              \
    "  kill -0 $first || exit 6; sleep 0.02\n"                                                     \
    "done\n"                                                                                       \
    "kill -INT $first && wait $first\n"

/* A disk that is full when a run goes on is waited for, as one that fills later: it is filled
 * while nothing runs, and has room again 5 seconds after the run that began once more has met that. */
static const char full_start_script[] = STOPPED_FIRST
    "dd if=/dev/zero of=$folder/fill bs=4k 2>/dev/null\n"
    "{ i=0; until grep -qs 'is full' $err || [ $i = 600 ]; do i=$((i + 1)); sleep 0.1; done\n"
    "  sleep 5; rm $folder/fill; } &\n"
    "\"$@\" 2>$err\n"
    "code=$?; cp -r $folder $folder.kept && umount $folder && cp -r $folder.kept/. $folder\n"
    "exit $code\n";

static const char full_disk_pipeline[] =
    "capture:\n"
    "  engine: synthetic\n"
    "  synthetic: { features: 64, width: 64, l0: 4, rows: 400000, sequence_rows: 64 }\n"
    "sink: { size: 16MiB }\n"
    "trainer: { batch_rows: 256, checkpoint_seconds: 1, saes: [ { name: rows, arch: count } ] }\n";

/* `sluice up` in a script with a small disk of its own at $1, which stops it midway, does what it does
 * to the disk, and runs it again, with what that says in $2: it must end well and lose no child. What
 * it said; the caller frees. */
static char *up_again_on_a_small_disk(struct run *run, const char *text)
{
    char script[HARNESS_PATH_BYTES + 64], err[HARNESS_PATH_BYTES + 64], sluice[HARNESS_PATH_BYTES];
    if (system("unshare -rm true 2>/dev/null") != 0) {
        print_message("this machine lets nobody mount a small disk\n");
        skip();
    }
    run_configure(run, "", full_disk_pipeline);
    run_write(run, "disk.sh", text);
    snprintf(script, sizeof script, "%s/disk.sh", run->dir);
    snprintf(err, sizeof err, "%s/second", run->dir);
    run_program("sluice", sluice);
    int code = run_command(run, 120, "/usr/bin/unshare", "-rm", "/bin/sh", script, run->state, err,
                           sluice, "up", run->config, NULL);
    char *said = run_text(run, "../second", NULL);
    if (code != 0) fail_msg("exit code %d: %s%s", code, run->out, said ? said : run->err);
    harness_has_not(said, "started again");
    assert_true(run_counts_are(run, "main", 400000, 1));
    return said;
}

static void a_disk_that_is_full_at_a_resume(void **state)
{
    char *said = up_again_on_a_small_disk(*state, full_start_script);
    harness_has(said, "is full");
    free(said);
}

/* A disk with what a run left there when it was killed: a checkpoint that
 * was never finished takes most of it, other temporary files lie beside it. Nobody makes room. */
static const char leftover_script[] = STOPPED_FIRST
    "left=\"main/summary.json.tmp.aaaaaa buffer/CONSUMERS/main.state.tmp.aaaaaa\"\n"
    "left=\"$left descriptor.json.tmp.aaaaaa http/sink.tmp.aaaaaa buffer/boot.tmp.aaaaaa\"\n"
    "for f in $left main/mine.tmp.aaaaaa; do echo half >$folder/$f; done\n"
    "dd if=/dev/zero of=$folder/main/checkpoint-0000000000000009.sluice.tmp.aaaaaa bs=4k \\\n"
    "  2>/dev/null\n"
    "\"$@\" 2>$err; code=$?\n"
    "for f in $left; do [ ! -e $folder/$f ] || { echo $f is left; code=8; }; done\n"
    "[ -e $folder/main/mine.tmp.aaaaaa ] || code=7\n"
    "cp -r $folder $folder.kept && umount $folder && cp -r $folder.kept/. $folder\n"
    "exit $code\n";

static void what_killed_processes_left_makes_room(void **state)
{
    char *said = up_again_on_a_small_disk(*state, leftover_script);
    free(said);
}

/* A consumer's folder, its lock and the buffer are not there yet, and the disk is full. */
static const char full_first_script[] = STOPPED_FIRST
    "rm -r $folder/main $folder/buffer $folder/capture $folder/http\n"
    "dd if=/dev/zero of=$folder/fill bs=4k 2>/dev/null\n"
    "{ sleep 8; rm $folder/fill; } &\n"
    "\"$@\" 2>$err\n"
    "code=$?; cp -r $folder $folder.kept && umount $folder && cp -r $folder.kept/. $folder\n"
    "exit $code\n";

static void a_disk_that_is_full_before_anything_is_made(void **state)
{
    char *said = up_again_on_a_small_disk(*state, full_first_script);
    free(said);
}

/* Every process, by itself: which path, and what next. */
static const char read_only_script[] =
    "folder=$1; shift\n"
    "mkdir -p $folder && mount -t tmpfs -o size=64m,mode=700 tmpfs $folder || exit 9\n"
    "[ -z \"$FIRST\" ] || $FIRST >/dev/null 2>&1\n"
    "mount -o remount,ro $folder\n"
    "exec \"$@\"\n";

static void a_read_only_disk_at_start(void **state)
{
    struct run *run = *state;
    static const char *const programs[] = {"sluice-broker", "sluice-sink", "sluice-capture",
                                           "sluice-trainer", "sluice"};
    char script[HARNESS_PATH_BYTES + 64], path[HARNESS_PATH_BYTES], first[3 * HARNESS_PATH_BYTES];
    if (system("unshare -rm true 2>/dev/null") != 0) skip();
    run_configure(run, "",
                  "capture: { engine: synthetic, synthetic: { width: 16, rows: 2000 } }\n"
                  "sink: { size: 16MiB }\n"
                  "trainer: { batch_rows: 64, saes: [ { name: rows, arch: count } ] }\n");
    run_write(run, "ro.sh", read_only_script);
    snprintf(script, sizeof script, "%s/ro.sh", run->dir);
    run_program("sluice", path);
    snprintf(first, sizeof first, "%s up %s", path, run->config);
    for (int has_run = 0; has_run < 2; has_run++)
        for (size_t p = 0; p < sizeof programs / sizeof programs[0]; p++) {
            run_program(programs[p], path);
            setenv("FIRST", has_run ? first : "", 1);
            const char *up = strcmp(programs[p], "sluice") == 0 ? "up" : run->config;
            int code =
                run_command(run, SECONDS, "/usr/bin/unshare", "-rm", "/bin/sh", script, run->state,
                            path, up, up == run->config ? NULL : run->config, NULL);
            unsetenv("FIRST");
            if (code != 1) fail_msg("%s: exit code %d: %s", programs[p], code, run->err);
            harness_has(run->err, run->state);
            harness_has(run->err, "Read-only file system; HINT: ");
        }
}

#define BAD(name) cmocka_unit_test_setup_teardown(name, run_set_up, run_tear_down)

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        BAD(unknown_keys_and_values_out_of_range),
        BAD(names_in_the_environment_are_checked),
        BAD(rows_that_the_buffer_cannot_hold),
        BAD(all_that_is_missing_is_told_at_once),
        BAD(a_buffer_larger_than_the_disk),
        BAD(a_file_that_is_no_model),
        BAD(a_hook_that_does_not_exist),
        BAD(small_configurations_draw_no_warning),
        BAD(a_corpus_without_text),
        BAD(a_port_in_use),
        BAD(a_stale_socket_and_a_second_broker),
        BAD(a_second_run_of_the_stream),
        BAD(a_buffer_of_another_stream),
        BAD(data_that_changed_under_a_run),
        BAD(files_that_changed_under_a_run),
        BAD(a_buffer_of_another_version),
        BAD(a_full_disk),
        BAD(a_full_disk_of_the_trainer),
        BAD(a_full_disk_of_the_exports),
        BAD(a_disk_that_is_full_at_a_resume),
        BAD(what_killed_processes_left_makes_room),
        BAD(a_disk_that_is_full_before_anything_is_made),
        BAD(a_read_only_disk_at_start),
    };
    return cmocka_run_group_tests_name("bad input", tests, NULL, NULL);
}
