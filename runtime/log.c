#include "runtime/log.h"

#include "base/err.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 2048, PREFIX_BYTES = 256, TEXT_BYTES = 1200 };
enum { END_BYTES = 16 }; /* kept free for the ends of quotes and of the line */

static struct {
    char process[64];
    enum log_level level;
    int colour;
} state = {.process = "sluice", .level = LOG_INFO};

static const char *const names[] = {"debug", "info", "warn", "error"};
static const char *const colours[] = {"\033[2m", "", "\033[33m", "\033[31m"};

void log_open(const char *process, enum log_level level)
{
    const char *no_colour = getenv("NO_COLOR");
    snprintf(state.process, sizeof state.process, "%s", process);
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

void log_write(enum log_level level, const char *msg, const struct log_field *fields)
{
    if (level < state.level) return;
    struct line line = {.used = 0};
    put_prefix(&line, level);
    put_value(&line, msg);
    for (; fields && fields->type != LOG_END_FIELD; fields++) put_field(&line, fields);
    line.text[line.used++] = '\n';
    /* One write a line keeps lines whole; a stderr that is gone is nobody's failure. */
    ssize_t ignored = write(STDERR_FILENO, line.text, line.used);
    (void)ignored;
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
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (limit->last_ns && ns - limit->last_ns < 1000000000u) {
        limit->held_back++;
        return 0;
    }
    limit->last_ns = ns;
    limit->suppressed = limit->held_back;
    limit->held_back = 0;
    return 1;
}
