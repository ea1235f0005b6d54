#include "cli/top_canvas.h"

#include "base/err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1000, LEVELS = 8 };

static int bounded(int size)
{
    return size < 1 ? 1 : size > MOST ? MOST : size;
}

int top_canvas_resize(struct top_canvas *c, int rows, int columns)
{
    rows = bounded(rows);
    columns = bounded(columns);
    struct top_cell *cell = calloc((size_t)rows * (size_t)columns, sizeof *cell);
    if (!cell) return err_set(ERR_NOMEM, "no memory for a screen of %d x %d", columns, rows);
    free(c->cell);
    c->cell = cell;
    c->rows = rows;
    c->columns = columns;
    for (int row = 0; row < rows; row++) top_canvas_fill(c, row, 0, columns, TOP_PLAIN);
    return ERR_OK;
}

static void put(struct top_canvas *c, int row, int column, enum top_style style, uint32_t rune)
{
    if (row < 0 || row >= c->rows || column < 0 || column >= c->columns) return;
    c->cell[row * c->columns + column] = (struct top_cell){rune, (unsigned char)style};
}

void top_canvas_fill(struct top_canvas *c, int row, int column, int width, enum top_style style)
{
    for (int i = 0; i < width; i++) put(c, row, column + i, style, ' ');
}

static int is_continued(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

int top_canvas_text(struct top_canvas *c, int row, int column, int width, enum top_style style,
                    const char *text)
{
    int used = 0;
    for (; *text && used < width; text++) {
        if (is_continued(*text)) continue; /* of a character that has its question mark */
        put(c, row, column + used++, style, *text >= ' ' && *text < 0x7f ? (uint32_t)*text : '?');
    }
    return used;
}

void top_canvas_right(struct top_canvas *c, int row, int column, int width, enum top_style style,
                      const char *text)
{
    int length = (int)strlen(text), skip = length > width ? 0 : width - length;
    top_canvas_text(c, row, column + skip, width - skip, style, text);
}

/* How much of the text goes into one line: up to a space, where one is near enough. */
static int line_of(const char *text, int width)
{
    int length = (int)strlen(text);
    if (length <= width) return length;
    for (int i = width; i > width / 2; i--)
        if (text[i] == ' ') return i;
    return width;
}

int top_canvas_wrap(struct top_canvas *c, int row, int column, int width, int most,
                    enum top_style style, const char *text)
{
    int rows = 0;
    while (*text && rows < most && width > 0) {
        int length = line_of(text, width);
        top_canvas_text(c, row + rows++, column, length, style, text);
        text += length;
        text += strspn(text, " ");
    }
    return rows;
}

void top_canvas_bar(struct top_canvas *c, int row, int column, int width, enum top_style style,
                    double share)
{
    double filled = isnan(share) || share < 0 ? 0 : share > 1 ? width : share * width;
    for (int i = 0; i < width; i++) {
        int eighths = (int)(8 * (filled - i) + 0.5);
        uint32_t rune = eighths >= 8                   ? (c->is_unicode ? 0x2588 : '#')
                        : eighths > 0 && c->is_unicode ? 0x2590 - (uint32_t)eighths
                                                       : (c->is_unicode ? 0x2591 : '.');
        int is_empty = eighths <= 0 || (eighths < 8 && !c->is_unicode);
        put(c, row, column + i, is_empty ? TOP_DIM : style, rune);
    }
}

static uint32_t level_of(const struct top_canvas *c, int level)
{
    static const char ascii[LEVELS + 1] = "_.,-=+*#";
    return c->is_unicode ? 0x2581 + (uint32_t)level : (uint32_t)ascii[level];
}

void top_canvas_spark(struct top_canvas *c, int row, int column, int rows, int width,
                      enum top_style style, const double *value, double low)
{
    double high = low;
    for (int i = 0; i < width; i++)
        if (value[i] > high) high = value[i];
    for (int i = 0; i < width; i++) {
        if (isnan(value[i])) continue;
        double share = high > low ? (value[i] - low) / (high - low) : 0;
        int level = (int)(share * rows * LEVELS); /* of rows * LEVELS; the lowest is never empty */
        for (int r = 0; r < rows; r++) {
            int here = level - (rows - 1 - r) * LEVELS;
            if (here < 0 || (here == 0 && r < rows - 1)) continue;
            put(c, row + r, column + i, style, level_of(c, here >= LEVELS ? LEVELS - 1 : here));
        }
    }
}
