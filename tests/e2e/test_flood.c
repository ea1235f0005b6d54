/*
 * Clients that say more than they may, of every kind of message: the pipeline beside them ends
 * exactly, no process grows past what `sluice check` says, and no log fills the disk.
 */
#include "base/err.h"
#include "config/config.h"
#include "proto/message.h"
#include "tests/e2e/attack.h"
#include "tests/e2e/harness.h"
#include "wiring/bounds.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONG_ROWS = 1000000, ROWS = 600000, ATTACKERS = 4 };

static const char pipeline[] =
    "capture:\n"
    "  engine: synthetic\n"
    "  measure_contexts: 4\n"
    "  synthetic: { features: 64, width: 64, l0: 4, rows: 600000, sequence_rows: 64 }\n"
    "sink: { size: 32MiB }\n"
    "trainer:\n"
    "  batch_rows: 512\n"
    "  checkpoint_seconds: 1\n"
    "  eval_rows: 2000\n"
    "  saes: [ { name: rows, arch: count } ]\n";

static const struct attack floods[] = {
    {"reports", MESSAGE_REPORT, 1 << 20, 0, 1},
    {"hellos", MESSAGE_HELLO, 1 << 20, 0, 1},
    {"hellos that read no answer", MESSAGE_HELLO, 100, 0, 0},
    {"questions that read no answer", MESSAGE_ASK, 0, 0, 0},
    {"descriptions", MESSAGE_DESCRIBE, 1 << 20, 0, 1},
    {"pings", MESSAGE_PING, 0, 0, 1},
    {"frames", ATTACK_FRAME, 0, 0, 1},
    {"junk", ATTACK_JUNK, 0, 0, 1},
    {"reports at the back", MESSAGE_REPORT, 1 << 20, 1, 1},
    {"pings at the back", MESSAGE_PING, 0, 1, 1},
    {"junk at the back", ATTACK_JUNK, 0, 1, 1},
};
enum { FLOODS = sizeof floods / sizeof floods[0] };

static pid_t attackers[ATTACKERS];

static void begin_flood(const struct run *run, const struct attack *f)
{
    char endpoint[HARNESS_PATH_BYTES + 64];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/ipc/%s", run->state,
             f->at_the_back ? "back" : "front");
    attack_begin(f, endpoint, ATTACKERS, attackers);
}

/* ---- what must hold ---- */

/* The most memory that a process of the run has had (VmHWM), in bytes; 0: it is not there. */
static uint64_t most_memory(const struct run *run, const char *name)
{
    char path[64], line[256];
    unsigned long kib = 0;
    pid_t pid = run_process(run, name);
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *in = pid ? fopen(path, "r") : NULL;
    while (in && fgets(line, sizeof line, in))
        if (sscanf(line, "VmHWM: %lu", &kib) == 1) break;
    if (in) fclose(in);
    return (uint64_t)kib * 1024;
}

static void logs_are_small(const struct run *run)
{
    static const char *const names[] = {"broker", "sink", "capture-0", "trainer-main"};
    char path[HARNESS_PATH_BYTES + 64];
    struct stat st;
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/log/%s.log", run->state, names[i]);
        if (stat(path, &st) == 0) assert_true(st.st_size < 1 << 20);
    }
}

static void is_withstood(struct run *run, const struct attack *f)
{
    struct config *config;
    uint64_t broker = 0, sink = 0;
    run_configure(run, "", pipeline);
    assert_int_equal(config_load(run->config, NULL, 0, &config), ERR_OK);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, "--fresh", NULL);
    run_await_drawn(run, "main", 1000, 40);
    begin_flood(run, f);
    for (int i = 0; i < 30; i++) {
        uint64_t b = most_memory(run, "broker"), s = most_memory(run, "sink");
        if (b > broker) broker = b;
        if (s > sink) sink = s;
        harness_sleep(0.1);
    }
    attack_end(ATTACKERS, attackers);
    int code = run_wait(up, 120);
    print_message("%s: broker %llu MiB, sink %llu MiB\n", f->name,
                  (unsigned long long)(broker >> 20), (unsigned long long)(sink >> 20));
    if (code != 0) fail_msg("%s: exit code %d", f->name, code);
    assert_true(run_counts_are(run, "main", ROWS, 1));
    assert_true(broker < bounds_broker_bytes(config, 64));
    /* The map of its buffer is among it. */
    assert_true(sink < bounds_sink_bytes(config, 256 << 10) + config->sink.size_bytes);
    logs_are_small(run);
    config_free(config);
}

static void floods_are_withstood(void **state)
{
    for (int i = 0; i < FLOODS; i++) is_withstood(*state, &floods[i]);
}

/* Whatever it is told to measure, and with a sink that reads nothing and so leaves all frames with
 * the capture. */
static void a_capture_keeps_to_its_memory(void **state)
{
    static const char wide[] =
        "capture: { engine: synthetic, retained: 48MiB, measure_contexts: 65536,\n"
        "           synthetic: { features: 64, width: 4096, rows: 1000000000 } }\n"
        "sink: { size: 512MiB, slab: 1MiB, window: 64 }\n"
        "trainer: { batch_rows: 64, saes: [ { name: rows, arch: count } ] }\n";
    const uint64_t slab = 1 << 20, dictionary = 64 * 4096 * sizeof(float);
    struct run *run = *state;
    struct config *config;
    uint64_t most = 0;
    run_configure(run, "dtype: f32", wide);
    assert_int_equal(config_load(run->config, NULL, 0, &config), ERR_OK);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    const uint64_t least = BOUNDS_MEASURED_BYTES / 2 + config->capture.retained_bytes / 2;
    run_await_drawn(run, "main", 64, 60);
    run_hold(run, "sink");
    /* five seconds to grow too far, and more where it is slow to grow at all */
    for (int i = 0; i < 50 || (most <= least && i < 600); i++) {
        most = most_memory(run, "capture-0");
        harness_sleep(0.1);
    }
    run_let_go(run, "sink");
    kill(up, SIGINT);
    assert_int_equal(run_wait(up, 60), 0);
    print_message("capture: %llu MiB of %llu\n", (unsigned long long)(most >> 20),
                  (unsigned long long)(bounds_capture_bytes(config, 4096, slab) >> 20));
    assert_true(most > least);
    assert_true(most < bounds_capture_bytes(config, 4096, slab) + dictionary);
    config_free(config);
}

/* Beside what they cost in memory, they cost little time: a report is read as often as the protocol has
 * it, and who says what is no message is shut before a hundredth of what a client may say. */
static double dropped_meanwhile(struct run *run, const struct attack *f, const char *reason,
                                double least)
{
    char name[128];
    run_configure(run, "", pipeline);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, "--fresh", "--set",
                         "capture.synthetic.rows=1000000000000", NULL);
    run_await_drawn(run, "main", 1000, 40);
    begin_flood(run, f);
    harness_sleep(2);
    snprintf(name, sizeof name, "sluice_broker_dropped_messages_total{reason=\"%s\"}", reason);
    run_await_metric(run, "broker", name, least);
    attack_end(ATTACKERS, attackers);
    double dropped = -1, until = harness_seconds() + 60;
    while ((dropped = run_metric(run, "broker", name)) < 0 && harness_seconds() < until)
        harness_sleep(0.1);
    kill(up, SIGTERM);
    run_wait(up, 60);
    print_message("%s: %.0f dropped, %s\n", f->name, dropped, reason);
    return dropped;
}

static void most_reports_are_not_read(void **state)
{
    assert_true(dropped_meanwhile(*state, &floods[0], "too_soon", 51) > 50);
}

static void junk_ends_a_connection_soon(void **state)
{
    double dropped = dropped_meanwhile(*state, &floods[7], "malformed", 1);
    assert_true(dropped > 0 && dropped < 60);
}

static int stranger(const struct run *run, const char *side)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s/ipc/%s", run->state, side);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

/* Hundreds of connections, for as long as the broker keeps them, under few descriptors. */
static void connections_are_withstood(void **state)
{
    struct run *run = *state;
    struct rlimit limit, few = {256, 256};
    int fds[400];
    run_configure(run, "", pipeline);
    getrlimit(RLIMIT_NOFILE, &limit);
    struct rlimit mine = {512, limit.rlim_max};
    char sluice[HARNESS_PATH_BYTES], command[3 * HARNESS_PATH_BYTES];
    run_program("sluice", sluice);
    snprintf(command, sizeof command,
             "ulimit -n %d && exec %s up --set capture.synthetic.rows=%d %s", (int)few.rlim_cur,
             sluice, LONG_ROWS, run->config);
    pid_t up = run_start(run, "up", "/bin/sh", "-c", command, NULL);
    setrlimit(RLIMIT_NOFILE, &mine);
    run_await_drawn(run, "main", 1000, 40);
    run_hold(run, "trainer-main"); /* they stand while the run goes on till the buffer is full */
    for (int i = 0; i < 400; i++) fds[i] = stranger(run, i % 8 ? "front" : "back");
    harness_sleep(2);
    run_let_go(run, "trainer-main");
    run_await_drawn(run, "main", LONG_ROWS / 2, 120);
    for (int i = 0; i < 400; i++)
        if (fds[i] >= 0) close(fds[i]);
    if (run_wait(up, 120) != 0) fail_msg("sluice up failed");
    assert_int_equal(run_says(run, "up.out", "is started again"), 0); /* the broker has not died */
    assert_true(run_counts_are(run, "main", LONG_ROWS, 1));
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int tear_down(void **state)
{
    attack_end(ATTACKERS, attackers);
    return run_tear_down(state);
}

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_capture_keeps_to_its_memory, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(floods_are_withstood, run_set_up, tear_down),
        cmocka_unit_test_setup_teardown(most_reports_are_not_read, run_set_up, tear_down),
        cmocka_unit_test_setup_teardown(junk_ends_a_connection_soon, run_set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_are_withstood, run_set_up, tear_down),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
