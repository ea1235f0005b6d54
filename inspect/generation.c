#include "inspect/generation.h"

#include "base/err.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct run {
    const struct generation_options *options;
    uint32_t width;
    struct clamps *clamps;
    struct generation *to;
    uint32_t vocabulary;
    struct rng rng;
    double *weight; /* (vocabulary) */
};

/* ---- rows ---- */

static int edit(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values)
{
    struct run *r = arg;
    if (hook != 0) return ERR_OK;
    for (uint32_t i = 0; i < rows; i++) {
        double square = 0;
        for (uint32_t j = 0; j < r->width; j++) {
            double v = (double)values[(size_t)i * r->width + j];
            square += v * v;
        }
        if (first + i > 0) r->to->norms[r->to->norms_count++] = sqrt(square);
    }
    return r->clamps ? clamp_rows(r->clamps, first, rows, values) : ERR_OK;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double generation_median_norm(struct generation *g)
{
    if (g->norms_count == 0) return NAN;
    qsort(g->norms, g->norms_count, sizeof *g->norms, by_size);
    uint32_t half = g->norms_count / 2;
    return g->norms_count % 2 ? g->norms[half] : (g->norms[half - 1] + g->norms[half]) / 2;
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
    struct llama_player_watch watch = {edit, NULL, r};
    llama_player_clear(player);
    int result = llama_player_feed(player, o->prompt, o->prompt_tokens, &watch);
    while (result == ERR_OK && r->to->count < o->tokens) {
        int32_t next = choose(r, llama_player_logits(player));
        r->to->tokens[r->to->count++] = next;
        if (is_end(player, next) || r->to->count == o->tokens) break;
        result = llama_player_feed(player, &next, 1, &watch);
    }
    return result;
}

int generation_make(const struct generation_options *o, const struct subject *subject,
                    struct llama_player *player, struct clamps *clamps,
                    struct generation *generation)
{
    struct generation g = {0};
    struct run r = {.options = o, .width = subject->width, .clamps = clamps, .to = &g};
    r.vocabulary = (uint32_t)llama_runner_tokens(llama_player_runner(player));
    rng_seed(&r.rng, o->seed);
    g.tokens = calloc((size_t)o->tokens + 1, sizeof *g.tokens);
    g.norms = calloc((size_t)o->prompt_tokens + o->tokens, sizeof *g.norms);
    r.weight = malloc(r.vocabulary * sizeof *r.weight);
    int result = g.tokens && g.norms && r.weight
                     ? generate(&r, player)
                     : err_set(ERR_NOMEM, "no memory to generate %u tokens", o->tokens);
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
    free(g->norms);
    *g = (struct generation){0};
}
