#include "cli/scaling.h"

#include "base/err.h"
#include "cli/progress.h"
#include "cli/remarks.h"
#include "cli/svg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 1080,
    HEIGHT = 480,
    TOP = 92,
    BOTTOM = 416,
    LEFT = 78, /* of the left panel */
    LEFT_END = 580,
    RIGHT = 800, /* of the right panel */
    RIGHT_END = 1052,
    LABELS = 14, /* lines up to which each has its name beside it */
    LABEL_HEIGHT = 15,
    LABEL_CHARS = 22,
    TICKS = 64,
    CHIPS = 8, /* widths in the legend */
};

struct axis {
    double low, high; /* of the values */
    double from, to;  /* pixels */
    int logarithmic;
};

struct picture {
    const struct outcomes *all;
    FILE *out;
    double width[CONFIG_MAX_SAES]; /* the different numbers of features, rising */
    size_t widths;
    const char *arch[CONFIG_MAX_SAES]; /* the different architectures */
    size_t archs;
    struct axis compute, loss, features, dead;
};

static double place(const struct axis *a, double value)
{
    double low = a->low, high = a->high;
    if (a->logarithmic) {
        value = log(value);
        low = log(low);
        high = log(high);
    }
    return a->from + (value - low) / (high - low) * (a->to - a->from);
}

/* ---- what is shown ---- */

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void find_kinds(struct picture *p)
{
    for (size_t i = 0; i < p->all->count; i++) {
        const struct outcome *o = &p->all->one[i];
        size_t w = 0, a = 0;
        while (w < p->widths && p->width[w] != o->features) w++;
        while (a < p->archs && strcmp(p->arch[a], o->arch) != 0) a++;
        if (w == p->widths) p->width[p->widths++] = o->features;
        if (a == p->archs) p->arch[p->archs++] = o->arch;
    }
    qsort(p->width, p->widths, sizeof *p->width, rising);
}

static int shape_of(const struct picture *p, const struct outcome *o)
{
    int a = 0;
    while (strcmp(p->arch[a], o->arch) != 0) a++;
    return a;
}

/* From blue for the narrowest over green to red for the widest: each readable on white and on
 * black. */
static const char *colour_of(const struct picture *p, double features, char *out)
{
    static const double stops[][3] = {
        {66, 105, 208}, {16, 150, 150}, {94, 152, 42}, {204, 136, 0}, {214, 72, 62}};
    enum { LAST = sizeof stops / sizeof stops[0] - 1 };
    size_t i = 0;
    while (p->width[i] < features) i++;
    double at = p->widths > 1 ? (double)i / (double)(p->widths - 1) * LAST : 0;
    int stop = at >= LAST ? LAST - 1 : (int)at;
    int rgb[3];
    for (int c = 0; c < 3; c++)
        rgb[c] = (int)(stops[stop][c] + (at - stop) * (stops[stop + 1][c] - stops[stop][c]) + 0.5);
    sprintf(out, "#%02x%02x%02x", rgb[0] & 255, rgb[1] & 255, rgb[2] & 255);
    return out;
}

static void widen(struct axis *a, double value)
{
    if (!(a->low <= value)) a->low = value; /* also from NaN */
    if (!(a->high >= value)) a->high = value;
}

/* A little room about the values; something to see where they are all the same. */
static void pad(struct axis *a, double share)
{
    if (isnan(a->low)) a->low = a->high = 1;
    double by = a->high > a->low ? pow(a->high / a->low, share) : 2;
    a->low /= by;
    a->high *= by;
}

static void find_ranges(struct picture *p)
{
    p->compute = (struct axis){NAN, NAN, LEFT, LEFT_END, 1};
    p->loss = (struct axis){NAN, NAN, BOTTOM, TOP, 1};
    p->features = (struct axis){NAN, NAN, RIGHT, RIGHT_END, 1};
    p->dead = (struct axis){0, 0.01, BOTTOM, TOP, 0};
    for (size_t i = 0; i < p->all->count; i++) {
        const struct outcome *o = &p->all->one[i];
        for (size_t n = 0; n < o->points; n++) {
            widen(&p->compute, o->point[n].flops);
            widen(&p->loss, 1 - o->point[n].fve);
        }
        widen(&p->features, o->features);
        if (!isnan(o->dead)) widen(&p->dead, o->dead / o->features);
    }
    if (p->loss.high > 1.5) p->loss.high = 1.5; /* the first steps of some go far astray */
    if (!(p->loss.low > 1e-6)) p->loss.low = 1e-6;
    if (p->loss.high < p->loss.low) p->loss.high = p->loss.low;
    pad(&p->compute, 0.03);
    pad(&p->loss, 0.05);
    pad(&p->features, 0.12);
    p->dead.high *= 1.08;
}

/* ---- ticks ---- */

/* Powers of ten where the range is wide; 1, 2, 5, 10, ...; or more of them where it is narrow. */
static size_t ticks_of(const struct axis *a, double *tick)
{
    static const double coarse[] = {1}, usual[] = {1, 2, 5};
    static const double fine[] = {1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9};
    size_t count = 0;
    if (!a->logarithmic) {
        double step = pow(10, floor(log10(a->high)));
        while (a->high / step < 4) step /= step / pow(10, floor(log10(step) + 1e-9)) > 4 ? 2.5 : 2;
        for (double x = 0; x <= a->high && count < TICKS; x += step) tick[count++] = x;
        return count;
    }
    double ratio = a->high / a->low;
    const double *steps = ratio > 250 ? coarse : ratio > 10 ? usual : fine;
    size_t n = ratio > 250 ? 1 : ratio > 10 ? 3 : sizeof fine / sizeof fine[0];
    for (double power = pow(10, floor(log10(a->low))); power <= a->high; power *= 10)
        for (size_t s = 0; s < n && count < TICKS; s++)
            if (steps[s] * power >= a->low && steps[s] * power <= a->high)
                tick[count++] = steps[s] * power;
    return count;
}

/* "2·10¹³" */
static void power_text(double x, char *out, size_t bytes)
{
    static const char *const digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    int exponent = (int)floor(log10(x) + 1e-9);
    double first = x / pow(10, exponent);
    char plain[16];
    int used = fabs(first - 1) < 1e-6 ? snprintf(out, bytes, "10")
                                      : snprintf(out, bytes, "%.2g·10", first);
    snprintf(plain, sizeof plain, "%d", exponent);
    for (const char *p = plain; *p && (size_t)used < bytes; p++)
        used +=
            snprintf(out + used, bytes - (size_t)used, "%s", *p == '-' ? "⁻" : digits[*p - '0']);
}

static void x_tick(const struct picture *p, const struct axis *a, double x, const char *text)
{
    svg_line(p->out, place(a, x), TOP, place(a, x), BOTTOM, "grid");
    svg_text(p->out, place(a, x), BOTTOM + 20, "soft", "middle", text);
}

static void y_tick(const struct picture *p, const struct axis *x, const struct axis *y, double at,
                   const char *text)
{
    svg_line(p->out, x->from, place(y, at), x->to, place(y, at), "grid");
    svg_text(p->out, x->from - 9, place(y, at) + 4.5, "soft", "end", text);
}

static void frame(const struct picture *p, const struct axis *x, const char *x_label,
                  const char *title)
{
    svg_line(p->out, x->from, BOTTOM, x->to, BOTTOM, "axis");
    svg_line(p->out, x->from, TOP, x->from, BOTTOM, "axis");
    svg_text(p->out, (x->from + x->to) / 2, BOTTOM + 44, "ink", "middle", x_label);
    svg_text(p->out, x->from, TOP - 14, "ink", "start", title);
}

/* ---- the left panel ---- */

static void loss_grid(const struct picture *p)
{
    double tick[TICKS];
    char text[64];
    size_t n = ticks_of(&p->compute, tick);
    for (size_t i = 0; i < n; i++) {
        power_text(tick[i], text, sizeof text);
        x_tick(p, &p->compute, tick[i], text);
    }
    n = ticks_of(&p->loss, tick);
    for (size_t i = 0; i < n; i++) {
        snprintf(text, sizeof text, "%.3g", tick[i]);
        y_tick(p, &p->compute, &p->loss, tick[i], text);
    }
}

static double point_x(const struct picture *p, const struct outcome_point *point)
{
    return place(&p->compute, point->flops);
}

static double point_y(const struct picture *p, const struct outcome_point *point)
{
    double loss = 1 - point->fve;
    return place(&p->loss, loss > p->loss.low ? loss : p->loss.low);
}

/* Where a curve is at pixel x, also behind its end; -INFINITY where it has not begun. */
static double curve_at(const struct picture *p, const struct outcome *o, double x)
{
    size_t i = 0;
    while (i < o->points && point_x(p, &o->point[i]) <= x) i++;
    if (i == 0) return -INFINITY;
    double before = point_y(p, &o->point[i - 1]);
    if (i == o->points) return before;
    double from = point_x(p, &o->point[i - 1]), to = point_x(p, &o->point[i]);
    return before + (x - from) / (to - from) * (point_y(p, &o->point[i]) - before);
}

/* The least loss that any of them has reached by each amount of compute. */
static void envelope(const struct picture *p)
{
    enum { STEP = 2, SAMPLES = (LEFT_END - LEFT) / STEP };
    double x[SAMPLES], y[SAMPLES], end = -INFINITY, least = -INFINITY;
    size_t kept = 0;
    for (size_t i = 0; i < p->all->count; i++) {
        const struct outcome *o = &p->all->one[i];
        if (o->points > 0 && point_x(p, &o->point[o->points - 1]) > end)
            end = point_x(p, &o->point[o->points - 1]);
    }
    for (int s = 0; s < SAMPLES && LEFT + s * STEP <= end; s++) {
        for (size_t i = 0; i < p->all->count; i++) /* pixels grow downwards */
            least = fmax(least, curve_at(p, &p->all->one[i], LEFT + s * STEP));
        if (isinf(least)) continue;
        x[kept] = LEFT + s * STEP;
        y[kept++] = least;
    }
    if (kept > 1) svg_curve(p->out, x, y, kept, "envelope", NULL, "the least loss by each compute");
}

static int curve(const struct picture *p, const struct outcome *o)
{
    char colour[16], tip[160];
    double *x = calloc(o->points + 1, sizeof *x), *y = calloc(o->points + 1, sizeof *y);
    if (x && y && o->points > 0) {
        for (size_t i = 0; i < o->points; i++) {
            x[i] = point_x(p, &o->point[i]);
            y[i] = point_y(p, &o->point[i]);
        }
        snprintf(tip, sizeof tip, "%s: FVE %.4f", o->name, o->point[o->points - 1].fve);
        colour_of(p, o->features, colour);
        svg_curve(p->out, x, y, o->points, NULL, colour, tip);
        svg_mark(p->out, shape_of(p, o), x[o->points - 1], y[o->points - 1], colour, tip);
    }
    int result = x && y ? ERR_OK : err_set(ERR_NOMEM, "no memory for %zu points", o->points);
    free(x);
    free(y);
    return result;
}

/* Names beside the ends, the best lowest as its line is, none on another. */
static void names(const struct picture *p)
{
    double below = BOTTOM + LABEL_HEIGHT;
    size_t left = 0;
    if (p->all->count > LABELS) return;
    for (size_t i = 0; i < p->all->count; i++) left += p->all->one[i].points > 0;
    for (size_t i = 0; i < p->all->count; i++) {
        const struct outcome *o = &p->all->one[i];
        char text[LABEL_CHARS + 8];
        if (o->points == 0) continue;
        const struct outcome_point *end = &o->point[o->points - 1];
        double x = point_x(p, end), at = point_y(p, end), y = at;
        if (y > below - LABEL_HEIGHT) y = below - LABEL_HEIGHT;
        left--;
        if (y < TOP + LABEL_HEIGHT * (double)left) y = TOP + LABEL_HEIGHT * (double)left;
        below = y;
        snprintf(text, sizeof text, strlen(o->name) > LABEL_CHARS ? "%.*s…" : "%.*s", LABEL_CHARS,
                 o->name);
        svg_line(p->out, x + 7, at, LEFT_END + 6, y, "grid");
        svg_text(p->out, LEFT_END + 10, y + 4.5, "soft", "start", text);
    }
}

/* The trainer's reason; a summary without one is of an older build, or the history is another's. */
static void no_curve(const struct outcomes *all, char *why, size_t bytes)
{
    const char *told = remarks_no_fve(all->summary);
    if (told)
        snprintf(why, bytes, "no FVE: %s", told);
    else if (!(all->evaluated_rows >= 2000))
        snprintf(why, bytes, "no FVE: %.0f held-out rows are fewer than 2,000",
                 isnan(all->evaluated_rows) ? 0 : all->evaluated_rows);
    else
        snprintf(why, bytes, "history.tsv has no FVE");
}

static int loss_panel(const struct picture *p)
{
    int result = ERR_OK;
    frame(p, &p->compute, "training compute, FLOPs", "1 − FVE of held-out rows: less is better");
    if (p->all->one[0].points == 0) {
        char why[160];
        no_curve(p->all, why, sizeof why);
        svg_text(p->out, (LEFT + LEFT_END) / 2.0, (TOP + BOTTOM) / 2.0, "soft", "middle", why);
        return ERR_OK;
    }
    loss_grid(p);
    names(p);
    svg_clip_begin(p->out, "loss", LEFT, TOP - 6, LEFT_END - LEFT + 8, BOTTOM - TOP + 12);
    envelope(p);
    for (size_t i = p->all->count; i-- > 0 && result == ERR_OK;) result = curve(p, &p->all->one[i]);
    svg_clip_end(p->out);
    return result;
}

/* ---- the right panel ---- */

static void dead_grid(const struct picture *p)
{
    double tick[TICKS], last = -INFINITY;
    char text[64];
    for (size_t i = 0; i < p->widths; i++) {
        double at = place(&p->features, p->width[i]);
        progress_number(p->width[i], text, sizeof text);
        x_tick(p, &p->features, p->width[i], at - last > 46 ? text : "");
        if (at - last > 46) last = at;
    }
    size_t n = ticks_of(&p->dead, tick);
    for (size_t i = 0; i < n; i++) {
        snprintf(text, sizeof text, "%.3g %%", 100 * tick[i]);
        y_tick(p, &p->features, &p->dead, tick[i], text);
    }
}

static void dead_panel(const struct picture *p)
{
    char colour[16], tip[160];
    dead_grid(p);
    frame(p, &p->features, "features", "dead features, share at the end");
    for (size_t i = p->all->count; i-- > 0;) {
        const struct outcome *o = &p->all->one[i];
        if (isnan(o->dead)) continue;
        snprintf(tip, sizeof tip, "%s: %.0f of %.0f dead", o->name, o->dead, o->features);
        svg_mark(p->out, shape_of(p, o), place(&p->features, o->features),
                 place(&p->dead, o->dead / o->features), colour_of(p, o->features, colour), tip);
    }
}

/* ---- all of it ---- */

/* About how wide a text is. */
static double text_width(const char *text)
{
    return 7.2 * (double)strlen(text);
}

static void legend(const struct picture *p)
{
    char text[64], colour[16];
    double x = LEFT;
    size_t every = (p->widths + CHIPS - 1) / CHIPS;
    svg_text(p->out, x, 54, "soft", "start", "features");
    x += text_width("features") + 6;
    for (size_t i = 0; i < p->widths; i += every) {
        progress_number(p->width[i], text, sizeof text);
        svg_mark(p->out, 0, x, 50, colour_of(p, p->width[i], colour), NULL);
        svg_text(p->out, x + 9, 54, "ink", "start", text);
        x += text_width(text) + 28;
    }
    for (size_t i = 0; p->archs > 1 && i < p->archs; i++) {
        svg_mark(p->out, (int)i, x + 10, 50, "#818b98", NULL);
        svg_text(p->out, x + 19, 54, "ink", "start", p->arch[i]);
        x += text_width(p->arch[i]) + 28;
    }
    double band_x[] = {x + 12, x + 40}, band_y[] = {50, 50};
    svg_curve(p->out, band_x, band_y, 2, "envelope", NULL, NULL);
    svg_text(p->out, x + 52, 54, "ink", "start", "lower envelope");
}

int scaling_draw(const struct outcomes *outcomes, FILE *out)
{
    struct picture p = {.all = outcomes, .out = out};
    char title[192], description[320];
    find_kinds(&p);
    snprintf(title, sizeof title, "%s: %zu autoencoders on one stream", outcomes->stream,
             outcomes->count);
    snprintf(description, sizeof description,
             "Left: 1 - FVE of held-out rows against training compute, both logarithmic, one line "
             "an autoencoder. Right: share of dead features against the number of features.");
    svg_begin(out, WIDTH, HEIGHT, title, description);
    svg_text(out, LEFT, 28, "title", "start", title);
    int result = ERR_OK;
    if (outcomes->count > 0) {
        find_ranges(&p);
        legend(&p);
        result = loss_panel(&p);
        dead_panel(&p);
    }
    svg_end(out);
    return result;
}
