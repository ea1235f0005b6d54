/* What `sluice top` shows: a model drawn onto a canvas, of any size. Fits 80 x 24. */
#ifndef SLUICE_CLI_TOP_SCREEN_H
#define SLUICE_CLI_TOP_SCREEN_H

#include "cli/top_canvas.h"
#include "cli/top_model.h"

struct top_view {
    int scroll;      /* first row of the lists; top_screen_draw() cuts it to what there is */
    int page;        /* how many rows of a list were shown: what PageDown moves by */
    int advice_rows; /* that advice has taken at most: nothing jumps when it gets shorter */
    int is_paused, has_help;
    char clock[16]; /* the time of day */
};

/* Draw all of it. */
void top_screen_draw(struct top_canvas *canvas, const struct top_model *model,
                     struct top_view *view);

/* "12,345", "1.23 M", "4.56 G": a number in six characters; NaN: "-". */
void top_screen_number(double number, char *out, size_t bytes);

#endif
