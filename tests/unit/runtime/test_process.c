/* The skeleton's life, in children of this test: exit codes, drains, signals, the parent's pipe,
 * hardening, timers and wakes, the report. A child tells what happened in letters through a
 * pipe. */
#include "runtime/process.h"

#include "base/err.h"
#include "base/fileio.h"
#include "proto/message.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

enum { LISTEN_MS = 10000 };

static int marks_fd[2], parent_fd[2];
static char folder[] = "/tmp/sluice-process-XXXXXX", run_dir[96], file[96];

static void mark(char letter)
{
    ssize_t ignored = write(marks_fd[1], &letter, 1);
    (void)ignored;
}

/* ---- the child ---- */

struct state {
    struct process *process;
    struct process_timer *timer;
    struct process_wake *wake;
    pthread_t thread;
    struct link *router, *dealer;
    int wakes;
};

static const char *mode(struct process *p)
{
    const char *text = options_get(process_options(p), "mode");
    return text ? text : "";
}

static void finish_well(void *arg)
{
    mark('t');
    process_finish(arg, ERR_OK);
}

static void woken(void *arg)
{
    struct state *s = arg;
    mark('w');
    process_finish(s->process, ERR_OK);
}

static int has_stopped;

static void not_after_stop(void *arg)
{
    struct state *s = arg;
    if (has_stopped) mark('!');
    process_finish(s->process, ERR_OK);
}

/* Everything becomes due while stop() runs: a timer, a wake, and the skeleton's tick. */
static void make_all_due(struct state *s)
{
    has_stopped = 1;
    process_wake_send(s->wake);
    usleep(1100000);
}

static void *wake_it(void *arg)
{
    usleep(20000);
    process_wake_send(((struct state *)arg)->wake);
    return NULL;
}

static void on_report(void *arg, struct link *link, struct link_message *message)
{
    struct message m;
    size_t bytes;
    const uint8_t *data = link_data(message, 0, &bytes);
    (void)link;
    if (message_decode(data, bytes, &m) != ERR_OK || m.type != MESSAGE_REPORT) return;
    json_t *json = json_loadb(m.text, m.text_bytes, 0, NULL);
    if (strcmp(m.name, "sink-7") == 0 && json_object_get(json, "sluice_t_total") &&
        json_number_value(json_object_get(json, "sluice_process_memory_bytes")) > 4096)
        mark('r');
    const char *why =
        json_string_value(json_object_get(json_object_get(json, "last_error"), "text"));
    int fails = why && strcmp(why, "it cannot go on") == 0;
    json_decref(json);
    if (fails) mark('e');
    if (fails || strcmp(mode(arg), "listen") != 0) process_finish(arg, ERR_OK);
}

static int open_links(struct process *p, struct state *s, int listens, int tells)
{
    char endpoint[CONFIG_PATH_BYTES];
    int result = config_endpoint(process_config(p), CONFIG_FRONT, endpoint);
    struct link_options options = {.kind = LINK_ROUTER,
                                   .endpoint = endpoint,
                                   .bind = 1,
                                   .on_message = on_report,
                                   .arg = p,
                                   .linger_ms = 2000};
    if (result == ERR_OK && listens) result = link_open(process_hub(p), &options, &s->router);
    options.kind = LINK_DEALER;
    options.bind = 0;
    if (result == ERR_OK && tells) result = link_open(process_hub(p), &options, &s->dealer);
    if (result == ERR_OK && tells) process_report_to(p, s->dealer);
    return result;
}

static void finish_badly(void *arg)
{
    process_finish(arg, err_set(ERR_IO, "it cannot go on"));
}

static void check_hardening(void)
{
    struct rlimit core;
    mode_t mask = umask(077);
    getrlimit(RLIMIT_CORE, &core);
    if (mask == 077) mark('u');
    if (core.rlim_cur == 0 && core.rlim_max == 0) mark('c');
#ifndef __SANITIZE_ADDRESS__
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)
#endif
        mark('d');
}

/* A file is cut short that is open as memory; stderr is the pipe of marks. */
static void touch_what_is_gone(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/cut", folder);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (ftruncate(fd, 4096) != 0) return;
    volatile char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED || ftruncate(fd, 0) != 0) return;
    dup2(marks_fd[1], STDERR_FILENO);
    map[0] = 1;
}

static int start(struct process *p)
{
    struct state *s = process_state(p);
    s->process = p;
    mark('S');
    if (strcmp(mode(p), "fail") == 0) return err_set(ERR_IO, "cannot do it");
    if (strcmp(mode(p), "usage") == 0) return err_set(ERR_USAGE, "wrong");
    if (strcmp(mode(p), "cut") == 0) touch_what_is_gone();
    if (strcmp(mode(p), "report") == 0) return open_links(p, s, 1, 1);
    if (strcmp(mode(p), "harden") == 0) check_hardening();
    if (strcmp(mode(p), "wake") == 0) {
        s->wake = process_wake_new(p, woken, s);
        if (!s->wake) return err_set(ERR_NOMEM, "no wake");
        return pthread_create(&s->thread, NULL, wake_it, s) ? ERR_IO : ERR_OK;
    }
    if (strcmp(mode(p), "after") == 0) {
        s->timer = process_timer_new(p, not_after_stop, s);
        s->wake = process_wake_new(p, not_after_stop, s);
        if (!s->timer || !s->wake) return err_set(ERR_NOMEM, "no timer");
        process_timer_set(s->timer, 1);
        return ERR_OK;
    }
    if (strcmp(mode(p), "wait") == 0 || strcmp(mode(p), "hang") == 0 ||
        strcmp(mode(p), "block") == 0)
        return ERR_OK;
    int tells = strcmp(mode(p), "tell") == 0, listens = strcmp(mode(p), "listen") == 0;
    if ((tells || listens) && open_links(p, s, listens, tells) != ERR_OK) return ERR_IO;
    s->timer = process_timer_new(p, tells ? finish_badly : finish_well, p);
    if (!s->timer) return err_set(ERR_NOMEM, "no timer");
    process_timer_set(s->timer, listens ? LISTEN_MS : 10);
    return ERR_OK;
}

static void drain(struct process *p)
{
    mark('D');
    if (strcmp(mode(p), "hang") == 0) return;
    if (strcmp(mode(p), "block") == 0) { /* the alarm is armed: shorten it and block the loop */
        unsigned left = alarm(1);
        mark(left > 0 && left <= PROCESS_DRAIN_SECONDS ? 'a' : '?');
        for (;;) pause();
    }
    process_finish(p, ERR_OK);
}

static void stop(struct process *p)
{
    struct state *s = process_state(p);
    if (s->thread) pthread_join(s->thread, NULL);
    link_close(s->dealer);
    link_close(s->router);
    mark('X');
    if (strcmp(mode(p), "after") == 0) make_all_due(s);
}

static int name(const struct config *config_of_it, const struct options *options, char *out)
{
    (void)config_of_it;
    (void)options;
    strcpy(out, "sink-7");
    return ERR_OK;
}

static void stats(struct process *p)
{
    if (strcmp(mode(p), "stats") == 0) mark('s');
    if (has_stopped) mark('!');
}

static const struct option_spec extra[] = {{"mode", "WORD", "what to do"}};
static const struct metric table[] = {
    {.name = "sluice_t_total", .kind = METRIC_COUNTER, .unit = "none", .help = "T."}};
static const struct process_spec spec = {
    .program = {.name = "sluice-t", .summary = "t", .options = extra, .options_count = 1},
    .section = "sink",
    .name = name,
    .metrics = table,
    .metrics_count = 1,
    .state_bytes = sizeof(struct state),
    .start = start,
    .drain = drain,
    .stats = stats,
    .stop = stop,
};

/* ---- the parent ---- */

static int set_up(void **state)
{
    (void)state;
    static const char text[] = "stream: {name: t}\n";
    strcpy(strrchr(folder, '-'), "-XXXXXX");
    if (!mkdtemp(folder) || pipe2(marks_fd, O_CLOEXEC) || pipe2(parent_fd, O_CLOEXEC)) return -1;
    snprintf(run_dir, sizeof run_dir, "stream.run_dir=%s/run", folder);
    snprintf(file, sizeof file, "%s/t.yaml", folder);
    return file_replace(file, text, sizeof text - 1);
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        close(marks_fd[i]);
        if (parent_fd[i] >= 0) close(parent_fd[i]);
    }
    return dir_remove(folder);
}

static pid_t launch_all(int watch_parent, const char *const *words)
{
    char *argv[16] = {(char *)"sluice-t"}, fd[16];
    int argc = 1;
    for (; words[argc - 1]; argc++) argv[argc] = (char *)words[argc - 1];
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0) return pid;
    int quiet = open("/dev/null", O_WRONLY);
    dup2(quiet, STDOUT_FILENO);
    dup2(quiet, STDERR_FILENO);
    if (watch_parent) {
        snprintf(fd, sizeof fd, "%d", parent_fd[0]);
        setenv("SLUICE_PARENT_FD", fd, 1);
    }
    close(parent_fd[1]);
    _exit(process_main(&spec, argc, argv));
}
#define launch(...)   launch_all(0, (const char *const[]){__VA_ARGS__, NULL})
#define launch_run(m) launch(file, "--set", run_dir, "--mode", m)

static int ended(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status)) fail_msg("killed by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static char wait_mark(void)
{
    char letter = 0;
    assert_int_equal(read(marks_fd[0], &letter, 1), 1);
    return letter;
}

/* Marks that were made, in order. */
static void made(const char *wanted)
{
    char got[32] = "";
    fcntl(marks_fd[0], F_SETFL, O_NONBLOCK);
    ssize_t n = read(marks_fd[0], got, sizeof got - 1);
    got[n > 0 ? n : 0] = '\0';
    assert_string_equal(got, wanted);
}

static void test_done(void **state)
{
    (void)state;
    assert_int_equal(ended(launch_run("time")), 0);
    made("StX");
}

static void test_failures(void **state)
{
    (void)state;
    assert_int_equal(ended(launch_run("fail")), 1);
    made("SX");
    assert_int_equal(ended(launch_run("usage")), 2);
    made("SX");
}

static void test_cut_short(void **state)
{
    (void)state;
    char said[512] = "";
    assert_int_equal(ended(launch_run("cut")), 1);
    assert_int_equal(wait_mark(), 'S');
    assert_true(read(marks_fd[0], said, sizeof said - 1) > 0);
    assert_non_null(strstr(said, "msg=\"SIGBUS: a file that is open as"));
    assert_int_equal(said[strlen(said) - 1], '\n');
}

static pid_t launch_watched(const char *m)
{
    return launch_all(1, (const char *const[]){file, "--set", run_dir, "--mode", m, NULL});
}

/* No second try mends that: 3 tells the parent. */
static void test_folder_gone(void **state)
{
    (void)state;
    char marker[128], other[160];
    for (int moved = 0; moved < 2; moved++) {
        snprintf(marker, sizeof marker, "%s/run/sluice.run", folder);
        snprintf(other, sizeof other, "%s.other", marker);
        pid_t pid = launch_watched("wait");
        assert_int_equal(wait_mark(), 'S');
        assert_int_equal(moved ? rename(marker, other) : unlink(marker), 0);
        alarm(10);
        assert_int_equal(ended(pid), PROCESS_EXIT_FINAL);
        alarm(0);
        while (wait_mark() != 'X') continue;
        if (access(marker, F_OK) == 0) fail_msg("it was made again");
        snprintf(other, sizeof other, "%s/run", folder);
        assert_int_equal(dir_remove(other), ERR_OK);
    }
}

static void test_usage(void **state)
{
    (void)state;
    assert_int_equal(ended(launch("--mode", "time")), 2);
    assert_int_equal(ended(launch("/nowhere.yaml")), 2);
    assert_int_equal(ended(launch(file, "--set", "sink.siez=1")), 2);
    assert_int_equal(ended(launch(file, "--bogus")), 2);
    assert_int_equal(ended(launch(file, "--check")), 0);
    assert_int_equal(ended(launch("--print-config")), 0);
    assert_int_equal(ended(launch(file, "--print-config")), 0);
    assert_int_equal(ended(launch("--help")), 0);
    assert_int_equal(ended(launch("--version")), 0);
    made("");
}

static void test_signals_drain(void **state)
{
    (void)state;
    static const int numbers[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        fcntl(marks_fd[0], F_SETFL, 0);
        pid_t pid = launch_run("wait");
        assert_int_equal(wait_mark(), 'S');
        kill(pid, numbers[i]);
        assert_int_equal(ended(pid), 0);
        made("DX");
    }
}

static void test_second_signal_stops_at_once(void **state)
{
    (void)state;
    pid_t pid = launch_run("hang");
    assert_int_equal(wait_mark(), 'S');
    kill(pid, SIGTERM);
    assert_int_equal(wait_mark(), 'D');
    uint64_t before = process_now_ns();
    kill(pid, SIGTERM);
    assert_int_equal(ended(pid), 1);
    assert_true(process_now_ns() - before < 5000000000u); /* not the end of the drain's time */
    made("");
}

static void test_drain_that_blocks_is_ended(void **state)
{
    (void)state;
    pid_t pid = launch_run("block");
    assert_int_equal(wait_mark(), 'S');
    kill(pid, SIGTERM);
    assert_int_equal(ended(pid), 1);
    made("Da");
}

static void test_end_of_the_parent_drains(void **state)
{
    (void)state;
    const char *const words[] = {file, "--set", run_dir, "--mode", "wait", NULL};
    pid_t pid = launch_all(1, words);
    assert_int_equal(wait_mark(), 'S');
    usleep(50000);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    close(parent_fd[1]);
    parent_fd[1] = -1;
    assert_int_equal(ended(pid), 0);
    made("DX");
}

static void test_bad_parent(void **state)
{
    (void)state;
    char fd[16];
    int device = open("/dev/zero", O_RDONLY);
    setenv("SLUICE_PARENT_FD", "9999", 1);
    assert_int_equal(ended(launch_run("time")), 2);
    snprintf(fd, sizeof fd, "%d", device);
    setenv("SLUICE_PARENT_FD", fd, 1);
    assert_int_equal(ended(launch_run("time")), 2);
    close(device);
    unsetenv("SLUICE_PARENT_FD");
    made("");
}

static void test_hardening(void **state)
{
    (void)state;
    assert_int_equal(ended(launch_run("harden")), 0);
    made("SucdtX");
}

static void test_wake(void **state)
{
    (void)state;
    assert_int_equal(ended(launch_run("wake")), 0);
    made("SwX");
}

static void test_report(void **state)
{
    (void)state;
    assert_int_equal(ended(launch_run("report")), 0);
    made("SrX");
}

/* Who listens hears in the last report of the other why that one failed. */
static void test_last_report_says_why(void **state)
{
    (void)state;
    pid_t listens = launch_run("listen");
    assert_int_equal(wait_mark(), 'S');
    assert_int_equal(ended(launch_run("tell")), 1);
    assert_int_equal(ended(listens), 0);
    char got[32] = "";
    assert_true(read(marks_fd[0], got, sizeof got - 1) > 0);
    assert_non_null(strchr(got, 'e'));
}

/* The first report comes before any timer of the process's own (here 10 ms). */
static void test_first_report_is_at_once(void **state)
{
    (void)state;
    assert_int_equal(ended(launch_run("stats")), 0);
    made("SstX");
}

static void test_nothing_runs_after_stop(void **state)
{
    (void)state;
    assert_int_equal(ended(launch_run("after")), 0);
    made("SX");
}

static void test_address_file(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/run/http/sink-7", folder);
    pid_t pid = launch_run("wait");
    assert_int_equal(wait_mark(), 'S');
    for (int i = 0; i < 6000 && access(path, R_OK) != 0; i++) usleep(10000); /* behind its start */
    assert_int_equal(access(path, R_OK), 0);
    kill(pid, SIGTERM);
    assert_int_equal(ended(pid), 0);
    assert_int_equal(access(path, R_OK), -1);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_done),
        T(test_failures),
        T(test_cut_short),
        T(test_folder_gone),
        T(test_usage),
        T(test_signals_drain),
        T(test_second_signal_stops_at_once),
        T(test_drain_that_blocks_is_ended),
        T(test_end_of_the_parent_drains),
        T(test_bad_parent),
        T(test_hardening),
        T(test_wake),
        T(test_report),
        T(test_last_report_says_why),
        T(test_first_report_is_at_once),
        T(test_nothing_runs_after_stop),
        T(test_address_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
