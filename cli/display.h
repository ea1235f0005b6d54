/*
 * What `sluice up` shows while it runs: one line about the present. On a terminal it is written over
 * each second, fits the terminal's width whenever that changes, and has colour unless NO_COLOR is
 * set. Piped, on a terminal that can do no more (TERM=dumb), or with SLUICE_PLAIN set, each is a
 * line of its own, without an escape sequence.
 */
#ifndef SLUICE_CLI_DISPLAY_H
#define SLUICE_CLI_DISPLAY_H

#include "cli/children.h"
#include "cli/progress.h"
#include "cli/stage.h"

#include <stdint.h>
#include <sys/stat.h>

struct display {
    const struct config *config;
    struct progress progress;
    struct stage stage;
    int64_t started_ms, line_ms;
    int line_every_ms; /* 0: no lines */
    int is_terminal;   /* the line is rewritten */
    int colour;
    int is_line_there; /* on a terminal: one that is not ended */
    struct stat page;  /* of the file with the live page's address that was looked at last */
};

/* It begins now. A change of the terminal's width is heard from here on (SIGWINCH). */
void display_open(struct display *display, const struct config *config);

double display_seconds(const struct display *display); /* since it began */

/* Take in what the broker has said. */
void display_take(struct display *display, const struct snapshot *snapshot);

/* Show the line where one is due, or the terminal has become another. Before rows flow it tells what
 * the first capture's log says last. Reads logs and disk. */
void display_show(struct display *display, const struct children *children);
/* A line about an end, in place of it: "TIME  WHAT". */
void display_show_ending(struct display *display, const char *what);

/* A sentence on a line of its own, above the one that is rewritten. */
void display_tell(struct display *display, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The address of the live page, once it is known, and where it has become another. Looks at
 * RUN/http. */
void display_tell_page(struct display *display);

/* End a line that stands on a terminal. */
void display_end(struct display *display);

#endif
