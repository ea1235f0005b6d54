/* Progress of a command that takes a while: a line on stderr, from the second second on. On a terminal
 * each is written over the one before it. */
#ifndef SLUICE_CLI_PACE_H
#define SLUICE_CLI_PACE_H

#include <time.h>

struct pace { /* zeroed, and begun when it is first asked */
    time_t begun, told;
    int is_over; /* a line that stands on a terminal has been ended */
};

/* Whether a line is due: at most one in so many seconds, and none in the first two; where `is_last`,
 * one more. */
int pace_due(struct pace *pace, int seconds, int is_last);
/* One that is due, without its line end. */
void pace_tell(struct pace *pace, int is_last, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Seconds since it began, 1 at least. */
double pace_seconds(const struct pace *pace);
/* End a line that stands on a terminal. */
void pace_end(struct pace *pace);

#endif
