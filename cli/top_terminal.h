/* The terminal that `sluice top` draws on: the one place that knows ncurses. One at a time. */
#ifndef SLUICE_CLI_TOP_TERMINAL_H
#define SLUICE_CLI_TOP_TERMINAL_H

#include "cli/top_canvas.h"

enum top_key {
    TOP_KEY_NONE, /* none came in time, or one without a meaning */
    TOP_KEY_QUIT,
    TOP_KEY_PAUSE,
    TOP_KEY_HELP,
    TOP_KEY_UP,
    TOP_KEY_DOWN,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_RESIZE,
    TOP_KEY_OTHER
};

/* Take the screen. Colours where the terminal has them and NO_COLOR is not set, block characters
 * where the locale is UTF-8. ERR_USAGE: standard input or output is no terminal, or one that TERM
 * does not name rightly, or that cannot move its cursor; the text says what to use in its place. */
int top_terminal_open(void);
/* Give it back as it was. Nothing is done where none is open. */
void top_terminal_close(void);

/* Make the canvas as large as the screen is. ERR_NOMEM. */
int top_terminal_fit(struct top_canvas *canvas);
/* Show it: only what has changed is written. */
void top_terminal_show(const struct top_canvas *canvas);
/* The next key, waited for so long at most; a signal ends the waiting. */
enum top_key top_terminal_key(int wait_ms);

#endif
