/*
 * A real Prometheus with the files of configs/ops/ over a real run: `sluice up --prometheus` tells it
 * where the processes are, also after they have died; alerts fire while a trainer is stopped and clear
 * when it is back; a run that died is missed, and one that ended is not.
 *
 * The rules are the shipped ones with shorter times.
 */
#include "tests/e2e/harness.h"

#include "base/fileio.h"
#include "tests/e2e/fetch.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECONDS = 60, ANSWER_MS = 5000, QUIET_EVALUATIONS = 5, URL_BYTES = 256 };

/* A buffer that is soon full where nobody draws. */
static const char pipeline[] =
    "capture: { engine: synthetic, synthetic: { features: 32, width: 16, rows: 1000000000 } }\n"
    "sink: { size: 16MiB }\n"
    "trainer: { batch_rows: 256, reuse: 1, saes: [ { arch: topk, features: 64, k: 4 } ] }\n";

/* Shorter times, and DIR in place of the system's folders. $1: DIR, $2: port. */
static const char prepare[] =
    "mkdir \"$1/sluice-targets\"\n"
    "sed -E -e 's/for: [0-9]+[mh]/for: 1s/; s/\\[(15|30)m\\]/[10s]/; s/offset 15m/offset 10s/' "
    "-e 's/\\[2m\\]\\)\\[13m:1m\\]/[3s])[8s:1s]/' configs/ops/alerts.yaml "
    ">\"$1/sluice-alerts.yaml\"\n"
    "if grep -nE '\\[[^]]*[mh]\\]|offset [0-9]+[mh]|for: [0-9]+[mh]' \"$1/sluice-alerts.yaml\" "
    ">&2; then\n"
    "    echo 'these times are not shortened' >&2; exit 1\n"
    "fi\n"
    "sed -e \"s|/etc/prometheus|$1|; s|/var/lib|$1|; s|localhost:9090|127.0.0.1:$2|\" "
    "-e 's/interval: .*s$/interval: 1s/; s/timeout: .*/timeout: 1s/' "
    "configs/ops/prometheus.yaml >\"$1/prometheus.yaml\"\n";

static const char *const processes[] = {"broker", "capture-0", "sink", "trainer-main"};
enum { PROCESSES = sizeof processes / sizeof *processes };

static struct prometheus {
    pid_t pid;
    char address[64];
    char folder[HARNESS_PATH_BYTES];      /* of prometheus and promtool */
    char targets[2 * HARNESS_PATH_BYTES]; /* the file that sluice writes */
} prometheus;

/* ---- Prometheus ---- */

/* Take the port of an address whose process was just killed, so that its next life finds another one; -1:
 * that life was faster. */
static int take_port(const char *url)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    address.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    for (double end = harness_seconds() + 0.15; harness_seconds() < end; harness_sleep(0.001))
        if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0)
            return fd;
    close(fd);
    return -1;
}

/* What it answers to a path: the member `data`, which the caller decrefs; NULL: nothing yet. */
static json_t *ask(const char *path)
{
    char *body;
    size_t bytes;
    if (fetch(prometheus.address, path, ANSWER_MS, &body, &bytes) != 0) return NULL;
    json_t *answer = json_loadb(body, bytes, 0, NULL);
    json_t *data = json_incref(json_object_get(answer, "data"));
    json_decref(answer);
    free(body);
    return data;
}

/* The same of one that is up: on a busy machine an answer may be late. */
static json_t *must_ask(const char *path)
{
    json_t *data = NULL;
    for (double end = harness_seconds() + SECONDS; !data && harness_seconds() < end;)
        if (!(data = ask(path))) harness_sleep(0.3);
    if (!data) fail_msg("Prometheus does not answer to %s", path);
    return data;
}

static void start(struct run *run, const char *program, int port)
{
    char config[2 * HARNESS_PATH_BYTES], data[2 * HARNESS_PATH_BYTES], listen[128], text[16];
    snprintf(text, sizeof text, "%d", port);
    if (run_command(run, SECONDS, "/bin/sh", "-euc", prepare, "sh", run->dir, text, NULL))
        fail_msg("%s", run->err);
    snprintf(config, sizeof config, "--config.file=%s/prometheus.yaml", run->dir);
    snprintf(data, sizeof data, "--storage.tsdb.path=%s/data", run->dir);
    snprintf(prometheus.address, sizeof prometheus.address, "127.0.0.1:%d", port);
    snprintf(listen, sizeof listen, "--web.listen-address=%s", prometheus.address);
    prometheus.pid = run_start(run, "prometheus", program, config, data, listen,
                               "--storage.tsdb.retention.time=1h", NULL);
}

static void await_answer(void)
{
    for (double end = harness_seconds() + SECONDS; harness_seconds() < end; harness_sleep(0.2)) {
        json_t *rules = ask("/api/v1/rules");
        json_decref(rules);
        if (rules) return;
    }
    fail_msg("Prometheus does not answer");
}

static int set_up(void **state)
{
    char program[HARNESS_PATH_BYTES + 16];
    if (run_set_up(state) != 0) return -1;
    struct run *run = *state;
    if (run_command(run, SECONDS, "/bin/sh", "-c", "scripts/prometheus.sh", NULL))
        fail_msg("%s", run->err);
    run->out[strcspn(run->out, "\n")] = '\0';
    snprintf(prometheus.folder, sizeof prometheus.folder, "%.1000s", run->out);
    snprintf(program, sizeof program, "%s/prometheus", prometheus.folder);
    start(run, program, harness_free_port());
    snprintf(prometheus.targets, sizeof prometheus.targets, "%s/sluice-targets/test.json",
             run->dir);
    await_answer();
    return 0;
}

static int tear_down(void **state)
{
    kill(prometheus.pid, SIGKILL);
    run_wait(prometheus.pid, SECONDS);
    return run_tear_down(state);
}

/* ---- what it sees ---- */

static const char *label_of(const json_t *of, const char *label)
{
    const char *text = json_string_value(json_object_get(json_object_get(of, "labels"), label));
    return text ? text : "";
}

enum watched { UNKNOWN, GONE, DOWN, UP };

/* How Prometheus sees a process, and where: url[URL_BYTES]. */
static enum watched look(const char *process, char *url)
{
    json_t *data = ask("/api/v1/targets?state=active"), *target;
    size_t i;
    enum watched found = data ? GONE : UNKNOWN;
    json_array_foreach(json_object_get(data, "activeTargets"), i, target)
    {
        const char *health = json_string_value(json_object_get(target, "health"));
        if (strcmp(label_of(target, "process"), process) != 0 || !health) continue;
        snprintf(url, URL_BYTES, "%s", json_string_value(json_object_get(target, "scrapeUrl")));
        found = strcmp(health, "up") == 0 ? UP : DOWN;
    }
    json_decref(data);
    return found;
}

static void await_gone(const char *process)
{
    char url[URL_BYTES];
    for (double end = harness_seconds() + SECONDS; harness_seconds() < end; harness_sleep(0.3))
        if (look(process, url) == GONE) return;
    fail_msg("%s is still watched", process);
}

/* An alert that fires, of a process (NULL: of none). Its texts must be whole. */
static int fires(const char *name, const char *process)
{
    json_t *data = must_ask("/api/v1/alerts"), *alert;
    size_t i;
    int found = 0;
    json_array_foreach(json_object_get(data, "alerts"), i, alert)
    {
        char *text = json_dumps(json_object_get(alert, "annotations"), 0);
        harness_has_not(text, "error expanding");
        harness_has_not(text, "no value");
        free(text);
        const char *state = json_string_value(json_object_get(alert, "state"));
        found = found || (state && strcmp(state, "firing") == 0 &&
                          strcmp(label_of(alert, "alertname"), name) == 0 &&
                          strcmp(label_of(alert, "process"), process ? process : "") == 0);
    }
    json_decref(data);
    return found;
}

static void await_alert(const char *name, const char *process, int wanted)
{
    for (double end = harness_seconds() + SECONDS; harness_seconds() < end; harness_sleep(0.3))
        if (fires(name, process) == wanted) return;
    fail_msg("%s of %s %s", name, process ? process : "nobody",
             wanted ? "does not fire" : "does not clear");
}

/* Until it answers, and where: a look may be late as well. */
static void await_up(const char *process, char *url)
{
    for (double end = harness_seconds() + SECONDS; harness_seconds() < end; harness_sleep(0.3))
        if (look(process, url) == UP) return;
    fail_msg("%s is not watched", process);
}

/* Until all answer; where `old` is one's address, at another. */
static void await_all(const char *moved, const char *old)
{
    char url[URL_BYTES];
    for (int i = 0; i < PROCESSES; i++) {
        int is_moved = moved && strcmp(processes[i], moved) == 0;
        double end = harness_seconds() + SECONDS;
        while (look(processes[i], url) != UP || (is_moved && strcmp(url, old) == 0)) {
            if (harness_seconds() > end) fail_msg("%s is not found", processes[i]);
            harness_sleep(0.3);
        }
    }
}

/* How often the rules were evaluated. */
static double evaluations(void)
{
    json_t *data = must_ask("/api/v1/query?query=max(prometheus_rule_group_iterations_total)");
    const json_t *value =
        json_object_get(json_array_get(json_object_get(data, "result"), 0), "value");
    const char *text = json_string_value(json_array_get(value, 1));
    double count = text ? strtod(text, NULL) : 0;
    json_decref(data);
    return count;
}

static void await_evaluations(int more)
{
    double until = evaluations() + more;
    for (double end = harness_seconds() + SECONDS; harness_seconds() < end; harness_sleep(0.3))
        if (evaluations() >= until) return;
    fail_msg("the rules are not evaluated");
}

/* ---- the run ---- */

static pid_t start_run(struct run *run)
{
    return run_start(run, "up", "sluice", "up", run->config, "--prometheus", prometheus.targets,
                     NULL);
}

/* Names, types and texts are as its linter wants them. */
static void pages_are_well_written(struct run *run)
{
    char url[URL_BYTES];
    for (int i = 0; i < PROCESSES; i++) {
        await_up(processes[i], url);
        int code = run_command(run, SECONDS, "/bin/sh", "-c",
                               "curl -sS \"$1\" | \"$2/promtool\" check metrics", "sh", url,
                               prometheus.folder, NULL);
        if (code != 0) fail_msg("%s: %s%s", processes[i], run->out, run->err);
    }
}

/* What the rules need to know of the configuration, and of the last checkpoint. */
static void what_rules_need_is_told(const struct run *run, double begun_seconds)
{
    static const char last[] = "sluice_trainer_last_checkpoint_time_seconds";
    const char *const trainer = processes[PROCESSES - 1];
    double first = run_metric(run, trainer, last), next = first;
    assert_true(first >= begun_seconds);
    for (double end = harness_seconds() + SECONDS; next <= first; harness_sleep(0.3)) {
        if (harness_seconds() > end) fail_msg("no newer checkpoint than of %.1f", first);
        next = run_metric(run, trainer, last);
    }
    assert_true(next <= (double)time(NULL) + 1);
    assert_int_equal(run_metric(run, trainer, "sluice_trainer_checkpoint_interval_seconds"), 300);
    assert_int_equal(run_metric(run, "sink", "sluice_stream_policy{policy=\"block\"}"), 1);
    assert_int_equal(run_metric(run, "sink", "sluice_stream_policy{policy=\"shed\"}"), 0);
    assert_int_equal(run_metric(run, "sink", "sluice_sink_consumers"), 1);
}

static void is_seen_while_a_trainer_is_stopped(const struct run *run)
{
    await_alert("SluiceProcessMissing", "trainer-main", 0);
    run_hold(run, "trainer-main");
    await_alert("SluiceProcessMissing", "trainer-main", 1);
    await_alert("SluiceStreamStalled", NULL, 1);
    run_let_go(run, "trainer-main");
    await_alert("SluiceProcessMissing", "trainer-main", 0);
    await_alert("SluiceStreamStalled", NULL, 0);
}

static void is_found_again(const struct run *run, const char *process)
{
    char old[URL_BYTES];
    await_up(process, old);
    assert_true(run_kill(run, process));
    int fd = take_port(old);
    await_all(fd >= 0 ? process : NULL, old);
    if (fd >= 0) close(fd);
}

/* Its processes stay in the file, and nobody answers there. */
static pid_t is_missed_when_killed(struct run *run, pid_t up)
{
    kill(up, SIGKILL);
    run_wait(up, SECONDS);
    await_alert("SluiceProcessMissing", "sink", 1);
    up = start_run(run);
    await_all(NULL, NULL);
    await_alert("SluiceProcessMissing", "sink", 0);
    return up;
}

static void is_not_missed_when_over(void)
{
    char *text;
    size_t bytes;
    assert_int_equal(file_read(prometheus.targets, 64, &text, &bytes), 0);
    assert_string_equal(text, "[]\n");
    free(text);
    /* Prometheus takes over a change of the file, and forgets a target, some seconds later. */
    for (int i = 0; i < PROCESSES; i++) await_gone(processes[i]);
    for (int i = 0; i < PROCESSES; i++) await_alert("SluiceProcessMissing", processes[i], 0);
    await_evaluations(QUIET_EVALUATIONS);
    for (int i = 0; i < PROCESSES; i++) assert_false(fires("SluiceProcessMissing", processes[i]));
    assert_false(fires("SluiceProcessMissing", NULL));
    assert_true(fires("SluiceWatchdog", NULL));
}

static void alerts_follow_the_run(void **state)
{
    struct run *run = *state;
    double begun_seconds = (double)time(NULL);
    run_configure(run, "dtype: f32", pipeline);
    pid_t up = start_run(run);
    await_all(NULL, NULL);
    run_await_drawn(run, "main", 10000, SECONDS);
    pages_are_well_written(run);
    what_rules_need_is_told(run, begun_seconds);
    is_seen_while_a_trainer_is_stopped(run);
    is_found_again(run, "capture-0");
    is_found_again(run, "broker");
    up = is_missed_when_killed(run, up);
    kill(up, SIGTERM);
    assert_int_equal(run_wait(up, SECONDS), 0);
    is_not_missed_when_over();
    assert_int_equal(unlink(prometheus.targets), 0);
    await_alert("SluiceProcessMissing", NULL, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(alerts_follow_the_run, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("prometheus", tests, NULL, NULL);
}
