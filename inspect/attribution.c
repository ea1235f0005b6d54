#include "inspect/attribution.h"

#include "base/err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the text as it is, and without a feature ---- */

struct pass {
    const struct subject *subject;
    const struct firing *firing;
    uint32_t hook, last_hook;
    uint32_t without; /* this feature is taken out; UINT32_MAX: none */
    float *last_row;  /* (width) of the last layer at the last token; NULL: not wanted */
};

static void take_out(const struct pass *p, uint32_t first, uint32_t rows, float *values)
{
    const float *direction = subject_direction(p->subject, p->without);
    uint32_t width = p->subject->width;
    for (uint32_t r = 0; r < rows; r++) {
        if (p->firing->left_out[first + r]) continue;
        float value = pairs_value(&p->firing->pairs, first + r, p->without);
        for (uint32_t i = 0; i < width && value != 0; i++)
            values[(size_t)r * width + i] -= value * direction[i];
    }
}

static int edit(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values)
{
    const struct pass *p = arg;
    uint32_t width = p->subject->width;
    if (hook == p->hook && p->without != UINT32_MAX) take_out(p, first, rows, values);
    if (hook == p->last_hook && p->last_row && first + rows == p->firing->count)
        memcpy(p->last_row, values + (size_t)(rows - 1) * width, width * sizeof *values);
    return ERR_OK;
}

static int run(struct lens *lens, struct pass *pass)
{
    struct llama_player_watch watch = {edit, NULL, pass};
    llama_player_clear(lens->player);
    return llama_player_feed(lens->player, pass->firing->tokens, pass->firing->count, &watch);
}

/* Of the token after the text, less the mean. */
static double logit_of(const struct lens *lens, int32_t token)
{
    const float *logits = llama_player_logits(lens->player);
    double sum = 0;
    for (uint32_t v = 0; v < lens->vocabulary; v++) sum += (double)logits[v];
    return (double)logits[token] - sum / lens->vocabulary;
}

static void read_choice(const struct lens *lens, int32_t token, struct attributions *a)
{
    const float *logits = llama_player_logits(lens->player);
    double sum = 0;
    a->likeliest = 0;
    for (uint32_t v = 1; v < lens->vocabulary; v++)
        if (logits[v] > logits[a->likeliest]) a->likeliest = (int32_t)v;
    for (uint32_t v = 0; v < lens->vocabulary; v++)
        sum += exp((double)logits[v] - (double)logits[a->likeliest]);
    a->logit = logit_of(lens, token);
    a->probability = exp((double)logits[token] - (double)logits[a->likeliest]) / sum;
}

/* ---- which features ---- */

struct fired {
    uint32_t feature, fires;
    float value; /* at the last token */
    double sum;  /* of its values */
    double direct;
};

/* All that fire, by number; *count of them, malloc'ed. NULL: no memory. */
static struct fired *collect(const struct firing *firing, uint32_t features, size_t *count)
{
    const struct pairs *p = &firing->pairs;
    struct fired *all = calloc(features, sizeof *all);
    if (!all) return NULL;
    for (uint64_t row = 0; row < p->rows; row++)
        for (uint64_t i = p->start[row]; i < p->start[row + 1] && !firing->left_out[row]; i++) {
            struct fired *f = &all[p->feature[i]];
            f->fires++;
            f->sum += (double)p->value[i];
            if (row + 1 == p->rows) f->value = p->value[i];
        }
    *count = 0;
    for (uint32_t f = 0; f < features; f++) {
        all[f].feature = f;
        if (all[f].fires) all[(*count)++] = all[f];
    }
    return all;
}

struct asking {
    struct fired *fired;
    const size_t *which;
    int32_t token;
    double divisor;
};

static void take_direct(void *arg, uint32_t index, float *logits)
{
    const struct asking *a = arg;
    struct fired *f = &a->fired[a->which[index]];
    f->direct = (double)f->value * (double)logits[a->token] / a->divisor;
}

/* The direct effects of those that fire at the last token. */
static int ask_direct(const struct subject *subject, struct lens *lens, struct fired *fired,
                      size_t count, int32_t token, double divisor)
{
    size_t *which = calloc(count + 1, sizeof *which), n = 0, width = subject->width;
    for (size_t i = 0; which && i < count; i++)
        if (fired[i].value != 0) which[n++] = i;
    float *directions = malloc((n + 1) * width * sizeof *directions);
    int result = ERR_NOMEM;
    if (which && directions) {
        for (size_t i = 0; i < n; i++)
            memcpy(directions + i * width, subject_direction(subject, fired[which[i]].feature),
                   width * sizeof *directions);
        struct asking asking = {fired, which, token, divisor};
        result = lens_read(lens, directions, (uint32_t)n, take_direct, &asking);
    } else {
        err_set(result, "no memory for the directions of %zu features", n);
    }
    free(which);
    free(directions);
    return result;
}

static int by_direct(const void *a, const void *b)
{
    const struct fired *x = a, *y = b;
    double dx = fabs(x->direct), dy = fabs(y->direct);
    if (dx != dy) return dx < dy ? 1 : -1;
    return x->feature < y->feature ? -1 : 1;
}

static int by_sum(const void *a, const void *b)
{
    const struct fired *x = a, *y = b;
    if (x->sum != y->sum) return x->sum < y->sum ? 1 : -1;
    return x->feature < y->feature ? -1 : 1;
}

/* The first `most` by direct effect, and as many of the others by their values, come first. */
static size_t choose(struct fired *fired, size_t count, size_t most)
{
    qsort(fired, count, sizeof *fired, by_direct);
    size_t first = 0;
    while (first < count && first < most && fired[first].direct != 0) first++;
    qsort(fired + first, count - first, sizeof *fired, by_sum);
    return first + (count - first < most ? count - first : most);
}

/* ---- both answers ---- */

static double strength(const struct attribution *a)
{
    return fmax(fabs(a->direct), fabs(a->ablated));
}

static int by_strength(const void *a, const void *b)
{
    double x = strength(a), y = strength(b);
    if (x != y) return x < y ? 1 : -1;
    return ((const struct attribution *)a)->feature < ((const struct attribution *)b)->feature ? -1
                                                                                               : 1;
}

static int ablate_all(struct lens *lens, struct pass *pass, const struct fired *fired,
                      int32_t token, const struct attribution_watch *watch, struct attributions *to)
{
    int result = ERR_OK;
    for (size_t i = 0; i < to->count && result == ERR_OK; i++) {
        pass->without = fired[i].feature;
        result = run(lens, pass);
        if (watch) watch->done(watch->arg, i + 1, to->count);
        to->of[i] = (struct attribution){fired[i].feature, fired[i].value, fired[i].fires,
                                         fired[i].direct, to->logit - logit_of(lens, token)};
    }
    qsort(to->of, to->count, sizeof *to->of, by_strength);
    return result;
}

static int check(const struct subject *subject, const struct lens *lens,
                 const struct firing *firing, int32_t token)
{
    int result = subject_is_dictionary(subject, "attribution");
    if (result != ERR_OK) return result;
    if (subject->width != lens->width)
        return err_set(ERR_USAGE,
                       "%s has rows of %u values, and the residual stream %u; only what is "
                       "written into the residual stream has an effect on logits of its own",
                       subject->name, subject->width, lens->width);
    if (token < 0 || (uint32_t)token >= lens->vocabulary)
        return err_set(ERR_USAGE, "token %d: the model has 0 to %u", token, lens->vocabulary - 1);
    if (firing->counted == 0)
        return err_set(ERR_USAGE,
                       "the prompt has no token that counts: the first, special ones and "
                       "those that trainings leave out do not; HINT: a longer prompt");
    return ERR_OK;
}

int attribution_make(struct subject *subject, struct lens *lens, uint32_t hook,
                     const struct firing *firing, int32_t token, uint32_t most,
                     const struct attribution_watch *watch, struct attributions *attributions)
{
    struct attributions a = {0};
    size_t count = 0;
    int result = check(subject, lens, firing, token);
    if (result != ERR_OK) return result;
    struct fired *fired = collect(firing, subject_features(subject), &count);
    struct pass pass = {subject, firing, hook, lens->hook, UINT32_MAX, NULL};
    pass.last_row = malloc(subject->width * sizeof *pass.last_row);
    if (!fired || !pass.last_row) result = err_set(ERR_NOMEM, "no memory for the effects");
    if (result == ERR_OK) result = run(lens, &pass);
    if (result == ERR_OK) {
        read_choice(lens, token, &a);
        result = ask_direct(subject, lens, fired, count, token, lens_divisor(lens, pass.last_row));
    }
    if (result == ERR_OK) {
        a.count = choose(fired, count, most);
        a.of = calloc(a.count + 1, sizeof *a.of);
        result = a.of ? ablate_all(lens, &pass, fired, token, watch, &a)
                      : err_set(ERR_NOMEM, "no memory for the effects");
    }
    free(pass.last_row);
    free(fired);
    if (result != ERR_OK)
        free(a.of);
    else
        *attributions = a;
    return result;
}

/* ---- agreement ---- */

/* The rank of each of n values, ties sharing their mean rank. */
static void rank(const double *value, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        double below = 0, same = 0;
        for (size_t j = 0; j < n; j++) {
            below += value[j] < value[i];
            same += value[j] == value[i];
        }
        out[i] = below + (same - 1) / 2;
    }
}

static double correlation(const double *x, const double *y, size_t n)
{
    double mx = 0, my = 0, xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < n; i++) {
        mx += x[i] / (double)n;
        my += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        xy += (x[i] - mx) * (y[i] - my);
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

struct attribution_agreement attribution_agree(const struct attributions *a)
{
    struct attribution_agreement g = {.ranks = NAN};
    double *all = calloc(4 * (a->count + 1), sizeof *all);
    if (!all) return g;
    double *direct = all, *ablated = all + a->count, *x = ablated + a->count, *y = x + a->count;
    for (size_t i = 0; i < a->count; i++) {
        if (a->of[i].direct == 0 || a->of[i].ablated == 0) continue;
        direct[g.both] = a->of[i].direct;
        ablated[g.both++] = a->of[i].ablated;
        g.same_sign += (a->of[i].direct > 0) == (a->of[i].ablated > 0);
    }
    rank(direct, g.both, x);
    rank(ablated, g.both, y);
    if (g.both >= 3) g.ranks = correlation(x, y, g.both);
    free(all);
    return g;
}
