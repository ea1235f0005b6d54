/*
 * Clients that say more than they may, of every kind of message: the pipeline beside them ends
 * exactly, no process grows past what `sluice check` says, and no log fills the disk.
 */
#include "base/err.h"
#include "config/config.h"
#include "proto/message.h"
#include "runtime/link.h"
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
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

enum { ROWS = 600000, ATTACKERS = 4, LARGE = 1 << 20 };

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

/* ---- attackers ---- */

static size_t make_message(uint8_t type, size_t text_bytes, uint8_t *out)
{
    char *text = malloc(text_bytes + 1);
    struct message m = {.type = type, .stream = stream_key("test"), .session = 7};
    if (message_max_text(type) < text_bytes) text_bytes = message_max_text(type);
    memset(text, ' ', text_bytes); /* of a report: many small values */
    for (size_t n = 1, k = 0; n + 16 < text_bytes; k++)
        n += (size_t)sprintf(text + n, "\"%zx\":%zu,", k, k);
    text[0] = '{';
    if (text_bytes) memcpy(text + text_bytes - 6, "\"z\":1}", 6);
    strcpy(m.name, "flood");
    m.share_count = 1;
    m.text = text;
    m.text_bytes = (uint32_t)text_bytes;
    if (message_encode(&m, out)) _exit(3);
    size_t bytes = message_bytes(&m);
    free(text);
    return bytes;
}

/* A frame in no session, with a good header. */
static size_t make_frame(uint8_t *out)
{
    static uint8_t raw[1 << 18];
    struct frame_header h = {.stream = stream_key("test"),
                             .session = 7,
                             .number = 1,
                             .epoch = 1,
                             .rows = 1000,
                             .width = 64,
                             .dtype = DTYPE_BF16};
    if (frame_seal(&h, raw, out + FRAME_HEADER_BYTES, NULL)) _exit(3);
    frame_encode(&h, out);
    return FRAME_HEADER_BYTES + h.packed_bytes;
}

static size_t make_junk(uint8_t *out)
{
    memset(out, 'j', LARGE);
    return LARGE;
}

static void nothing(void *arg, struct link *link, struct link_message *message)
{
    (void)arg;
    (void)link;
    (void)message;
}

/* Send the same for ever, as fast as it goes; answers are read where `reads` says so. */
static void attack(const char *endpoint, const uint8_t *data, size_t bytes, int reads)
{
    uv_loop_t loop;
    struct link_hub *hub;
    struct link *link;
    struct link_options options = {
        .kind = LINK_DEALER, .endpoint = endpoint, .on_message = nothing};
    uv_loop_init(&loop);
    if (link_hub_open(&loop, &hub) || link_open(hub, &options, &link)) _exit(4);
    for (;;) {
        if (link_send(link, NULL, NULL, 0, data, bytes)) usleep(200);
        if (reads) uv_run(&loop, UV_RUN_NOWAIT);
    }
}

struct flood {
    const char *name;
    uint8_t type; /* 0: a frame; 255: junk */
    size_t text_bytes;
    int at_the_back, reads;
};

static const struct flood floods[] = {
    {"reports", MESSAGE_REPORT, 1 << 20, 0, 1},
    {"hellos", MESSAGE_HELLO, 1 << 20, 0, 1},
    {"hellos that read no answer", MESSAGE_HELLO, 100, 0, 0},
    {"questions that read no answer", MESSAGE_ASK, 0, 0, 0},
    {"descriptions", MESSAGE_DESCRIBE, 1 << 20, 0, 1},
    {"pings", MESSAGE_PING, 0, 0, 1},
    {"frames", 0, 0, 0, 1},
    {"junk", 255, 0, 0, 1},
    {"reports at the back", MESSAGE_REPORT, 1 << 20, 1, 1},
    {"pings at the back", MESSAGE_PING, 0, 1, 1},
    {"junk at the back", 255, 0, 1, 1},
};
enum { FLOODS = sizeof floods / sizeof floods[0] };

static pid_t attackers[ATTACKERS];

static void begin_flood(const struct run *run, const struct flood *f)
{
    static uint8_t data[MESSAGE_HEADER_BYTES + (4 << 20)];
    char endpoint[HARNESS_PATH_BYTES + 64];
    size_t bytes = f->type == 0     ? make_frame(data)
                   : f->type == 255 ? make_junk(data)
                                    : make_message(f->type, f->text_bytes, data);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/ipc/%s", run->state,
             f->at_the_back ? "back" : "front");
    for (int i = 0; i < ATTACKERS; i++) {
        attackers[i] = fork();
        if (attackers[i] == 0) attack(endpoint, data, bytes, f->reads);
    }
}

static void end_flood(void)
{
    for (int i = 0; i < ATTACKERS; i++)
        if (attackers[i] > 0) kill(attackers[i], SIGKILL);
    for (int i = 0; i < ATTACKERS; i++)
        if (attackers[i] > 0) waitpid(attackers[i], NULL, 0);
    memset(attackers, 0, sizeof attackers);
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

static void is_withstood(struct run *run, const struct flood *f)
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
    end_flood();
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
    snprintf(command, sizeof command, "ulimit -n %d && exec %s up %s", (int)few.rlim_cur, sluice,
             run->config);
    pid_t up = run_start(run, "up", "/bin/sh", "-c", command, NULL);
    setrlimit(RLIMIT_NOFILE, &mine);
    run_await_drawn(run, "main", 1000, 40);
    pid_t broker = run_process(run, "broker");
    for (int i = 0; i < 400; i++) fds[i] = stranger(run, i % 8 ? "front" : "back");
    harness_sleep(2);
    for (int i = 0; i < 400; i++)
        if (fds[i] >= 0) close(fds[i]);
    assert_int_equal(run_process(run, "broker"), broker); /* it has not died */
    if (run_wait(up, 120) != 0) fail_msg("sluice up failed");
    assert_true(run_counts_are(run, "main", ROWS, 1));
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int tear_down(void **state)
{
    end_flood();
    return run_tear_down(state);
}

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(floods_are_withstood, run_set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_are_withstood, run_set_up, tear_down),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
