#include "inspect/dose.h"

#include "base/err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUN = 4 };

/* ---- opening ---- */

static int measure_norms(struct doses *d)
{
    struct generation g;
    struct steering s = *d->steering;
    int result = generation_make(&d->options.how, d->player, &s, GENERATION_WATCHED, &g);
    if (result != ERR_OK) return result;
    for (uint32_t h = 0; h < s.count; h++) d->median_norm[h] = generation_median_norm(&g, h);
    generation_free(&g);
    return ERR_OK;
}

int doses_open(const struct dose_options *options, const struct steering *steering,
               struct llama_player *player, struct doses *doses)
{
    struct doses d = {.options = *options, .steering = steering, .player = player};
    int result = ERR_OK;
    for (uint32_t h = 0; h < steering->count && result == ERR_OK; h++) {
        d.random[h] = clamp_random_directions(&steering->of[h], options->control_seed + h);
        if (!d.random[h]) result = err_set(ERR_NOMEM, "no memory for a control");
    }
    if (result == ERR_OK)
        result = reading_make(options->given, options->given_tokens,
                              options->given_tokens > 1 ? 1 : 0, steering, player, &d.given);
    if (result == ERR_OK) result = measure_norms(&d);
    if (result != ERR_OK)
        doses_close(&d);
    else
        *doses = d;
    return result;
}

void doses_close(struct doses *d)
{
    for (uint32_t h = 0; h < STEERING_MOST; h++) free(d->random[h]);
    reading_free(&d->given);
    *d = (struct doses){0};
}

/* ---- one text ---- */

struct sums {
    double kl, nats, moved, share;
    uint64_t predictions, followed, firings, repeats, runs, steered_rows, generated;
};

void dose_repeats(const int32_t *tokens, uint32_t n, uint32_t *repeats, uint32_t *runs)
{
    *repeats = 0;
    *runs = n >= RUN ? n - RUN + 1 : 0;
    for (uint32_t i = 1; i < *runs; i++)
        for (uint32_t j = 0; j < i; j++)
            if (memcmp(tokens + i, tokens + j, RUN * sizeof *tokens) == 0) {
                ++*repeats;
                break;
            }
}

/* What the clamps counted, and begin anew. */
static void take_moves(const struct doses *d, struct steering *s, struct sums *sums)
{
    for (uint32_t h = 0; h < s->count; h++) {
        sums->moved += s->of[h].moved;
        sums->share += s->of[h].moved / d->median_norm[h];
        sums->steered_rows += s->of[h].steered_rows;
        s->of[h].moved = 0;
        s->of[h].steered_rows = 0;
    }
}

/* Prompt and generated tokens, read by both models. */
static int read_text(const struct doses *d, struct steering *s, const int32_t *tokens,
                     uint32_t count, struct sums *sums)
{
    struct reading r;
    uint32_t prompt = d->options.how.prompt_tokens;
    double kl = 0;
    uint64_t firings = 0;
    int result = reading_make(tokens, count, prompt - 1, s, d->player, &r);
    if (result != ERR_OK) return result;
    r.count--; /* nothing was generated behind the last token */
    result = reading_compare(&r, s, d->player, &kl);
    if (result == ERR_OK) result = reading_firings(&r, d->steering, prompt, &firings);
    sums->kl += kl;
    sums->predictions += r.count;
    sums->nats += r.nats;
    sums->followed += r.followed;
    sums->firings += firings;
    reading_free(&r);
    return result;
}

static int add_text(const struct doses *d, struct steering *s, uint64_t seed, struct sums *sums)
{
    struct generation_options how = d->options.how;
    struct generation g;
    uint32_t repeats, runs;
    how.seed = seed;
    int result = generation_make(&how, d->player, s, GENERATION_STEERED, &g);
    if (result != ERR_OK) return result;
    take_moves(d, s, sums);
    uint32_t count = how.prompt_tokens + g.count;
    int32_t *tokens = malloc(count * sizeof *tokens);
    if (tokens) {
        memcpy(tokens, how.prompt, how.prompt_tokens * sizeof *tokens);
        memcpy(tokens + how.prompt_tokens, g.tokens, g.count * sizeof *tokens);
        result = read_text(d, s, tokens, count, sums);
    } else {
        result = err_set(ERR_NOMEM, "no memory for a text");
    }
    dose_repeats(g.tokens, g.count, &repeats, &runs);
    sums->repeats += repeats;
    sums->runs += runs;
    sums->generated += g.count;
    free(tokens);
    generation_free(&g);
    return result;
}

/* ---- a strength ---- */

/* The given text: each of its positions but those that are spared is steered. */
static int compare_given(const struct doses *d, struct steering *s, double *kl)
{
    for (uint32_t h = 0; h < s->count; h++) {
        s->of[h].first = 0;
        s->of[h].last = UINT32_MAX;
        s->of[h].spared = d->options.given_spared;
    }
    int result = reading_compare(&d->given, s, d->player, kl);
    *kl /= d->given.count;
    return result;
}

static void finish(const struct doses *d, const struct sums *sums, struct dose *to)
{
    uint32_t features = 0;
    for (uint32_t h = 0; h < d->steering->count; h++) features += d->steering->of[h].count;
    to->kl_own = sums->kl / (double)sums->predictions;
    to->perplexity = exp(sums->nats / (double)sums->followed);
    to->repetition = sums->runs ? (double)sums->repeats / (double)sums->runs : NAN;
    to->fires = (double)sums->firings / (double)sums->generated / features;
    to->moved = sums->steered_rows ? sums->moved / (double)sums->steered_rows : 0;
    to->share = sums->steered_rows ? sums->share / (double)sums->steered_rows : 0;
    to->steered_rows = sums->steered_rows;
    to->generated = sums->generated;
}

int dose_measure(const struct doses *d, double strength, int is_control, struct dose *dose)
{
    struct steering s;
    struct sums sums = {0};
    struct dose made = {.strength = strength};
    int result = ERR_OK;
    steering_scale(&s, d->steering, strength);
    for (uint32_t h = 0; h < s.count && is_control; h++) s.of[h].directions = d->random[h];
    for (uint32_t t = 0; t < d->options.texts && result == ERR_OK; t++)
        result = add_text(d, &s, d->options.how.seed + t, &sums);
    if (result == ERR_OK) result = compare_given(d, &s, &made.kl_given);
    if (result != ERR_OK) return result;
    finish(d, &sums, &made);
    *dose = made;
    return ERR_OK;
}
