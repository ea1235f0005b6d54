#include "inspect/contrast.h"

#include "base/err.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct table {
    size_t texts, size[2]; /* texts, and of each group */
    size_t live;           /* features that are not 0 everywhere */
    uint32_t *feature;     /* (live) */
    double *value;         /* (texts, live) */
    double *sum, *square;  /* (live): over all texts */
    double *first;         /* (live): sum over the first group */
    double *effect;        /* (live) */
    double *at_least;      /* (live): shuffles whose largest effect is as large */
    uint8_t *group;        /* (texts): shuffled */
};

static void table_free(struct table *t)
{
    free(t->feature);
    free(t->value);
    free(t->sum);
    free(t->square);
    free(t->first);
    free(t->effect);
    free(t->at_least);
    free(t->group);
}

static int is_live(const float *values, size_t texts, uint32_t features, uint32_t f)
{
    for (size_t i = 0; i < texts; i++)
        if (values[i * features + f] != 0) return 1;
    return 0;
}

static int table_make(const float *values, const uint8_t *group, size_t texts, uint32_t features,
                      struct table *t)
{
    *t = (struct table){.texts = texts};
    for (size_t i = 0; i < texts; i++) t->size[!!group[i]]++;
    if (t->size[0] < 2 || t->size[1] < 2)
        return err_set(ERR_USAGE, "groups of %zu and %zu texts; each needs two at least",
                       t->size[0], t->size[1]);
    t->feature = calloc(features, sizeof *t->feature);
    for (uint32_t f = 0; t->feature && f < features; f++)
        if (is_live(values, texts, features, f)) t->feature[t->live++] = f;
    size_t room = t->live ? t->live : 1;
    t->value = calloc(texts * room, sizeof *t->value);
    t->sum = calloc(room, sizeof *t->sum);
    t->square = calloc(room, sizeof *t->square);
    t->first = calloc(room, sizeof *t->first);
    t->effect = calloc(room, sizeof *t->effect);
    t->at_least = calloc(room, sizeof *t->at_least);
    t->group = malloc(texts);
    if (!t->feature || !t->value || !t->sum || !t->square || !t->first || !t->effect ||
        !t->at_least || !t->group) {
        table_free(t);
        return err_set(ERR_NOMEM, "no memory to tell %zu texts apart", texts);
    }
    memcpy(t->group, group, texts);
    for (size_t i = 0; i < texts; i++)
        for (size_t j = 0; j < t->live; j++) {
            double v = (double)values[i * features + t->feature[j]];
            t->value[i * t->live + j] = v;
            t->sum[j] += v;
            t->square[j] += v * v;
        }
    return ERR_OK;
}

static void sum_first(struct table *t, const uint8_t *group)
{
    memset(t->first, 0, t->live * sizeof *t->first);
    for (size_t i = 0; i < t->texts; i++)
        for (size_t j = 0; j < t->live && !group[i]; j++) t->first[j] += t->value[i * t->live + j];
}

/* Cohen's d, of the sums over the first group and over all. */
static double effect_of(const struct table *t, size_t j)
{
    double n0 = (double)t->size[0], n1 = (double)t->size[1];
    double m0 = t->first[j] / n0, m1 = (t->sum[j] - t->first[j]) / n1;
    double within = t->square[j] - n0 * m0 * m0 - n1 * m1 * m1;
    double rounding = 1e-12 * t->square[j];
    double difference = m0 - m1;
    if (fabs(difference) <= 1e-12 * (fabs(m0) + fabs(m1))) return 0;
    if (within <= rounding) return difference > 0 ? INFINITY : -INFINITY;
    return difference / sqrt(within / (n0 + n1 - 2));
}

static void shuffle(struct rng *rng, uint8_t *group, size_t texts)
{
    for (size_t i = texts - 1; i > 0; i--) {
        size_t other = (size_t)rng_below(rng, i + 1);
        uint8_t kept = group[i];
        group[i] = group[other];
        group[other] = kept;
    }
}

static void count_shuffles(struct table *t, uint32_t shuffles, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (uint32_t s = 0; s < shuffles; s++) {
        double most = 0;
        shuffle(&rng, t->group, t->texts);
        sum_first(t, t->group);
        for (size_t j = 0; j < t->live; j++) most = fmax(most, fabs(effect_of(t, j)));
        for (size_t j = 0; j < t->live; j++)
            if (most >= fabs(t->effect[j]) * (1 - 1e-9)) t->at_least[j]++;
    }
}

static int by_effect(const void *a, const void *b)
{
    const struct contrast *x = a, *y = b;
    double dx = fabs(x->effect), dy = fabs(y->effect);
    if (dx != dy) return dx < dy ? 1 : -1;
    return x->feature < y->feature ? -1 : 1;
}

int contrast_rank(const float *values, const uint8_t *group, size_t texts, uint32_t features,
                  uint32_t shuffles, uint64_t seed, struct contrast **ranked, size_t *count)
{
    struct table t;
    int result = table_make(values, group, texts, features, &t);
    if (result != ERR_OK) return result;
    struct contrast *all = calloc(t.live ? t.live : 1, sizeof *all);
    if (!all) {
        table_free(&t);
        return err_set(ERR_NOMEM, "no memory to tell %zu texts apart", texts);
    }
    sum_first(&t, group);
    for (size_t j = 0; j < t.live; j++) {
        t.effect[j] = effect_of(&t, j);
        all[j] = (struct contrast){
            .feature = t.feature[j],
            .mean = {t.first[j] / (double)t.size[0], (t.sum[j] - t.first[j]) / (double)t.size[1]},
            .effect = t.effect[j]};
    }
    count_shuffles(&t, shuffles, seed);
    for (size_t j = 0; j < t.live; j++) all[j].p = (t.at_least[j] + 1) / ((double)shuffles + 1);
    qsort(all, t.live, sizeof *all, by_effect);
    *ranked = all;
    *count = t.live;
    table_free(&t);
    return ERR_OK;
}
