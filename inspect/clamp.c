#include "inspect/clamp.h"

#include "base/err.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1024 }; /* values of a row that are taken at once */

/* ---- as they are told ---- */

int clamp_take_pair(const char **text, uint32_t *feature, double *value)
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

/* A feature alone: all of the strength. */
static int take_number(const char **text, uint32_t *feature)
{
    size_t digits = strspn(*text, "0123456789");
    unsigned long long number = strtoull(*text, NULL, 10);
    if (!digits || digits > 10 || number > UINT32_MAX) return 0;
    if ((*text)[digits] && (*text)[digits] != ',') return 0;
    *feature = (uint32_t)number;
    *text += digits;
    return 1;
}

int clamp_take(const char **text, int is_shared, struct clamp *clamp)
{
    *clamp = (struct clamp){.strength = 1, .largest = NAN};
    if (is_shared && take_number(text, &clamp->feature)) return 1;
    if (!clamp_take_pair(text, &clamp->feature, &clamp->strength)) return 0;
    if (is_shared) return 1;
    if (**text == 'x')
        ++*text;
    else
        clamp->is_value = 1;
    return 1;
}

struct clamp *clamp_find(struct clamps *c, uint32_t feature)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->clamp[i].feature == feature) return &c->clamp[i];
    return NULL;
}

double clamp_value(const struct clamp *c)
{
    return c->is_value ? c->strength : c->strength * c->largest;
}

double clamp_times(const struct clamp *c)
{
    return c->is_value ? c->strength / c->largest : c->strength;
}

static double length_of(const float *direction, uint32_t width)
{
    double square = 0;
    for (uint32_t i = 0; i < width; i++) square += (double)direction[i] * (double)direction[i];
    return sqrt(square);
}

double clamp_length(const struct subject *s, const struct clamp *c)
{
    return fabs(clamp_value(c)) * length_of(subject_direction(s, c->feature), s->width);
}

/* ---- directions ---- */

static const float *direction_of(const struct clamps *c, uint32_t k)
{
    return c->directions ? c->directions + (size_t)k * c->subject->width
                         : subject_direction(c->subject, c->clamp[k].feature);
}

float *clamp_random_directions(const struct clamps *c, uint64_t seed)
{
    uint32_t width = c->subject->width;
    float *all = malloc(((size_t)c->count * width + 1) * sizeof *all);
    struct rng rng;
    for (uint32_t k = 0; all && k < c->count; k++) {
        float *direction = all + (size_t)k * width;
        double wanted = length_of(subject_direction(c->subject, c->clamp[k].feature), width);
        rng_seed(&rng, hash_words(seed, c->clamp[k].feature, 0, 0));
        for (uint32_t i = 0; i < width; i++) direction[i] = (float)rng_normal(&rng);
        double by = wanted / length_of(direction, width);
        for (uint32_t i = 0; i < width; i++) direction[i] = (float)(by * (double)direction[i]);
    }
    return all;
}

/* ---- rows ---- */

static int is_told(const struct clamps *c, uint32_t position)
{
    if (position < c->first || position > c->last) return 0;
    return !c->spared || !c->spared[position];
}

/* Where some rows are spared, those that are longer than the SAE knows are, too: attention sinks. */
static int is_steered(const struct clamps *c, uint32_t position, const float *row)
{
    return is_told(c, position) && (!c->spared || subject_keeps(c->subject, 0, 0, row));
}

/* All clamps see the row as it came, so that their order means nothing. What they add is summed
 * before it is rounded, as in a control vector of it. */
static void steer_row(struct clamps *c, const struct pairs *pairs, uint32_t row, float *values)
{
    double by[CLAMP_MOST], square = 0;
    for (uint32_t k = 0; k < c->count; k++) {
        double has = c->adds ? 0 : (double)pairs_value(pairs, row, c->clamp[k].feature);
        by[k] = clamp_value(&c->clamp[k]) - has;
    }
    for (uint32_t at = 0; at < c->subject->width; at += CHUNK) {
        uint32_t n = c->subject->width - at < CHUNK ? c->subject->width - at : CHUNK;
        double sum[CHUNK] = {0};
        for (uint32_t k = 0; k < c->count; k++) {
            const float *direction = direction_of(c, k) + at;
            for (uint32_t i = 0; i < n && by[k] != 0; i++) sum[i] += by[k] * (double)direction[i];
        }
        for (uint32_t i = 0; i < n; i++) {
            values[at + i] += (float)sum[i];
            square += sum[i] * sum[i];
        }
    }
    c->moved += sqrt(square);
    c->steered_rows++;
}

int clamp_rows(struct clamps *c, uint32_t first, uint32_t n, float *rows)
{
    struct pairs pairs = {0};
    int any = 0;
    for (uint32_t r = 0; r < n && !any; r++) any = is_told(c, first + r);
    if (!any || !c->count) return ERR_OK;
    int result = c->adds ? ERR_OK : subject_encode(c->subject, rows, n, &pairs);
    if (result != ERR_OK) return result;
    for (uint32_t r = 0; r < n; r++) {
        float *row = rows + (size_t)r * c->subject->width;
        if (is_steered(c, first + r, row)) steer_row(c, &pairs, r, row);
    }
    if (!c->adds) pairs_free(&pairs);
    return ERR_OK;
}
