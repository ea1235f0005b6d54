#include "inspect/generation.h"

#include "base/err.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct run {
    const struct generation_options *options;
    struct steering *steering;
    enum generation_way way;
    struct generation *to;
    uint32_t vocabulary;
    struct rng rng;
    double *weight; /* (vocabulary) */
};

/* ---- rows ---- */

static void take_norms(struct run *r, uint32_t hook, uint32_t first, uint32_t rows,
                       const float *values)
{
    struct generation *to = r->to;
    uint32_t width = r->steering->of[hook].subject->width;
    for (uint32_t i = 0; i < rows; i++) {
        double square = 0;
        for (uint32_t j = 0; j < width; j++) {
            double v = (double)values[(size_t)i * width + j];
            square += v * v;
        }
        if (first + i > 0) to->norms[hook][to->norms_count[hook]++] = sqrt(square);
    }
}

static int edit(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values)
{
    struct run *r = arg;
    if (hook >= r->steering->count) return ERR_OK;
    take_norms(r, hook, first, rows, values);
    if (r->way != GENERATION_STEERED) return ERR_OK;
    return clamp_rows(&r->steering->of[hook], first, rows, values);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double generation_median_norm(struct generation *g, uint32_t hook)
{
    uint32_t count = g->norms_count[hook], half = count / 2;
    double *norms = g->norms[hook];
    if (count == 0) return NAN;
    qsort(norms, count, sizeof *norms, by_size);
    return count % 2 ? norms[half] : (norms[half - 1] + norms[half]) / 2;
}

/* ---- the next token ---- */

static uint32_t likeliest(const float *logits, uint32_t vocabulary)
{
    uint32_t best = 0;
    for (uint32_t v = 1; v < vocabulary; v++)
        if (logits[v] > logits[best]) best = v;
    return best;
}

/* Draws by the softmax of logits / temperature; adds what the choice cost under temperature 1. */
static int32_t choose(struct run *r, const float *logits)
{
    uint32_t best = likeliest(logits, r->vocabulary), chosen = best;
    double sum = 0, plain = 0, temperature = r->options->temperature;
    for (uint32_t v = 0; v < r->vocabulary; v++) {
        double below = (double)logits[v] - (double)logits[best];
        plain += exp(below);
        r->weight[v] = temperature > 0 ? exp(below / temperature) : 0;
        sum += r->weight[v];
    }
    if (temperature > 0) {
        double at = rng_unit(&r->rng) * sum;
        for (chosen = 0; chosen + 1 < r->vocabulary && at >= r->weight[chosen]; chosen++)
            at -= r->weight[chosen];
    }
    r->to->nats += log(plain) - ((double)logits[chosen] - (double)logits[best]);
    return (int32_t)chosen;
}

static int is_end(struct llama_player *player, int32_t token)
{
    const struct llama_special *special = llama_runner_special(llama_player_runner(player));
    for (int i = 1; i < LLAMA_SPECIAL_KEYS; i++) /* EOS, EOT, EOM */
        if (special->declared[i] >= 0 && special->declared[i] == token) return 1;
    return 0;
}

static int generate(struct run *r, struct llama_player *player)
{
    const struct generation_options *o = r->options;
    struct llama_player_watch watch = {r->way == GENERATION_ALONE ? NULL : edit, NULL, r};
    llama_player_clear(player);
    int result = llama_player_feed(player, o->prompt, o->prompt_tokens, &watch);
    while (result == ERR_OK && r->to->count < o->tokens) {
        int32_t next = choose(r, llama_player_logits(player));
        r->to->tokens[r->to->count++] = next;
        if (o->progress) o->progress(o->arg);
        if (is_end(player, next) || r->to->count == o->tokens) break;
        result = llama_player_feed(player, &next, 1, &watch);
    }
    return result;
}

static int make_room(const struct generation_options *o, uint32_t hooks, struct generation *g)
{
    g->hooks = hooks;
    g->tokens = calloc((size_t)o->tokens + 1, sizeof *g->tokens);
    int is_there = g->tokens != NULL;
    for (uint32_t h = 0; h < hooks && is_there; h++) {
        g->norms[h] = calloc((size_t)o->prompt_tokens + o->tokens, sizeof *g->norms[h]);
        is_there = g->norms[h] != NULL;
    }
    return is_there ? ERR_OK : err_set(ERR_NOMEM, "no memory to generate %u tokens", o->tokens);
}

int generation_make(const struct generation_options *o, struct llama_player *player,
                    struct steering *steering, enum generation_way way,
                    struct generation *generation)
{
    struct generation g = {0};
    struct run r = {.options = o, .steering = steering, .way = way, .to = &g};
    r.vocabulary = (uint32_t)llama_runner_tokens(llama_player_runner(player));
    rng_seed(&r.rng, o->seed);
    r.weight = malloc(r.vocabulary * sizeof *r.weight);
    int result = make_room(o, way == GENERATION_ALONE ? 0 : steering->count, &g);
    if (result == ERR_OK && !r.weight)
        result = err_set(ERR_NOMEM, "no memory for %u tokens' weights", r.vocabulary);
    if (result == ERR_OK) result = generate(&r, player);
    free(r.weight);
    if (result != ERR_OK)
        generation_free(&g);
    else
        *generation = g;
    return result;
}

void generation_free(struct generation *g)
{
    free(g->tokens);
    for (uint32_t h = 0; h < g->hooks; h++) free(g->norms[h]);
    *g = (struct generation){0};
}
