#include "cli/display.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/own.h"
#include "cli/disk.h"
#include "cli/finish.h"
#include "cli/shown.h"
#include "cli/tail.h"
#include "proto/report.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    LINE_MS = 1000,
    PIPED_LINE_MS = 10000, /* where nobody looks at a terminal */
    UNKNOWN_COLUMNS = 80,  /* of a terminal that does not say */
    LEAST_COLUMNS = 12,
    LINE_BYTES = 8192,
    ADDRESS_BYTES = 256,
};

static volatile sig_atomic_t has_resized;

static void on_resize(int signal)
{
    (void)signal;
    has_resized = 1;
}

static int is_dumb(void)
{
    const char *terminal = getenv("TERM");
    return terminal && strcmp(terminal, "dumb") == 0;
}

/* What is there already is of an earlier run. */
static int page_file(const struct config *config, char *path, struct stat *st)
{
    return config_http_file(config, "broker", path) == ERR_OK && lstat(path, st) == 0;
}

void display_open(struct display *d, const struct config *config)
{
    char path[CONFIG_PATH_BYTES];
    int wanted = config->up.progress;
    *d = (struct display){.config = config, .started_ms = clock_steady_ms()};
    d->is_terminal = isatty(STDERR_FILENO) && !getenv("SLUICE_PLAIN") && !is_dumb();
    d->colour = d->is_terminal && shown_colour(stderr);
    d->line_every_ms = d->is_terminal || wanted == 1 ? LINE_MS : PIPED_LINE_MS;
    if (wanted == 0) d->line_every_ms = 0;
    if (!page_file(config, path, &d->page)) d->page = (struct stat){0};
    struct sigaction action = {.sa_handler = on_resize, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (d->is_terminal) sigaction(SIGWINCH, &action, NULL);
}

double display_seconds(const struct display *d)
{
    return (double)(clock_steady_ms() - d->started_ms) / 1000;
}

void display_take(struct display *d, const struct snapshot *s)
{
    double seconds = display_seconds(d);
    progress_update(&d->progress, s, seconds);
    stage_update(&d->stage, d->config, s, seconds);
}

/* ---- the line ---- */

/* The last column stays free: a terminal that is full there may go on in the next row. */
static int columns(const struct display *d)
{
    struct winsize size;
    if (!d->is_terminal) return 0;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || !size.ws_col) return UNKNOWN_COLUMNS - 1;
    return (size.ws_col < LEAST_COLUMNS ? LEAST_COLUMNS : size.ws_col) - 1;
}

static void write_line(struct display *d, struct line *line)
{
    char text[LINE_BYTES];
    line_text(line, columns(d), d->colour, text, sizeof text);
    fprintf(stderr, d->is_terminal ? "\r%s\033[K" : "%s\n", text);
    fflush(stderr);
    d->is_line_there = d->is_terminal;
}

static int is_due(struct display *d)
{
    int64_t now_ms = clock_steady_ms();
    if (!d->line_every_ms || (now_ms < d->line_ms && !has_resized)) return 0;
    has_resized = 0;
    d->line_ms = now_ms + d->line_every_ms;
    return 1;
}

static void add_time(const struct display *d, struct line *line)
{
    char time[24];
    progress_time(display_seconds(d), time, sizeof time);
    line_add(line, LINE_COLUMN, LINE_ALWAYS, LINE_SOFT, "%s", time);
}

/* What must be seen first: a full disk, or that the numbers are old. */
static void add_notice(struct display *d, struct line *line)
{
    struct progress *p = &d->progress;
    double silent_seconds = display_seconds(d) - p->last_seconds;
    char finishing[16], disk[512];
    finish_notice(d->config, finishing, sizeof finishing);
    p->is_finishing = finishing[0] != 0;
    if (disk_notice(d->config, &p->last, disk, sizeof disk))
        line_add(line, LINE_COLUMN, LINE_ALWAYS, LINE_TROUBLE, "%s", disk);
    else if (silent_seconds > REPORT_SILENT_SECONDS)
        line_add(line, LINE_COLUMN, LINE_ALWAYS, LINE_TROUBLE,
                 "no answer from the broker for %.0f s", silent_seconds);
    else
        line_add(line, LINE_COLUMN, LINE_ALWAYS, LINE_STRONG, "%s", finishing);
}

/* What the slowest to start says. */
static void log_message(const struct children *children, char *out, size_t bytes)
{
    out[0] = '\0';
    for (size_t i = 0; i < children->count && !out[0]; i++) {
        const struct child *child = &children->child[i];
        if (child->role == PROCESS_CAPTURE)
            tail_message(child->log_file, child->log_from, out, bytes);
    }
}

void display_show(struct display *d, const struct children *children)
{
    static struct line line; /* large */
    char message[TAIL_MESSAGE_BYTES] = "";
    if (!is_due(d)) return;
    line = (struct line){0};
    if (d->progress.snapshots == 0) stage_update(&d->stage, d->config, NULL, display_seconds(d));
    if (stage_is_named(&d->stage)) log_message(children, message, sizeof message);
    add_time(d, &line);
    add_notice(d, &line);
    stage_pieces(&d->stage, d->config, message, d->is_terminal, &line);
    if (d->progress.snapshots > 0) progress_pieces(&d->progress, d->is_terminal, &line);
    write_line(d, &line);
}

void display_show_ending(struct display *d, const char *what)
{
    static struct line line; /* large */
    if (!is_due(d)) return;
    line = (struct line){0};
    add_time(d, &line);
    line_add(&line, LINE_COLUMN, LINE_ALWAYS, LINE_STRONG, "%s", what);
    write_line(d, &line);
}

/* ---- sentences ---- */

void display_tell(struct display *d, const char *format, ...)
{
    va_list args;
    if (d->is_line_there) fputs("\r\033[K", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    d->is_line_there = 0;
    if (d->is_terminal) d->line_ms = 0; /* the line comes back below */
}

static int is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void display_tell_page(struct display *d)
{
    char path[CONFIG_PATH_BYTES], *address;
    size_t bytes;
    struct stat st;
    if (!page_file(d->config, path, &st) || is_same_file(&st, &d->page)) return;
    if (own_read(path, ADDRESS_BYTES, &address, &bytes) != ERR_OK) return;
    d->page = st;
    address[strcspn(address, "\n")] = '\0';
    if (address[0]) display_tell(d, "live page: http://%s/", address);
    free(address);
}

void display_end(struct display *d)
{
    if (d->is_line_there) fputc('\n', stderr);
    d->is_line_there = 0;
}
