#include "inspect/clamp.h"

#include "base/err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- as they are told ---- */

/* "123=4": the number of the feature and what stands behind; *text goes behind it. */
static int take_pair(const char **text, uint32_t *feature, double *value)
{
    char *end;
    if (**text < '0' || **text > '9') return 0;
    unsigned long long number = strtoull(*text, &end, 10);
    if (number > UINT32_MAX || *end != '=') return 0;
    const char *digits = end + 1;
    *value = strtod(digits, &end);
    if (end == digits || !isfinite(*value)) return 0;
    *feature = (uint32_t)number;
    *text = end;
    return 1;
}

static struct clamp *find(struct clamps *c, uint32_t feature)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->clamp[i].feature == feature) return &c->clamp[i];
    return NULL;
}

static int wrong(const char *option, const char *text, const char *example)
{
    return err_set(ERR_USAGE, "%s %s: HINT: %s", option, text, example);
}

int clamp_parse(const char *text, struct clamps *out)
{
    static const char example[] = "FEATURE=TIMESx, as 123=4x, several divided by commas";
    const char *at = text;
    out->count = 0;
    do {
        struct clamp c = {.largest = NAN};
        if (out->count == CLAMP_MOST)
            return err_set(ERR_USAGE, "--features: over %d features", CLAMP_MOST);
        if (!take_pair(&at, &c.feature, &c.times)) return wrong("--features", text, example);
        if (find(out, c.feature))
            return err_set(ERR_USAGE, "--features: feature %u is given twice", c.feature);
        if (*at == 'x')
            at++;
        else
            c.largest = 1;
        out->clamp[out->count++] = c;
        if (*at && *at != ',') return wrong("--features", text, example);
    } while (*at++ == ',');
    return ERR_OK;
}

int clamp_parse_largest(const char *text, struct clamps *clamps)
{
    static const char example[] = "FEATURE=ACTIVATION, as 123=7.5, several divided by commas";
    const char *at = text;
    do {
        uint32_t feature;
        double largest;
        if (!take_pair(&at, &feature, &largest) || !(largest > 0) || (*at && *at != ','))
            return wrong("--max", text, example);
        struct clamp *c = find(clamps, feature);
        if (!c) return err_set(ERR_USAGE, "--max: feature %u is not among --features", feature);
        if (isnan(c->largest)) c->largest = largest;
    } while (*at++ == ',');
    return ERR_OK;
}

double clamp_value(const struct clamp *c)
{
    return c->times * c->largest;
}

double clamp_length(const struct subject *s, const struct clamp *c)
{
    const float *direction = subject_direction(s, c->feature);
    double square = 0;
    for (uint32_t i = 0; i < s->width; i++) square += (double)direction[i] * (double)direction[i];
    return fabs(clamp_value(c)) * sqrt(square);
}

/* ---- rows ---- */

static float value_at(const struct pairs *p, uint64_t row, uint32_t feature)
{
    for (uint64_t i = p->start[row]; i < p->start[row + 1]; i++)
        if (p->feature[i] == feature) return p->value[i];
    return 0;
}

static int is_steered(const struct clamps *c, uint32_t position)
{
    if (position < c->first || position > c->last) return 0;
    return !c->spared || !c->spared[position];
}

/* All clamps see the row as it came, so that their order means nothing. */
static void steer_row(struct clamps *c, const struct pairs *pairs, uint32_t row, float *values)
{
    uint32_t width = c->subject->width;
    double square = 0;
    float before[4096];
    for (uint32_t at = 0; at < width; at += 4096) {
        uint32_t n = width - at < 4096 ? width - at : 4096;
        memcpy(before, values + at, n * sizeof *before);
        for (uint32_t k = 0; k < c->count; k++) {
            const float *direction = subject_direction(c->subject, c->clamp[k].feature) + at;
            double has = c->adds ? 0 : (double)value_at(pairs, row, c->clamp[k].feature);
            double by = clamp_value(&c->clamp[k]) - has;
            for (uint32_t i = 0; i < n && by != 0; i++)
                values[at + i] += (float)(by * (double)direction[i]);
        }
        for (uint32_t i = 0; i < n; i++) {
            double d = (double)values[at + i] - (double)before[i];
            square += d * d;
        }
    }
    c->moved += sqrt(square);
    c->steered_rows++;
}

int clamp_rows(struct clamps *c, uint32_t first, uint32_t n, float *rows)
{
    struct pairs pairs = {0};
    int any = 0;
    for (uint32_t r = 0; r < n && !any; r++) any = is_steered(c, first + r);
    if (!any || !c->count) return ERR_OK;
    int result = c->adds ? ERR_OK : subject_encode(c->subject, rows, n, &pairs);
    if (result != ERR_OK) return result;
    for (uint32_t r = 0; r < n; r++)
        if (is_steered(c, first + r)) steer_row(c, &pairs, r, rows + (size_t)r * c->subject->width);
    if (!c->adds) pairs_free(&pairs);
    return ERR_OK;
}
