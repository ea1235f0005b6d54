#include "cli/up.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fileio.h"
#include "base/limits.h"
#include "base/own.h"
#include "cli/children.h"
#include "cli/disk.h"
#include "cli/display.h"
#include "cli/fresh.h"
#include "cli/lock.h"
#include "cli/part.h"
#include "cli/preflight.h"
#include "cli/report.h"
#include "cli/tail.h"
#include "cli/targets.h"
#include "config/address.h"
#include "runtime/link.h"
#include "runtime/site.h"
#include "wiring/source.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TICK_MS = 50,
    LOOK_MS = 1000,
    QUIET_MS = 2000,         /* of an end that nothing is said about */
    DRAIN_MS = 12000,        /* after which a child is killed: its own limit is ten seconds */
    LINGER_MS = 5000,        /* beyond the three seconds that the sink itself does */
    CAPTURE_DRAIN_MS = 6000, /* which the sink waits for captures to leave */
    LOG_KEEP_BYTES = 8 << 20,
    LOG_LINES = 8,
    LEAST_FILES = 32,  /* of this process: a lock, pipes, folders in each other, ZeroMQ */
    PROBE_THREADS = 2, /* of ZeroMQ */
    CUT_OFF_LOOKS = 4, /* status reports lag by a second or two */
};

struct up {
    const struct options *options;
    const struct config *config;
    up_report *report;
    struct part part;
    struct children children;
    struct ask *ask;        /* the broker */
    struct targets targets; /* for Prometheus */
    struct display display;
    struct site site;
    int is_gone; /* what it is at work in */
    int64_t look_ms;
    int asked;         /* signals that were obeyed */
    int cut_off_looks; /* status reports since all captures ended, the stream not */
};

static volatile sig_atomic_t signals;

static void on_signal(int signal)
{
    (void)signal;
    signals++;
}

/* What those that ask for an end do. */
static void answer_signals(void (*handler)(int signal))
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

/* ---- what a run is made of ---- */

static int program_path(const char *name, char *out)
{
    ssize_t n = readlink("/proc/self/exe", out, CONFIG_PATH_BYTES - 64);
    if (n <= 0) return err_set(ERR_IO, "cannot tell where sluice lies: %s", strerror(errno));
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    snprintf(slash + 1, 63, "%s", name);
    if (access(out, X_OK) != 0)
        return err_set(ERR_NOTFOUND, "there is no %s; HINT: build or install all five programs",
                       out);
    return ERR_OK;
}

/* A log that has grown large makes room for a new one. */
static int log_path(const struct up *up, const char *name, char *out)
{
    char old[CONFIG_PATH_BYTES + 8];
    struct stat st;
    int result = config_log_file(up->config, name, out);
    if (result != ERR_OK) return result;
    snprintf(old, sizeof old, "%s.old", out);
    if (lstat(out, &st) == 0 && st.st_size > LOG_KEEP_BYTES && rename(out, old) != 0)
        return file_error("cannot rename", out);
    return ERR_OK;
}

static int add(struct up *up, enum process_kind kind, const char *which)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    char path[CONFIG_PATH_BYTES], log[CONFIG_PATH_BYTES], name[128];
    const char *arguments[CHILD_MAX_ARGUMENTS];
    size_t n = 0;
    processes_name(kind, which, name, sizeof name);
    int result = program_path(processes_program(kind), path);
    if (result == ERR_OK) result = log_path(up, name, log);
    if (result != ERR_OK) return result;
    arguments[n++] = path;
    arguments[n++] = up->options->file;
    for (size_t i = 0; i < up->options->sets_count; i++) {
        arguments[n++] = "--set";
        arguments[n++] = up->options->sets[i];
    }
    arguments[n++] = "--log-level";
    arguments[n++] = levels[up->options->log_level];
    if (processes_option(kind)) {
        arguments[n++] = processes_option(kind);
        arguments[n++] = which;
    }
    arguments[n] = NULL;
    return children_add(&up->children, kind, name, arguments, log,
                        kind == PROCESS_CAPTURE && config_reads_stdin(up->config));
}

static int add_all(struct up *up)
{
    int result = ERR_OK;
    for (int k = 0; k < PROCESS_KINDS; k++) {
        enum process_kind kind = (enum process_kind)k;
        uint32_t count = up->part.has[kind] ? processes_count(up->config, kind) : 0;
        for (uint32_t i = 0; i < count && result == ERR_OK; i++) {
            char buffer[16], name[128];
            const char *which = processes_which(up->config, kind, i, buffer);
            processes_name(kind, which, name, sizeof name);
            if (part_has(&up->part, kind, name)) result = add(up, kind, which);
        }
    }
    return result;
}

/* ---- what is seen while it runs ---- */

/* One line for each child that is to be started again. */
static void tell_restarts(struct up *up, int64_t at_ms)
{
    for (size_t i = 0; i < up->children.count; i++) {
        struct child *child = &up->children.child[i];
        char how[64];
        if (child->restarts_told == child->restarts) continue;
        child->restarts_told = child->restarts;
        child_death(child, how, sizeof how);
        double pause = child->start_ms > at_ms ? (double)(child->start_ms - at_ms) / 1000 : 0;
        display_tell(&up->display,
                     "sluice: %s ended with %s and is started again in %.1f s; its log is %s",
                     child->name, how, pause, child->log_file);
    }
}

/* Once a second: ask, and show. Returns whether it was time. */
static int look(struct up *up, int64_t at_ms)
{
    struct snapshot snapshot;
    json_t *status;
    if (at_ms < up->look_ms) {
        display_show(&up->display, &up->children); /* the terminal may have become another */
        return 0;
    }
    up->look_ms = at_ms + LOOK_MS;
    if (snapshot_ask(up->config, up->ask, &status) == ERR_OK) {
        snapshot_read(status, &snapshot);
        snapshot_take_files(up->config, &snapshot);
        json_decref(status);
        display_take(&up->display, &snapshot);
        up->cut_off_looks++;
    }
    display_tell_page(&up->display);
    display_show(&up->display, &up->children);
    return 1;
}

static int is_one_waiting(const struct up *up)
{
    for (size_t i = 0; i < up->children.count; i++)
        if (up->children.child[i].phase == CHILD_WAITING) return 1;
    return 0;
}

/* Before what became of the processes, which come to the same end by it. */
static int judge_site(struct up *up, int result, int looked)
{
    if (result == ERR_OK && looked) result = site_check(&up->site);
    if (result == ERR_OK && !is_one_waiting(up)) return ERR_OK;
    int gone = site_check_now(&up->site);
    up->is_gone = gone != ERR_OK;
    return up->is_gone ? gone : result;
}

/* What is known, for the judgement of deaths. */
static struct child_progress progress_of(const struct up *up)
{
    const struct snapshot *s = &up->display.progress.last;
    struct child_progress p = {.answers = up->display.progress.snapshots};
    if (p.answers == 0) return p;
    double sum =
        (s->stored_rows > 0 ? s->stored_rows : 0) + (s->trained_rows > 0 ? s->trained_rows : 0);
    p.moved = (uint64_t)sum;
    return p;
}

/* ---- ending ---- */

static void tell_all(struct up *up, int signal)
{
    for (int role = 0; role < PROCESS_KINDS; role++)
        children_signal(&up->children, (enum process_kind)role, signal);
}

static size_t running(const struct up *up)
{
    size_t n = 0;
    for (int role = 0; role < PROCESS_KINDS; role++)
        n += children_running(&up->children, (enum process_kind)role);
    return n;
}

/* Who is waited for, once that has taken a while. */
static void show_ending(struct up *up, int64_t begin_ms, const char *what)
{
    static const char *const words[PROCESS_KINDS] = {[PROCESS_CAPTURE] = "captures",
                                                     [PROCESS_BROKER] = "broker",
                                                     [PROCESS_SINK] = "sink",
                                                     [PROCESS_TRAINER] = "trainers"};
    char text[128];
    size_t used = (size_t)snprintf(text, sizeof text, "%s", what);
    if (clock_steady_ms() < begin_ms + QUIET_MS) return;
    for (int role = 0; role < PROCESS_KINDS && used < sizeof text; role++) {
        if (children_running(&up->children, (enum process_kind)role) == 0) continue;
        int is_first = text[used - 1] == ':';
        used += (size_t)snprintf(text + used, sizeof text - used, "%s %s", is_first ? "" : ",",
                                 words[role]);
    }
    display_show_ending(&up->display, text);
}

/* Captures and trainers first; then the sink, which commits what captures have under way; then the
 * broker. A second signal, or DRAIN_MS, kills. */
static void drain(struct up *up)
{
    int64_t begin_ms = clock_steady_ms(), until_ms = begin_ms + DRAIN_MS;
    int told_sink = 0, told_broker = 0, killed = 0, at_start = signals;
    up->children.stopping = 1;
    children_signal(&up->children, PROCESS_CAPTURE, SIGTERM);
    children_signal(&up->children, PROCESS_TRAINER, SIGTERM);
    while (running(up) > 0) {
        children_tend(&up->children, clock_steady_ms(), &(struct child_progress){0});
        if (!told_sink && (children_running(&up->children, PROCESS_CAPTURE) == 0 ||
                           clock_steady_ms() > begin_ms + CAPTURE_DRAIN_MS)) {
            children_signal(&up->children, PROCESS_SINK, SIGTERM);
            told_sink = 1;
        }
        if (!told_broker && running(up) == children_running(&up->children, PROCESS_BROKER)) {
            children_signal(&up->children, PROCESS_BROKER, SIGTERM);
            told_broker = 1;
        }
        if (!killed && (signals > at_start || clock_steady_ms() > until_ms)) {
            tell_all(up, SIGKILL);
            killed = 1;
        }
        show_ending(up, begin_ms, "ending, waits for:");
        poll(NULL, 0, TICK_MS);
    }
    display_end(&up->display);
}

/* What the child that was given up says, as the last line of all; `text` where it says nothing. */
static int blame(const struct up *up, int result, const char *text)
{
    char message[TAIL_MESSAGE_BYTES], notice[512];
    for (size_t i = 0; i < up->children.count; i++) {
        const struct child *child = &up->children.child[i];
        if (child->phase != CHILD_GIVEN_UP) continue;
        tail_error(child->log_file, child->log_from, message, sizeof message);
        fprintf(stderr, "sluice: %s; the last lines of %s:\n", text, child->log_file);
        tail_print(child->log_file, LOG_LINES, "    ", stderr);
        if (disk_notice(up->config, &up->display.progress.last, notice, sizeof notice))
            fprintf(stderr, "sluice: %s\n", notice);
        if (message[0]) return err_set(result, "%s: %s", child->name, message);
    }
    return err_set(result, "%s", text);
}

static int has_all_captures(const struct up *up)
{
    size_t count = 0;
    for (size_t i = 0; i < up->children.count; i++)
        count += up->children.child[i].role == PROCESS_CAPTURE;
    return count == processes_count(up->config, PROCESS_CAPTURE);
}

/* Captures of other hosts hear of the end from the sink, and after it from the broker. */
static void linger(struct up *up)
{
    int64_t begin_ms = clock_steady_ms(), until_ms = begin_ms + LINGER_MS;
    if (has_all_captures(up) || !up->part.has[PROCESS_SINK]) return;
    while (clock_steady_ms() < until_ms && signals == up->asked) {
        children_tend(&up->children, clock_steady_ms(), &(struct child_progress){0});
        show_ending(up, begin_ms, "ended, captures of other hosts hear of it from:");
        poll(NULL, 0, TICK_MS);
    }
}

/* All captures have ended with 0, and for some seconds the sink has said that the stream has
 * not. */
static int is_cut_off(struct up *up)
{
    const struct snapshot *s = &up->display.progress.last;
    if (!has_all_captures(up) || children_left(&up->children, PROCESS_CAPTURE) > 0 ||
        up->display.progress.snapshots == 0 || s->sinks == 0 ||
        !(s->ended_producers < s->producers)) {
        up->cut_off_looks = 0;
        return 0;
    }
    return up->cut_off_looks >= CUT_OFF_LOOKS;
}

/* Each by itself: the others may be waiting for one, as the buffer is full. */
static void revive_trainers(struct up *up)
{
    struct children *c = &up->children;
    for (size_t i = 0; i < c->count; i++) {
        if (c->child[i].role != PROCESS_TRAINER) continue;
        const char *name = processes_which_of(c->child[i].name);
        if (c->child[i].phase == CHILD_DONE && !report_consumer_finished(up->config, name))
            child_revive(&c->child[i], clock_steady_ms());
    }
}

/* Who ends with 0 has done its part, or was told to end by somebody else: then it is needed
 * again. */
static void revive(struct up *up)
{
    struct children *c = &up->children;
    int drawn = report_all_drawn(up->config);
    if (is_cut_off(up) && !drawn) {
        children_revive(c, PROCESS_CAPTURE, clock_steady_ms());
        up->cut_off_looks = 0;
    }
    revive_trainers(up);
    size_t left = children_left(c, PROCESS_CAPTURE) + children_left(c, PROCESS_TRAINER);
    if (left > 0 && !drawn) children_revive(c, PROCESS_SINK, clock_steady_ms());
    if (left > 0) children_revive(c, PROCESS_BROKER, clock_steady_ms());
}

/* Captures and trainers end by themselves. Where this host has none of them, the sink does; a
 * broker alone serves until it is told to stop. */
static int all_ended(const struct up *up)
{
    int has_ends = up->part.has[PROCESS_CAPTURE] || up->part.has[PROCESS_TRAINER];
    if (!has_ends)
        return up->part.has[PROCESS_SINK] && children_left(&up->children, PROCESS_SINK) == 0;
    return children_left(&up->children, PROCESS_CAPTURE) == 0 &&
           children_left(&up->children, PROCESS_TRAINER) == 0;
}

/* Until all rows are captured and trained on, a signal, or a failure. */
static int watch(struct up *up)
{
    int result = ERR_OK;
    while (result == ERR_OK && signals == up->asked) {
        struct child_progress progress = progress_of(up);
        result = children_tend(&up->children, clock_steady_ms(), &progress);
        int looked = look(up, clock_steady_ms());
        result = judge_site(up, result, looked);
        if (!up->is_gone) tell_restarts(up, clock_steady_ms());
        if (result == ERR_OK && looked) targets_look(&up->targets, &up->children);
        if (result == ERR_OK && (looked || all_ended(up))) revive(up);
        if (result == ERR_OK && all_ended(up)) break;
        if (result == ERR_OK) poll(NULL, 0, TICK_MS);
    }
    return result;
}

static int conclude(struct up *up, int result)
{
    char text[1024];
    snprintf(text, sizeof text, "%s", err_text());
    int stopped = signals > up->asked;
    up->asked = signals;
    display_end(&up->display);
    if (stopped && result == ERR_OK) fprintf(stderr, "sluice: stopping; once more: at once\n");
    if (!stopped && result == ERR_OK) linger(up);
    drain(up);
    if (up->is_gone) return err_set(result, "%s", text);
    if (result != ERR_OK) return blame(up, result, text);
    if (stopped && !report_finished(up->config)) {
        report_left_out(up->config, stderr);
        fprintf(stderr, "sluice: stopped; run the same command again to go on\n");
        return ERR_OK;
    }
    char time[24];
    progress_time(display_seconds(&up->display), time, sizeof time);
    if (!up->part.has[PROCESS_TRAINER]) {
        printf("This host's part of the stream %s is done, after %s.\n", up->config->stream.name,
               time);
        return ERR_OK;
    }
    printf("Stream %s is finished, after %s.\n\n", up->config->stream.name, time);
    targets_close(&up->targets, 1); /* whatever becomes of the report */
    answer_signals(SIG_DFL);        /* there is nothing left to drain */
    return up->report(up->config, stdout);
}

/* Otherwise our sink and captures would serve the other's stream, till our broker has failed. */
static int broker_finds_its_addresses(const struct up *up)
{
    int result = limits_threads(PROBE_THREADS, "ZeroMQ");
    for (enum config_socket s = CONFIG_FRONT; s <= CONFIG_BACK && result == ERR_OK; s++) {
        char endpoint[CONFIG_PATH_BYTES];
        result = config_endpoint(up->config, s, endpoint);
        if (result == ERR_OK && address_is_tcp(endpoint)) result = link_address_is_free(endpoint);
    }
    return result;
}

static int run(struct up *up)
{
    char log_dir[CONFIG_PATH_BYTES + 8];
    snprintf(log_dir, sizeof log_dir, "%s/log", up->config->run_dir);
    char parents[512];
    if (own_parents(up->config->run_dir, parents, sizeof parents) == ERR_OK && parents[0])
        fprintf(stderr, "sluice: WARNING: %s\n", parents);
    int result = site_open(&up->site, up->config);
    if (result == ERR_OK) result = own_make(log_dir, 0);
    if (result == ERR_OK) result = children_init(&up->children, up->config->up.restart);
    if (result != ERR_OK) return result;
    result = add_all(up);
    if (result == ERR_OK && up->part.has[PROCESS_BROKER]) result = broker_finds_its_addresses(up);
    if (result == ERR_OK) result = snapshot_open(up->config, &up->ask);
    if (result == ERR_OK)
        result = targets_open(&up->targets, options_get(up->options, "prometheus"), up->config,
                              &up->children);
    if (result == ERR_OK) {
        answer_signals(on_signal);
        signal(SIGPIPE, SIG_IGN);
        display_open(&up->display, up->config);
        result = watch(up);
        result = conclude(up, result);
    }
    targets_close(&up->targets, result == ERR_OK);
    children_fini(&up->children);
    ask_close(up->ask);
    site_close(&up->site);
    return result;
}

int up_run(const struct options *options, const struct config *config, up_report *report)
{
    static struct up up; /* large */
    up = (struct up){.options = options, .config = config, .report = report};
    site_init(&up.site);
    const char *fresh = options_get(options, "fresh");
    limits_raise_files();
    int lock, result = limits_files(LEAST_FILES, "sluice up");
    if (result == ERR_OK) result = part_parse(config, options_get(options, "only"), &up.part);
    if (result == ERR_OK && (fresh || !report_finished(config)))
        result = preflight(config, &up.part);
    if (result == ERR_OK) result = lock_take(config, &lock);
    if (result != ERR_OK) return result;
    if (fresh) result = fresh_start(config);
    if (result == ERR_OK && report_finished(config)) {
        printf("Stream %s is finished already, with the configuration of that time; "
               "`sluice %s --fresh` starts it over.\n\n",
               config->stream.name, options->command->name);
        result = targets_clear(options_get(options, "prometheus"), config);
        if (result == ERR_OK) result = report(config, stdout);
    } else if (result == ERR_OK) {
        result = run(&up);
    }
    close(lock);
    return result;
}

int up_command(const struct options *options, const struct config *config)
{
    return up_run(options, config, report_print);
}
