#include "cli/pace.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { QUIET_SECONDS = 2 };

int pace_due(struct pace *p, int seconds, int is_last)
{
    time_t now = time(NULL);
    if (!p->begun) p->begun = now;
    return now - p->begun >= QUIET_SECONDS && (is_last || now - p->told >= seconds);
}

void pace_tell(struct pace *p, int is_last, const char *format, ...)
{
    int is_terminal = isatty(STDERR_FILENO);
    va_list args;
    p->told = time(NULL);
    p->is_over = !is_terminal || is_last;
    if (is_terminal) fputc('\r', stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs(p->is_over ? "\n" : "\033[K", stderr);
}

double pace_seconds(const struct pace *p)
{
    double seconds = difftime(time(NULL), p->begun);
    return seconds < 1 ? 1 : seconds;
}

void pace_end(struct pace *p)
{
    if (p->told && !p->is_over) fputc('\n', stderr);
    p->is_over = 1;
}
