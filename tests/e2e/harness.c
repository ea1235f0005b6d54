#include "tests/e2e/harness.h"

#include "base/clock.h"
#include "base/fileio.h"
#include "buffer/consumer.h"
#include "tests/e2e/fetch.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

double harness_seconds(void)
{
    return clock_seconds(CLOCK_MONOTONIC);
}

void run_write(const struct run *run, const char *name, const char *text)
{
    char path[HARNESS_PATH_BYTES + 256];
    snprintf(path, sizeof path, "%s/%s", run->dir, name);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0) fail_msg("cannot write %s", path);
}

void harness_has(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("there is no '%s' in: %s", part, text);
}

void harness_has_not(const char *text, const char *part)
{
    if (strstr(text, part)) fail_msg("there is '%s' in: %s", part, text);
}

int harness_free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) ||
        bind(fd, (struct sockaddr *)&at, bytes) || getsockname(fd, (struct sockaddr *)&at, &bytes))
        fail_msg("there is no free port");
    return ntohs(at.sin_port);
}

void harness_sleep(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

/* ---- folders ---- */

static void print(char *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void print(char *out, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(out, HARNESS_PATH_BYTES, fmt, args);
    va_end(args);
    if (n < 0 || n >= HARNESS_PATH_BYTES) fail_msg("a path is too long: %s", out);
}

void run_make(struct run *run)
{
    const char *base = getenv("TMPDIR");
    char data[HARNESS_PATH_BYTES + 8];
    memset(run, 0, sizeof *run);
    print(run->dir, "%s/sluice-e2e-XXXXXX", base && base[0] ? base : "/tmp");
    if (!mkdtemp(run->dir)) fail_msg("cannot make %s: %s", run->dir, strerror(errno));
    print(run->state, "%.900s/run", run->dir);
    print(run->config, "%.900s/run.yaml", run->dir);
    snprintf(data, sizeof data, "%s/state", run->dir);
    setenv("XDG_STATE_HOME", data, 1);
    /* The usual folder is the machine's: a test would see programs that others tap. */
    snprintf(data, sizeof data, "%s/taps", run->dir);
    setenv("SLUICE_TAPS", data, 1);
}

void run_remove(struct run *run)
{
    run_kill(run, "sluice"); /* its children end by themselves */
    for (double until = harness_seconds() + 15; run_alive(run) && harness_seconds() < until;)
        harness_sleep(0.05);
    if (!getenv("SLUICE_E2E_KEEP")) dir_remove(run->dir);
}

int run_set_up(void **state)
{
    struct run *run = malloc(sizeof *run);
    if (!run) return -1;
    run_make(run);
    *state = run;
    return 0;
}

int run_tear_down(void **state)
{
    run_remove(*state);
    free(*state);
    return 0;
}

void run_configure(struct run *run, const char *extra, const char *rest)
{
    FILE *file = fopen(run->config, "w");
    if (!file) fail_msg("cannot write %s", run->config);
    fprintf(file, "stream: { name: test, run_dir: %s%s%s }\n%s", run->state, extra[0] ? ", " : "",
            extra, rest);
    if (fclose(file) != 0) fail_msg("cannot write %s", run->config);
}

char *run_text(const struct run *run, const char *below_state, size_t *bytes)
{
    char path[2 * HARNESS_PATH_BYTES], *text;
    size_t size;
    snprintf(path, sizeof path, "%s/%s", run->state, below_state);
    if (file_read(path, (size_t)1 << 30, &text, &size) != 0) return NULL;
    if (bytes) *bytes = size;
    return text;
}

unsigned run_says(const struct run *run, const char *name, const char *words)
{
    char file[96];
    unsigned count = 0;
    snprintf(file, sizeof file, "../%s", name);
    char *text = run_text(run, file, NULL);
    for (char *at = text; at && (at = strstr(at, words)); at++) count++;
    free(text);
    return count;
}

void run_await_said(const struct run *run, const char *name, const char *words, unsigned times)
{
    double until = harness_seconds() + 120;
    while (run_says(run, name, words) < times) {
        if (harness_seconds() > until) fail_msg("%s does not say \"%s\"", name, words);
        harness_sleep(0.02);
    }
}

void run_same_files(const struct run *run, const char *a, const char *b)
{
    size_t a_bytes, b_bytes;
    char *one = run_text(run, a, &a_bytes), *other = run_text(run, b, &b_bytes);
    if (!one || !other) fail_msg("%s or %s is missing", a, b);
    assert_int_equal(a_bytes, b_bytes);
    assert_memory_equal(one, other, a_bytes);
    free(one);
    free(other);
}

/* ---- processes ---- */

void run_program(const char *program, char *out)
{
    char self[HARNESS_PATH_BYTES];
    if (program[0] == '/') {
        print(out, "%s", program);
        return;
    }
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) fail_msg("cannot tell where the test lies");
    self[n] = '\0';
    for (int up = 0; up < 3; up++) *strrchr(self, '/') = '\0'; /* BUILD/tests/e2e/test_x */
    print(out, "%.900s/%s", self, program);
}

static size_t collect(char **argv, const char *program, va_list args)
{
    static char path[HARNESS_PATH_BYTES];
    size_t n = 1;
    run_program(program, path);
    argv[0] = path;
    while ((argv[n] = va_arg(args, char *)) != NULL)
        if (++n == HARNESS_ARGUMENTS) fail_msg("too many arguments");
    return n;
}

/* Whatever ends the test ends what it started, whose own children then end by themselves. */
static pid_t start(char **argv, int out, int err)
{
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid < 0) fail_msg("cannot fork: %s", strerror(errno));
    if (pid > 0) return pid;
    int null = open("/dev/null", O_RDONLY);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != self) _exit(127);
    setpgid(0, 0);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execv(argv[0], argv);
    _exit(127);
}

pid_t run_start(struct run *run, const char *name, const char *program, ...)
{
    char path[HARNESS_PATH_BYTES], *argv[HARNESS_ARGUMENTS];
    va_list args;
    va_start(args, program);
    collect(argv, program, args);
    va_end(args);
    print(path, "%.900s/%s.out", run->dir, name);
    int out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0) fail_msg("cannot write %s", path);
    pid_t pid = start(argv, out, out);
    close(out);
    return pid;
}

int run_wait(pid_t pid, double seconds)
{
    double until = harness_seconds() + seconds;
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (harness_seconds() > until) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return HARNESS_TIMED_OUT;
        }
        harness_sleep(0.01);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : HARNESS_SIGNALLED;
}

static void slurp(const char *path, char *out)
{
    char *text;
    size_t bytes;
    out[0] = '\0';
    if (file_read(path, (size_t)64 << 20, &text, &bytes) != 0) return;
    size_t from = bytes >= HARNESS_TEXT_BYTES ? bytes - HARNESS_TEXT_BYTES + 1 : 0;
    memcpy(out, text + from, bytes - from + 1);
    free(text);
}

int run_command(struct run *run, double seconds, const char *program, ...)
{
    char path[2][HARNESS_PATH_BYTES], *argv[HARNESS_ARGUMENTS];
    int fd[2];
    va_list args;
    va_start(args, program);
    collect(argv, program, args);
    va_end(args);
    for (int i = 0; i < 2; i++) {
        print(path[i], "%.900s/command.%s", run->dir, i ? "err" : "out");
        fd[i] = open(path[i], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd[i] < 0) fail_msg("cannot write %s", path[i]);
    }
    pid_t pid = start(argv, fd[0], fd[1]);
    close(fd[0]);
    close(fd[1]);
    int result = run_wait(pid, seconds);
    slurp(path[0], run->out);
    slurp(path[1], run->err);
    return result;
}

/* Arguments of a process as one text with a space after each; 0 where it is gone or a zombie. */
static int arguments_of(const char *pid, char *out, size_t bytes)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, out, bytes - 1);
    close(fd);
    if (n <= 0) return 0;
    for (ssize_t i = 0; i < n; i++)
        if (out[i] == '\0') out[i] = ' ';
    out[n] = '\0';
    return 1;
}

/* Whether it is a forked copy of its parent: one that opens a buffer which may be damaged is. */
static int is_a_copy(const char *pid, const char *arguments)
{
    char path[64], parent[32] = "", text[8192], line[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *file = fopen(path, "r");
    const char *end = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (file) fclose(file);
    if (!end || sscanf(end, ") %*c %20s", parent) != 1) return 0;
    return arguments_of(parent, text, sizeof text) && strcmp(text, arguments) == 0;
}

/* "trainer-main" is sluice-trainer with --consumer main. */
static void pattern_of(const char *name, char *program, char *option)
{
    const char *dash = strchr(name, '-');
    size_t length = dash ? (size_t)(dash - name) : strlen(name);
    option[0] = '\0';
    if (strcmp(name, "sluice") == 0) {
        strcpy(program, "/sluice ");
        return;
    }
    snprintf(program, 64, "/sluice-%.*s", (int)length, name);
    if (dash && strncmp(name, "capture", length) == 0)
        snprintf(option, 96, "--producer %s ", dash + 1);
    if (dash && strncmp(name, "trainer", length) == 0)
        snprintf(option, 96, "--consumer %s ", dash + 1);
}

static pid_t find(const struct run *run, const char *program, const char *option, int *count)
{
    char text[8192];
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    pid_t found = 0;
    while (proc && (entry = readdir(proc))) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
        if (!arguments_of(entry->d_name, text, sizeof text)) continue;
        if (!strstr(text, run->config) || !strstr(text, program) || !strstr(text, option)) continue;
        if (count) (*count)++;
        if (!is_a_copy(entry->d_name, text)) found = (pid_t)atol(entry->d_name);
    }
    if (proc) closedir(proc);
    return found;
}

pid_t run_process(const struct run *run, const char *name)
{
    char program[64], option[96];
    pattern_of(name, program, option);
    return find(run, program, option, NULL);
}

int run_kill(const struct run *run, const char *name)
{
    pid_t pid = run_process(run, name);
    return pid > 0 && kill(pid, SIGKILL) == 0;
}

pid_t run_await_process(const struct run *run, const char *name, double seconds)
{
    double until = harness_seconds() + seconds;
    pid_t pid;
    while ((pid = run_process(run, name)) == 0) {
        if (harness_seconds() > until) fail_msg("no process %s within %.0f s", name, seconds);
        harness_sleep(0.02);
    }
    return pid;
}

static void signal_to(const struct run *run, const char *name, int signal)
{
    if (kill(run_await_process(run, name, 60), signal) != 0) fail_msg("%s is gone", name);
}

void run_hold(const struct run *run, const char *name)
{
    signal_to(run, name, SIGSTOP);
}

void run_let_go(const struct run *run, const char *name)
{
    signal_to(run, name, SIGCONT);
}

int run_alive(const struct run *run)
{
    int count = 0;
    find(run, "/sluice", "", &count);
    return count;
}

/* ---- what a run leaves ---- */

json_t *run_summary(const struct run *run, const char *consumer)
{
    char below[128];
    size_t bytes;
    snprintf(below, sizeof below, "%s/summary.json", consumer);
    char *text = run_text(run, below, &bytes);
    json_t *summary = text ? json_loadb(text, bytes, 0, NULL) : NULL;
    free(text);
    return summary;
}

uint64_t run_drawn(const struct run *run, const char *consumer)
{
    char dir[HARNESS_PATH_BYTES];
    struct consumer_progress progress;
    print(dir, "%.900s/buffer", run->state);
    return consumer_progress_read(dir, consumer, &progress) == 0 ? progress.rows_drawn : 0;
}

void run_await_drawn(const struct run *run, const char *consumer, uint64_t rows, double seconds)
{
    double until = harness_seconds() + seconds;
    while (run_drawn(run, consumer) < rows) {
        if (harness_seconds() > until)
            fail_msg("%s has drawn %llu rows, not %llu, in %.0f s", consumer,
                     (unsigned long long)run_drawn(run, consumer), (unsigned long long)rows,
                     seconds);
        harness_sleep(0.01);
    }
}

double run_metric(const struct run *run, const char *process, const char *name)
{
    char below[128], line[256], *page = NULL;
    double value = -1;
    snprintf(below, sizeof below, "http/%s", process);
    snprintf(line, sizeof line, "\n%s ", name);
    char *address = run_text(run, below, NULL);
    if (address) address[strcspn(address, "\r\n")] = '\0';
    size_t bytes;
    if (address && fetch(address, "/metrics", 10000, &page, &bytes) == 0) {
        const char *at = strstr(page, line);
        if (at) value = strtod(at + strlen(line), NULL);
        free(page);
    }
    free(address);
    return value;
}

void run_await_metric(const struct run *run, const char *process, const char *name, double least)
{
    double until = harness_seconds() + 120, value;
    while ((value = run_metric(run, process, name)) < least) {
        if (harness_seconds() > until)
            fail_msg("%s of %s is %g, not %g", name, process, value, least);
        harness_sleep(0.02);
    }
}

int run_counts_are(const struct run *run, const char *consumer, uint64_t rows, unsigned reuse)
{
    json_t *summary = run_summary(run, consumer);
    if (!summary) {
        print_message("%s left no summary\n", consumer);
        return 0;
    }
    json_t *sae = json_array_get(json_object_get(summary, "saes"), 0);
    json_t *counters = json_object_get(sae, "counters"), *number;
    json_int_t counted = json_integer_value(json_object_get(sae, "counted_rows"));
    json_int_t held = json_integer_value(json_object_get(summary, "held_out_rows"));
    int good = counted > 0 && (uint64_t)(counted + held) == rows;
    if (!good)
        print_message("%s: %lld rows counted and %lld held out, not %llu\n", consumer,
                      (long long)counted, (long long)held, (unsigned long long)rows);
    const char *key;
    json_object_foreach(counters, key, number)
    {
        if (strtoul(key, NULL, 10) == reuse) continue;
        print_message("%s: %lld rows were trained on %s times, not %u\n", consumer,
                      (long long)json_integer_value(number), key, reuse);
        good = 0;
    }
    json_decref(summary);
    return good;
}
