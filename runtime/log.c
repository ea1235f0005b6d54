#include "runtime/log.h"

#include "base/clock.h"
#include "base/err.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 2048, PREFIX_BYTES = 256, TEXT_BYTES = 1200 };
enum { END_BYTES = 16 }; /* kept free for the ends of quotes and of the line */

static struct {
    char process[64];
    enum log_level level;
    int colour;
    char file[PATH_MAX];  /* that stderr goes to; "": it is not ours to begin anew */
    pthread_mutex_t lock; /* over what follows */
    double lines;         /* that may be written at once */
    uint64_t filled_ns;   /* when that was counted */
    uint64_t left_out;
    struct log_last last;
} state = {.process = "sluice",
           .level = LOG_INFO,
           .lock = PTHREAD_MUTEX_INITIALIZER,
           .lines = LOG_LINES_AT_ONCE};

static const char *const names[] = {"debug", "info", "warn", "error"};
static const char *const colours[] = {"\033[2m", "", "\033[33m", "\033[31m"};

void log_open(const char *process, enum log_level level)
{
    const char *no_colour = getenv("NO_COLOR");
    snprintf(state.process, sizeof state.process, "%s", process);
    const char *file = getenv("SLUICE_LOG_FILE");
    snprintf(state.file, sizeof state.file, "%s", file ? file : "");
    state.level = level;
    state.colour = isatty(STDERR_FILENO) && !(no_colour && no_colour[0]);
}

int log_level_parse(const char *text, enum log_level *level)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            *level = (enum log_level)i;
            return ERR_OK;
        }
    return err_set(ERR_USAGE, "'%.40s' is not a log level; it is one of debug, info, warn, error",
                   text);
}

/* A line under construction; what does not fit is cut. */
struct line {
    char text[LINE_BYTES];
    size_t used;
};

static void put(struct line *line, const char *text, size_t bytes)
{
    size_t limit = sizeof line->text - END_BYTES;
    size_t room = line->used < limit ? limit - line->used : 0;
    if (bytes > room) bytes = room;
    memcpy(line->text + line->used, text, bytes);
    line->used += bytes;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* A value: bare where it has no space, quote, equals sign or control character. */
static void put_value(struct line *line, const char *value)
{
    int bare = value[0] != '\0';
    for (const unsigned char *p = (const unsigned char *)value; *p && bare; p++)
        bare = *p > ' ' && *p != '"' && *p != '=' && *p != '\\' && *p != 0x7f;
    if (bare) {
        put_text(line, value);
        return;
    }
    put(line, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
        char escaped[8];
        if (*p == '"' || *p == '\\') {
            snprintf(escaped, sizeof escaped, "\\%c", *p);
        } else if (*p == '\n') {
            snprintf(escaped, sizeof escaped, "\\n");
        } else if (*p < ' ' || *p == 0x7f) {
            snprintf(escaped, sizeof escaped, "\\x%02x", *p);
        } else {
            snprintf(escaped, sizeof escaped, "%c", *p);
        }
        put_text(line, escaped);
    }
    line->text[line->used++] = '"'; /* put() keeps room for it */
}

static void put_field(struct line *line, const struct log_field *field)
{
    char number[40];
    put(line, " ", 1);
    put_text(line, field->key);
    put(line, "=", 1);
    switch (field->type) {
    case LOG_STRING:
        put_value(line, field->s ? field->s : "");
        return;
    case LOG_SIGNED:
        snprintf(number, sizeof number, "%" PRId64, field->i);
        break;
    case LOG_UNSIGNED:
        snprintf(number, sizeof number, "%" PRIu64, field->u);
        break;
    default:
        snprintf(number, sizeof number, "%.6g", field->d);
    }
    put_text(line, number);
}

static void put_prefix(struct line *line, enum log_level level)
{
    char text[PREFIX_BYTES], when[32];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, sizeof text, "time=%s.%03ldZ level=%s%s%s process=%s msg=", when,
             now.tv_nsec / 1000000, state.colour ? colours[level] : "", names[level],
             state.colour ? "\033[0m" : "", state.process);
    put_text(line, text);
}

static void write_line(enum log_level level, const char *msg, const struct log_field *fields)
{
    struct line line = {.used = 0};
    put_prefix(&line, level);
    put_value(&line, msg);
    for (; fields && fields->type != LOG_END_FIELD; fields++) put_field(&line, fields);
    line.text[line.used++] = '\n';
    /* One write a line keeps lines whole; a stderr that is gone is nobody's failure. */
    ssize_t ignored = write(STDERR_FILENO, line.text, line.used);
    (void)ignored;
}

/* Whether one line more may be written: *left_out were not, since the last one. */
static int may_write(enum log_level level, uint64_t *left_out)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    pthread_mutex_lock(&state.lock);
    if (state.filled_ns) state.lines += (double)(now - state.filled_ns) / 1e9 * LOG_LINES_A_SECOND;
    if (state.lines > LOG_LINES_AT_ONCE) state.lines = LOG_LINES_AT_ONCE;
    state.filled_ns = now;
    int may = state.lines >= (level == LOG_ERROR ? -LOG_ERRORS_KEPT : 1);
    state.lines -= may;
    state.left_out += !may;
    *left_out = may ? state.left_out : 0;
    if (may) state.left_out = 0;
    pthread_mutex_unlock(&state.lock);
    return may;
}

/* The file has grown: it is kept as FILE.old, and what is written goes into a new one. */
static void begin_anew(void)
{
    char old[PATH_MAX + 8], new[PATH_MAX + 8];
    struct stat st, now;
    if (!state.file[0] || fstat(STDERR_FILENO, &st) != 0 || st.st_size < LOG_FILE_BYTES) return;
    if (lstat(state.file, &now) != 0 || now.st_ino != st.st_ino || now.st_dev != st.st_dev) return;
    snprintf(old, sizeof old, "%s.old", state.file);
    snprintf(new, sizeof new, "%s.new", state.file);
    int fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return; /* it grows on, and the next line tries again */
    if (rename(state.file, old) != 0 || rename(new, state.file) != 0) {
        close(fd);
        return;
    }
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

static void keep_last(const char *msg, const struct log_field *fields)
{
    struct line line = {.used = 0};
    put_text(&line, msg);
    for (; fields && fields->type != LOG_END_FIELD; fields++) put_field(&line, fields);
    line.text[line.used] = '\0';
    pthread_mutex_lock(&state.lock);
    state.last.number++;
    state.last.ns = clock_ns(CLOCK_MONOTONIC);
    snprintf(state.last.text, sizeof state.last.text, "%.*s", (int)sizeof state.last.text - 1,
             line.text);
    pthread_mutex_unlock(&state.lock);
}

void log_last_error(struct log_last *last)
{
    pthread_mutex_lock(&state.lock);
    *last = state.last;
    pthread_mutex_unlock(&state.lock);
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields)
{
    uint64_t left_out = 0;
    if (level == LOG_ERROR) keep_last(msg, fields);
    if (level < state.level) return;
    if (level > LOG_DEBUG && !may_write(level, &left_out)) return;
    pthread_mutex_lock(&state.lock);
    begin_anew();
    pthread_mutex_unlock(&state.lock);
    if (left_out) {
        const struct log_field lines[] = {LOG_U("lines", left_out), {.type = LOG_END_FIELD}};
        write_line(LOG_WARN, "lines were left out: there were too many at once", lines);
    }
    write_line(level, msg, fields);
}

void log_printf(enum log_level level, const char *fmt, ...)
{
    if (level < state.level) return;
    char text[TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    log_write(level, text, NULL);
}

int log_allowed(struct log_limit *limit)
{
    uint64_t ns = clock_ns(CLOCK_MONOTONIC);
    if (limit->last_ns && ns - limit->last_ns < 1000000000u) {
        limit->held_back++;
        return 0;
    }
    limit->last_ns = ns;
    limit->suppressed = limit->held_back;
    limit->held_back = 0;
    return 1;
}
