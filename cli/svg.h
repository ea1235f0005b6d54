/*
 * A small writer of SVG: text and shapes into a FILE, coordinates in pixels from the upper left.
 * Classes of the style sheet: paper, ink, soft (fills of ground and text), grid, axis, envelope
 * (strokes); they have colours for light and for dark surroundings. Errors stay in the FILE.
 */
#ifndef SLUICE_CLI_SVG_H
#define SLUICE_CLI_SVG_H

#include <stddef.h>
#include <stdio.h>

enum { SVG_SHAPES = 4 }; /* of marks: circle, square, triangle, diamond */

/* The head: what a screen reader says, and the ground. */
void svg_begin(FILE *out, int width, int height, const char *title, const char *description);
void svg_end(FILE *out);

/* A straight line from (x1, y1) to (x2, y2). */
void svg_line(FILE *out, double x1, double y1, double x2, double y2, const char *class);
/* A line through `count` points; `class` may be NULL, then `colour` counts. `tip` (NULL: none) is
 * shown where the pointer rests. */
void svg_curve(FILE *out, const double *x, const double *y, size_t count, const char *class,
               const char *colour, const char *tip);
/* One of the SVG_SHAPES, its middle at (x, y). */
void svg_mark(FILE *out, int shape, double x, double y, const char *colour, const char *tip);

/* `anchor`: "start", "middle" or "end" of the text at x. */
void svg_text(FILE *out, double x, double y, const char *class, const char *anchor,
              const char *text);

/* What is drawn until svg_clip_end() shows within the box alone. `id` is unique. */
void svg_clip_begin(FILE *out, const char *id, double x, double y, double width, double height);
void svg_clip_end(FILE *out);

#endif
