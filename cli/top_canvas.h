/*
 * A screen that is drawn into memory: cells of one character and one style. Whatever is put beyond
 * an edge is cut, so a drawing fits however small the screen is. Nothing here knows a terminal.
 */
#ifndef SLUICE_CLI_TOP_CANVAS_H
#define SLUICE_CLI_TOP_CANVAS_H

#include <stdint.h>

enum top_style {
    TOP_PLAIN,
    TOP_DIM,
    TOP_BOLD,
    TOP_GOOD,
    TOP_WARN,
    TOP_BAD,
    TOP_TITLE, /* a bar across the screen */
    TOP_ALARM, /* the same where something is wrong */
    TOP_STYLES
};

struct top_cell {
    uint32_t rune; /* a printable character, one column wide */
    unsigned char style;
};

struct top_canvas {
    int rows, columns, is_unicode; /* 0: ASCII alone */
    struct top_cell *cell;         /* (rows, columns) */
};

/* Make it so large, blank. A canvas of zeros has nothing to free; afterwards free(canvas->cell).
 * Sizes are cut to 1 to 1,000. ERR_NOMEM: it is as it was. */
int top_canvas_resize(struct top_canvas *canvas, int rows, int columns);

/* Fill a row, from `column` on and `width` columns wide, with spaces of a style. */
void top_canvas_fill(struct top_canvas *canvas, int row, int column, int width,
                     enum top_style style);
/* Put text, at most `width` columns of it; returns how many it took. What is no printable ASCII
 * becomes a question mark each: terminals disagree about how wide it is. */
int top_canvas_text(struct top_canvas *canvas, int row, int column, int width, enum top_style style,
                    const char *text);
/* The same, to the right of the field. */
void top_canvas_right(struct top_canvas *canvas, int row, int column, int width,
                      enum top_style style, const char *text);
/* Words over at most `most` rows; returns how many it took. What is left over is cut. */
int top_canvas_wrap(struct top_canvas *canvas, int row, int column, int width, int most,
                    enum top_style style, const char *text);
/* A bar `width` columns wide, filled by `share` of it, 0 to 1; NaN: an empty one. */
void top_canvas_bar(struct top_canvas *canvas, int row, int column, int width, enum top_style style,
                    double share);
/* A column for each value of (width), scaled from `low` to the greatest, over `rows` rows from `row`
 * down; NaN: nothing. */
void top_canvas_spark(struct top_canvas *canvas, int row, int column, int rows, int width,
                      enum top_style style, const double *value, double low);

#endif
