/*
 * Logs for people and machines: logfmt lines on stderr, one write() a line, so that lines of
 * several threads and processes never mix. Never put row values, token ids or text of a corpus into
 * one.
 *
 * A process writes LOG_LINES_A_SECOND lines on the long run, and a few hundred at once: what is more
 * is left out and counted, whoever caused it (lines of the level debug are not: who asks for them
 * wants them). Where SLUICE_LOG_FILE names the file that stderr goes
 * to (`sluice up` sets it), the file becomes FILE.old, and another one begins, at LOG_FILE_BYTES.
 *
 *     time=2025-01-01T12:00:00.000Z level=info process=sink msg="frame refused" producer=1
 */
#ifndef SLUICE_RUNTIME_LOG_H
#define SLUICE_RUNTIME_LOG_H

#include <stddef.h>
#include <stdint.h>

enum { LOG_LINES_A_SECOND = 50, LOG_LINES_AT_ONCE = 500, LOG_FILE_BYTES = 8 << 20 };
enum { LOG_ERRORS_KEPT = 200 }; /* lines for errors, which no flood of other lines takes */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Name the process (copied, 63 bytes) and the lowest level that is shown. Colour only where stderr
 * is a terminal and NO_COLOR is not set. Before it: level info, process "sluice". */
void log_open(const char *process, enum log_level level);
/* "debug", "info", "warn", "error" to a level; ERR_USAGE. */
int log_level_parse(const char *text, enum log_level *level);

/* The last line of the level error that this process has written, without its time: the message and its
 * fields, cut where it is too long. */
struct log_last {
    uint64_t number; /* how many there were; 0: none */
    uint64_t ns;     /* when, by CLOCK_MONOTONIC */
    char text[320];
};
/* From any thread. */
void log_last_error(struct log_last *last);

struct log_field {
    const char *key;
    enum { LOG_END_FIELD, LOG_STRING, LOG_SIGNED, LOG_UNSIGNED, LOG_REAL } type;
    union {
        const char *s;
        int64_t i;
        uint64_t u;
        double d;
    };
};
#define LOG_S(k, v) ((struct log_field){.key = (k), .type = LOG_STRING, .s = (v)})
#define LOG_I(k, v) ((struct log_field){.key = (k), .type = LOG_SIGNED, .i = (v)})
#define LOG_U(k, v) ((struct log_field){.key = (k), .type = LOG_UNSIGNED, .u = (v)})
#define LOG_D(k, v) ((struct log_field){.key = (k), .type = LOG_REAL, .d = (v)})

/* A line with fields: log_event(LOG_INFO, "frame refused", LOG_U("producer", 1), LOG_S("why", s)).
 * Values are quoted and escaped where logfmt needs it. From any thread; never fails. */
#define log_event(level, msg, ...)                                                                 \
    log_write((level), (msg), (const struct log_field[]){__VA_ARGS__, {.type = LOG_END_FIELD}})
void log_write(enum log_level level, const char *msg, const struct log_field *fields);

/* A line with a printf message and no fields. */
void log_printf(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_debug(...) log_printf(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_printf(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_printf(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_printf(LOG_ERROR, __VA_ARGS__)

/* For lines that a peer can cause: log_allowed() is true at most once a second for each limit, and
 * leaves in `suppressed` how many were held back since. A static struct of zeros is a fresh limit;
 * one limit belongs to one thread.
 *     if (log_allowed(&limit)) log_event(LOG_WARN, ..., LOG_U("suppressed", limit.suppressed)); */
struct log_limit {
    uint64_t last_ns;
    uint64_t held_back;
    uint64_t suppressed;
};
int log_allowed(struct log_limit *limit);

#endif
