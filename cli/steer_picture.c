/* The picture of a sweep: four panels over the strength, the features' lines and the control's. */
#include "base/err.h"
#include "cli/steer.h"
#include "cli/svg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 960,
    HEIGHT = 600,
    PANEL_WIDTH = 380,
    PANEL_HEIGHT = 170,
    LEFT = 78,
    TOP = 110,
    ACROSS = 480, /* from a panel to the next */
    DOWN = 270,
};

static const char feature_colour[] = "#d6483e", control_colour[] = "#818b98";

struct panel {
    const char *title;
    double (*value)(const struct dose *);
    double (*second)(const struct dose *); /* another of the same unit, as squares; NULL: none */
    double factor;                         /* 100: per cent */
    int is_logarithmic;
};

struct picture {
    FILE *out;
    const struct steer *steer;
    const struct dose *features, *control;
    uint32_t count;
    double least, most; /* strengths */
    /* Of the panel under way. */
    const struct panel *panel;
    double left, top, low, high;
};

static double own(const struct dose *d)
{
    return d->kl_own;
}

static double given(const struct dose *d)
{
    return d->kl_given;
}

static double perplexity(const struct dose *d)
{
    return d->perplexity;
}

static double repetition(const struct dose *d)
{
    return d->repetition;
}

static double fires(const struct dose *d)
{
    return d->fires;
}

static const struct panel panels[] = {
    {"KL to the unsteered model, nats per token (□: on the given text)", own, given, 1, 0},
    {"perplexity of the text under the unsteered model", perplexity, NULL, 1, 1},
    {"runs of four tokens that were there before, %", repetition, NULL, 100, 0},
    {"tokens at which the feature then fires, %", fires, NULL, 100, 0},
};

/* ---- places ---- */

static double place_x(const struct picture *p, double strength)
{
    return p->left + (strength - p->least) / (p->most - p->least) * PANEL_WIDTH;
}

static double place_y(const struct picture *p, double value)
{
    double low = p->low, high = p->high;
    if (p->panel->is_logarithmic) {
        value = log(value);
        low = log(low);
        high = log(high);
    }
    return p->top + PANEL_HEIGHT - (value - low) / (high - low) * PANEL_HEIGHT;
}

static void widen(struct picture *p, double value)
{
    value *= p->panel->factor;
    if (!isfinite(value)) return;
    p->low = fmin(p->low, value);
    p->high = fmax(p->high, value);
}

static void find_range(struct picture *p)
{
    p->low = p->panel->is_logarithmic ? INFINITY : 0;
    p->high = p->panel->is_logarithmic ? -INFINITY : 0;
    for (uint32_t i = 0; i < p->count; i++) {
        widen(p, p->panel->value(&p->features[i]));
        widen(p, p->panel->value(&p->control[i]));
        if (p->panel->second) widen(p, p->panel->second(&p->features[i]));
        if (p->panel->second) widen(p, p->panel->second(&p->control[i]));
    }
    if (!isfinite(p->low) || !isfinite(p->high)) p->low = p->high = 1;
    if (p->panel->is_logarithmic) {
        p->low /= 1.15;
        p->high *= 1.15;
    } else {
        p->high = p->high > 0 ? 1.08 * p->high : 1;
    }
}

/* ---- grid ---- */

/* Some four steps of 1, 2 or 5 times a power of ten. */
static double step_of(double range)
{
    double power = pow(10, floor(log10(range / 4)));
    double times = range / 4 / power;
    return power * (times < 1.5 ? 1 : times < 3.5 ? 2 : times < 7.5 ? 5 : 10);
}

static void tick_y(const struct picture *p, double value)
{
    char text[32];
    double y = place_y(p, value);
    snprintf(text, sizeof text, "%.4g", value);
    svg_line(p->out, p->left, y, p->left + PANEL_WIDTH, y, "grid");
    svg_text(p->out, p->left - 9, y + 4.5, "soft", "end", text);
}

static void grid_y(const struct picture *p)
{
    static const double steps[] = {1, 2, 5};
    if (!p->panel->is_logarithmic) {
        double step = step_of(p->high - p->low);
        for (int i = 0; i * step <= p->high; i++) tick_y(p, i * step);
        return;
    }
    size_t every = p->high / p->low > 300 ? 3 : 1; /* powers of ten alone */
    for (double power = pow(10, floor(log10(p->low))); power <= p->high; power *= 10)
        for (size_t s = 0; s < 3; s += every)
            if (steps[s] * power >= p->low && steps[s] * power <= p->high)
                tick_y(p, steps[s] * power);
}

static void grid_x(const struct picture *p)
{
    double last = -INFINITY;
    for (uint32_t i = 0; i < p->count; i++) {
        char text[32];
        double x = place_x(p, p->features[i].strength);
        snprintf(text, sizeof text, "%g", p->features[i].strength);
        svg_line(p->out, x, p->top, x, p->top + PANEL_HEIGHT, "grid");
        if (fabs(x - last) < 26) continue;
        svg_text(p->out, x, p->top + PANEL_HEIGHT + 20, "soft", "middle", text);
        last = x;
    }
}

/* ---- lines ---- */

static int by_strength(const void *a, const void *b)
{
    double x = ((const double *)a)[0], y = ((const double *)b)[0];
    return (x > y) - (x < y);
}

static void line(const struct picture *p, const struct dose *dose,
                 double (*value)(const struct dose *), int shape, const char *what,
                 const char *colour)
{
    double at[STRENGTHS_MOST][2], x[STRENGTHS_MOST], y[STRENGTHS_MOST];
    size_t kept = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        double v = p->panel->factor * value(&dose[i]);
        if (!isfinite(v) || (p->panel->is_logarithmic && !(v > 0))) continue;
        at[kept][0] = dose[i].strength;
        at[kept++][1] = v;
    }
    qsort(at, kept, sizeof *at, by_strength);
    for (size_t i = 0; i < kept; i++) {
        x[i] = place_x(p, at[i][0]);
        y[i] = place_y(p, at[i][1]);
    }
    if (kept > 1) svg_curve(p->out, x, y, kept, NULL, colour, what);
    for (size_t i = 0; i < kept; i++) {
        char tip[160];
        snprintf(tip, sizeof tip, "%s, strength %g: %.4g", what, at[i][0], at[i][1]);
        svg_mark(p->out, shape, x[i], y[i], colour, tip);
    }
}

static void draw_panel(struct picture *p, uint32_t index)
{
    p->panel = &panels[index];
    p->left = LEFT + (index % 2) * ACROSS;
    p->top = TOP + (index / 2) * DOWN;
    find_range(p);
    grid_x(p);
    grid_y(p);
    double bottom = p->top + PANEL_HEIGHT;
    svg_line(p->out, p->left, bottom, p->left + PANEL_WIDTH, bottom, "axis");
    svg_line(p->out, p->left, p->top, p->left, bottom, "axis");
    svg_text(p->out, p->left, p->top - 12, "ink", "start", p->panel->title);
    svg_text(p->out, p->left + PANEL_WIDTH / 2.0, bottom + 42, "soft", "middle",
             p->steer->strengths.are_times ? "strength, times of the largest activation"
                                           : "strength, value of the feature");
    line(p, p->control, p->panel->value, 0, "random", control_colour);
    if (p->panel->second) line(p, p->control, p->panel->second, 1, "random, given", control_colour);
    line(p, p->features, p->panel->value, 0, "feature", feature_colour);
    if (p->panel->second)
        line(p, p->features, p->panel->second, 1, "feature, given", feature_colour);
}

/* ---- all of it ---- */

static void title_of(const struct steer *s, char *out, size_t bytes)
{
    const struct clamps *c = &s->steering.of[0];
    uint32_t features = 0;
    for (uint32_t h = 0; h < s->steering.count; h++) features += s->steering.of[h].count;
    const char *label = labels_of(&s->labels[0], c->clamp[0].feature);
    if (features > 1)
        snprintf(out, bytes, "%u features %s, strength by strength", features,
                 c->adds ? "added" : "clamped");
    else
        snprintf(out, bytes, "feature %u%s%.80s%s of %.60s, %s", c->clamp[0].feature,
                 label ? " (" : "", label ? label : "", label ? ")" : "", s->steering.name[0],
                 c->adds ? "added" : "clamped");
}

static void draw(struct picture *p)
{
    char title[256];
    title_of(p->steer, title, sizeof title);
    svg_begin(
        p->out, WIDTH, HEIGHT, title,
        "Four panels over the strength: KL to the unsteered model, perplexity, repetition, and "
        "how often the feature then fires; red the features, grey random directions as long.");
    svg_text(p->out, LEFT, 32, "title", "start", title);
    svg_mark(p->out, 0, LEFT + 5, 56, feature_colour, NULL);
    svg_text(p->out, LEFT + 16, 60, "ink", "start", "feature");
    svg_mark(p->out, 0, LEFT + 91, 56, control_colour, NULL);
    svg_text(p->out, LEFT + 102, 60, "ink", "start", "random direction as long");
    for (uint32_t i = 0; i < sizeof panels / sizeof *panels; i++) draw_panel(p, i);
    svg_end(p->out);
}

int steer_draw(const struct steer *s, const struct dose *features, const struct dose *control,
               uint32_t count, const char *file)
{
    struct picture p = {.steer = s, .features = features, .control = control, .count = count};
    char *data = NULL;
    size_t bytes = 0;
    p.out = open_memstream(&data, &bytes);
    if (!p.out) return err_set(ERR_NOMEM, "no memory for a picture");
    p.least = p.most = features[0].strength;
    for (uint32_t i = 1; i < count; i++) {
        p.least = fmin(p.least, features[i].strength);
        p.most = fmax(p.most, features[i].strength);
    }
    if (p.most == p.least) p.most = p.least + 1;
    draw(&p);
    int result = fclose(p.out) == 0 ? ERR_OK : err_set(ERR_NOMEM, "no memory for a picture");
    if (result == ERR_OK) result = steer_write("svg", file, data, bytes);
    free(data);
    return result;
}
