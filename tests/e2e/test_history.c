/*
 * What the broker tells of now and of before, in a real run: its history goes on after a kill, and
 * neither crowds nor slow clients nor nonsense harm its pages, its stream of events or the rows.
 */
#include "tests/e2e/harness.h"

#include "base/err.h"
#include "base/fileio.h"
#include "tests/e2e/fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECONDS = 90, ANSWER_MS = 30000, CROWD = 500, STREAMS = 20, SLOW = 40 };

static const char pipeline[] =
    "capture: { engine: synthetic, synthetic: { features: 32, width: 16, rows: 1000000000 } }\n"
    "sink: { size: 16MiB }\n"
    "trainer: { batch_rows: 256, eval_rows: 0, saes: [ { name: a, arch: topk, features: 32, k: 4 } "
    "] "
    "}\n";

/* The broker's address, 0: it has none now. */
static int address_of(const struct run *run, char address[64])
{
    char file[2 * HARNESS_PATH_BYTES], *text;
    size_t bytes;
    snprintf(file, sizeof file, "%s/http/broker", run->state);
    if (file_read(file, 63, &text, &bytes)) return 0;
    snprintf(address, 64, "%.*s", (int)strcspn(text, "\r\n"), text);
    free(text);
    return 1;
}

/* A page of the broker; NULL while there is none. */
static char *page(const struct run *run, const char *path)
{
    char address[64], *body;
    size_t bytes;
    if (!address_of(run, address)) return NULL;
    return fetch(address, path, ANSWER_MS, &body, &bytes) ? NULL : body;
}

static json_t *page_json(const struct run *run, const char *path)
{
    char *text = page(run, path);
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return json;
}

static double overview(const struct run *run, const char *key)
{
    json_t *status = page_json(run, "/api/status");
    double value = json_number_value(json_object_get(json_object_get(status, "overview"), key));
    json_decref(status);
    return value;
}

/* Until so many rows are stored, by the broker's account. */
static void await_rows(const struct run *run, double rows)
{
    double end = harness_seconds() + SECONDS;
    while (harness_seconds() < end) {
        if (overview(run, "stream_rows") >= rows) return;
        harness_sleep(0.2);
    }
    fail_msg("no %.0f rows within %d s", rows, SECONDS);
}

/* The last five minutes of the rows stored, a second each. */
struct told {
    uint64_t from;
    size_t count, known;
    double value[400];
};

static int ask(const struct run *run, struct told *told)
{
    json_t *answer = page_json(run, "/api/history?series=stream_rows&from=-300&points=400"), *value;
    size_t i;
    memset(told, 0, sizeof *told);
    const json_t *list = json_object_get(json_object_get(answer, "series"), "stream_rows");
    if (list && json_integer_value(json_object_get(answer, "step_seconds")) != 1)
        fail_msg("not by the second");
    told->from = (uint64_t)json_integer_value(json_object_get(answer, "from"));
    json_array_foreach(list, i, value)
    {
        told->value[told->count++] = json_is_null(value) ? -1 : json_number_value(value);
        told->known += !json_is_null(value);
    }
    json_decref(answer);
    return told->count > 0;
}

static void await_known(const struct run *run, size_t seconds, struct told *told)
{
    double end = harness_seconds() + SECONDS;
    while (harness_seconds() < end) {
        if (ask(run, told) && told->known >= seconds) return;
        harness_sleep(0.2);
    }
    fail_msg("the history has no %zu seconds within %d s", seconds, SECONDS);
}

/* What was told before is told again. */
static void holds(const struct told *now, const struct told *before)
{
    size_t same = 0;
    for (size_t i = 0; i < before->count; i++) {
        uint64_t t = before->from + i;
        if (before->value[i] < 0 || t < now->from || t >= now->from + now->count) continue;
        double value = now->value[t - now->from];
        if (value < before->value[i] - 1 || (i + 2 < before->count && value != before->value[i]))
            fail_msg("at %llu there were %.0f rows, and now %.0f", (unsigned long long)t,
                     before->value[i], value);
        same++;
    }
    if (same < before->known / 2) fail_msg("of %zu seconds %zu are there", before->known, same);
}

static json_int_t restarts(const struct run *run, const char *process)
{
    json_t *status = page_json(run, "/api/status");
    json_int_t n =
        json_integer_value(json_object_get(json_object_get(status, "restarts"), process));
    json_decref(status);
    return n;
}

static void await_restart(const struct run *run, const char *process, json_int_t times)
{
    double end = harness_seconds() + SECONDS;
    while (harness_seconds() < end) {
        if (restarts(run, process) == times) return;
        harness_sleep(0.2);
    }
    fail_msg("%s was restarted %lld times", process, (long long)restarts(run, process));
}

static void stop(struct run *run, pid_t up)
{
    kill(up, SIGTERM);
    int code = run_wait(up, SECONDS);
    if (code != 0) fail_msg("sluice up ended with %d", code);
    assert_int_equal(run_alive(run), 0);
}

static void history_goes_on(void **state)
{
    struct run *run = *state;
    struct told before, after;
    struct stat st;
    char file[2 * HARNESS_PATH_BYTES];
    snprintf(file, sizeof file, "%s/history", run->state);
    run_configure(run, "", pipeline);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    await_known(run, 5, &before);
    assert_true(run_kill(run, "broker"));
    await_restart(run, "broker", 1);
    await_known(run, before.known + 3, &after);
    holds(&after, &before);
    assert_true(run_kill(run, "sink"));
    await_restart(run, "sink", 1);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_in_range(st.st_size, 1, 32 << 20);
    assert_true(ask(run, &before));
    stop(run, up);
    /* the next `sluice up` goes on, and is nobody's restart; a fresh one begins anew */
    up = run_start(run, "up", "sluice", "up", run->config, NULL);
    await_known(run, before.known + 3, &after);
    holds(&after, &before);
    assert_int_equal(restarts(run, "broker"), 1);
    assert_int_equal(restarts(run, "capture-0"), 0);
    stop(run, up);
    time_t begun = time(NULL);
    up = run_start(run, "up", "sluice", "up", run->config, "--fresh", NULL);
    await_known(run, 1, &after);
    size_t first = 0;
    while (after.value[first] < 0) first++;
    assert_true(after.from + first >= (uint64_t)begun);
    assert_int_equal(restarts(run, "broker"), 0);
    stop(run, up);
}

/* ---- crowds ---- */

/* -1: the system's queue is full. */
static int connect_to(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) (void)connect(fd, (struct sockaddr *)&to, sizeof to);
    return fd;
}

static void say(int fd, const char *text)
{
    for (int i = 0; i < 100; i++) {
        if (send(fd, text, strlen(text), MSG_NOSIGNAL) > 0) return;
        harness_sleep(0.01);
    }
}

/* How often an event has come on it, within the time. */
static unsigned events(int fd, unsigned wanted, double seconds)
{
    static char text[1 << 16];
    unsigned count = 0;
    double end = harness_seconds() + seconds;
    while (count < wanted && harness_seconds() < end) {
        ssize_t n = recv(fd, text, sizeof text - 1, 0);
        if (n == 0) break;
        if (n < 0) {
            harness_sleep(0.02);
            continue;
        }
        text[n] = '\0';
        for (const char *p = text; (p = strstr(p, "event: status")); p++) count++;
    }
    return count;
}

static const char listen_to[] = "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
static const char *const nonsense[] = {
    "\r\n\r\n\r\n",
    "GET",
    "GET / HTTP/9.9\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00",
    "GET /api/history?points=99999999999999999999 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /api/history?series=%00%ff,,,&from=1e9 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nx",
    "GET /api/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"};
enum { NONSENSE = sizeof nonsense / sizeof *nonsense };

struct crowd {
    int stream[STREAMS], slow[SLOW], silent[CROWD], odd[NONSENSE], large;
};

static void gather(struct crowd *c, const char *address)
{
    static char long_path[1 << 20];
    for (int i = 0; i < STREAMS; i++) say(c->stream[i] = connect_to(address), listen_to);
    for (int i = 0; i < STREAMS; i++)
        if (events(c->stream[i], 1, SECONDS) != 1) fail_msg("stream %d tells nothing", i);
    for (int i = 0; i < SLOW; i++) {
        int small = 2048;
        c->slow[i] = connect_to(address);
        setsockopt(c->slow[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        say(c->slow[i], listen_to);
    }
    for (int i = 0; i < CROWD; i++) c->silent[i] = connect_to(address);
    for (int i = 0; i < NONSENSE; i++) say(c->odd[i] = connect_to(address), nonsense[i]);
    memset(long_path, 'a', sizeof long_path - 1);
    memcpy(long_path, "GET /", 5);
    say(c->large = connect_to(address), long_path);
}

static void disperse(const struct crowd *c)
{
    for (int i = 0; i < STREAMS; i++) close(c->stream[i]);
    for (int i = 0; i < SLOW; i++) close(c->slow[i]);
    for (int i = 0; i < CROWD; i++) close(c->silent[i]);
    for (int i = 0; i < NONSENSE; i++) close(c->odd[i]);
    close(c->large);
}

static void crowds_harm_nothing(void **state)
{
    struct run *run = *state;
    static struct crowd crowd;
    char address[64];
    run_configure(run, "", pipeline);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    await_rows(run, 1000);
    pid_t broker = run_process(run, "broker");
    assert_true(address_of(run, address));
    double memory = run_metric(run, "broker", "sluice_process_memory_bytes");
    gather(&crowd, address);
    /* who is new is heard, those who listen are told, and rows flow */
    char *text = page(run, "/metrics");
    assert_non_null(text);
    free(text);
    double rows = overview(run, "stream_rows");
    for (int i = 0; i < STREAMS; i++)
        if (events(crowd.stream[i], 2, SECONDS) < 2) fail_msg("stream %d has ended", i);
    await_rows(run, rows + 1000);
    double grown = run_metric(run, "broker", "sluice_process_memory_bytes") - memory;
    if (grown > 32 << 20) fail_msg("the broker grew by %.0f bytes", grown);
    assert_int_equal(run_process(run, "broker"), broker);
    disperse(&crowd);
    await_rows(run, rows + 2000);
    stop(run, up);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, run_set_up, run_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(history_goes_on), TEST(crowds_harm_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
