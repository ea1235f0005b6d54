#include "engine/llama_compare.h"

#include "base/err.h"
#include "base/rng.h"
#include "engine/llama_runner.h"
#include "engine/llama_trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_CONTEXT_TOKENS = 512, RANDOM_TRIES = 64 };
static const double sink_ratio = 10; /* as capture.max_norm_ratio is by default */

/* In the child, which ends with it: nothing is closed or freed. */
struct pair {
    const struct llama_compare_options *options;
    struct llama_hooks hooks; /* of its own, since opening fills them in */
    struct llama_runner *original, *other;
    size_t width;
    int32_t *tokens; /* (contexts, context_tokens) */
    float *a, *b;    /* (rows, width) */
};

static int no_memory(void)
{
    return err_set(ERR_NOMEM, "no memory to compare two models");
}

static int open_pair(struct pair *p, const struct llama_compare_options *o, uint32_t context_tokens)
{
    struct llama_runner_options run = {.path = o->original,
                                       .context_tokens = context_tokens,
                                       .threads = o->threads,
                                       .plain_weights = 1};
    p->options = o;
    p->hooks = *o->hooks;
    int result = llama_runner_open(&run, &p->hooks, &p->original);
    for (uint32_t h = 0; h < p->hooks.count && result == ERR_OK; h++)
        p->width += p->hooks.hook[h].width;
    struct llama_hooks *others = malloc(sizeof *others);
    if (!others) return no_memory();
    *others = *o->hooks;
    run.path = o->other;
    if (result == ERR_OK) result = llama_runner_open(&run, others, &p->other);
    for (uint32_t h = 0; h < p->hooks.count && result == ERR_OK; h++)
        if (p->hooks.hook[h].width != others->hook[h].width)
            result = err_set(ERR_FORMAT, "hook %s has another width there", p->hooks.hook[h].name);
    return result;
}

static int make_room(struct pair *p, uint32_t contexts, uint32_t context_tokens, size_t rows)
{
    p->tokens = malloc((size_t)contexts * context_tokens * sizeof *p->tokens);
    p->a = malloc(rows * p->width * sizeof *p->a);
    p->b = malloc(rows * p->width * sizeof *p->b);
    return p->tokens && p->a && p->b ? ERR_OK : no_memory();
}

/* Any token but special ones (which a context has few of), the first of each context as the run has
 * it. */
static void random_tokens(const struct pair *p, uint32_t contexts, uint32_t context_tokens)
{
    const struct llama_special *special = llama_runner_special(p->original);
    int wanted = p->options->prepend_bos;
    int has_bos = special->bos >= 0 && (wanted < 0 ? special->adds_bos : wanted);
    uint32_t most = (uint32_t)llama_runner_tokens(p->original);
    struct rng rng;
    rng_seed(&rng, 20261127);
    for (uint32_t i = 0; i < contexts * context_tokens; i++) {
        int32_t token = (int32_t)rng_below(&rng, most);
        for (int tries = 0; tries < RANDOM_TRIES; tries++) {
            if (!llama_runner_is_special(p->original, token)) break;
            token = (int32_t)rng_below(&rng, most);
        }
        if (i % context_tokens == 0 && has_bos) token = special->bos;
        p->tokens[i] = token;
    }
}

static int run_both(struct pair *p, const int32_t *tokens, uint32_t count, float *a, float *b)
{
    int result = llama_runner_run(p->original, tokens, count, a);
    return result == ERR_OK ? llama_runner_run(p->other, tokens, count, b) : result;
}

static double square(const float *x, const float *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (y ? (double)y[i] : 0);
        sum += d * d;
    }
    return sum;
}

/* ---- proof ---- */

/* |a - b| / |a| of the worst row and hook. Bits that are the same are no difference, finite or
 * not. */
static void worst_of(const struct pair *p, uint32_t rows, struct llama_distance *d)
{
    for (uint32_t r = 0; r < rows; r++) {
        const float *a = p->a + r * p->width, *b = p->b + r * p->width;
        for (uint32_t h = 0; h < p->hooks.count; h++) {
            size_t n = p->hooks.hook[h].width;
            double off =
                memcmp(a, b, n * sizeof *a) ? sqrt(square(a, b, n) / square(a, NULL, n)) : 0;
            if (!(off <= d->largest)) d->largest = isfinite(off) ? off : INFINITY;
            a += n;
            b += n;
        }
    }
    d->rows += rows;
}

static int do_proof(struct llama_trial *trial, void *arg, void *answer)
{
    const struct llama_compare_options *o = arg;
    struct llama_distance *d = answer;
    struct pair pair = {0};
    uint32_t n = o->context_tokens;
    int result = open_pair(&pair, o, n);
    if (result == ERR_OK) result = make_room(&pair, COMPARE_PROOF_CONTEXTS, n, n);
    if (result != ERR_OK) return result;
    random_tokens(&pair, COMPARE_PROOF_CONTEXTS, n);
    for (uint32_t c = 0; c < COMPARE_PROOF_CONTEXTS && result == ERR_OK; c++) {
        llama_trial_tell(trial,
                         "proving that the model cut above its hooks computes the same rows, "
                         "once: context %u of %d (%u tokens)",
                         c + 1, COMPARE_PROOF_CONTEXTS, n);
        result = run_both(&pair, pair.tokens + (size_t)c * n, n, pair.a, pair.b);
        if (result == ERR_OK) worst_of(&pair, n, d);
    }
    return result;
}

int llama_compare_proof(const struct llama_compare_options *o, struct llama_distance *distance)
{
    *distance = (struct llama_distance){0};
    return llama_trial_run("comparing the model with its cut form", do_proof, (void *)o, distance,
                           sizeof *distance, o->tell, o->tell_arg);
}

/* ---- text ---- */

static int ascending(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Row r is one that the run's filters would keep, as far as hook values a[n] at `offset` go. */
struct kept {
    double *norms; /* (rows) */
    double limit;
    uint32_t context_tokens;
};

static int is_kept(const struct kept *k, uint32_t row)
{
    return row % k->context_tokens != 0 && k->norms[row] <= k->limit;
}

static int measure_norms(const struct pair *p, uint32_t rows, size_t offset, size_t n,
                         struct kept *k)
{
    double *sorted = malloc(rows * sizeof *sorted);
    k->norms = malloc(rows * sizeof *k->norms);
    if (!sorted || !k->norms) return no_memory();
    uint32_t count = 0;
    for (uint32_t r = 0; r < rows; r++) {
        k->norms[r] = sqrt(square(p->a + r * p->width + offset, NULL, n));
        if (r % k->context_tokens != 0 && isfinite(k->norms[r])) sorted[count++] = k->norms[r];
    }
    qsort(sorted, count, sizeof *sorted, ascending);
    k->limit = count > 0 ? sink_ratio * sorted[count / 2] : 0;
    free(sorted);
    return ERR_OK;
}

/* FVE of b's hook against a's; NaN where a's rows are all the same. */
static int fve_of(const struct pair *p, uint32_t rows, size_t offset, size_t n, uint32_t context,
                  double *fve)
{
    struct kept k = {.context_tokens = context};
    double *mean = calloc(n, sizeof *mean), error = 0, variance = 0;
    uint32_t count = 0;
    int result = mean ? measure_norms(p, rows, offset, n, &k) : no_memory();
    if (result != ERR_OK) return result;
    for (uint32_t r = 0; r < rows; r++) {
        const float *a = p->a + r * p->width + offset, *b = p->b + r * p->width + offset;
        if (!is_kept(&k, r)) continue;
        count++;
        error += square(a, b, n);
        for (size_t i = 0; i < n; i++) mean[i] += a[i];
    }
    for (uint32_t r = 0; r < rows; r++) {
        const float *a = p->a + r * p->width + offset;
        if (!is_kept(&k, r)) continue;
        for (size_t i = 0; i < n; i++) {
            double d = a[i] - mean[i] / count;
            variance += d * d;
        }
    }
    free(mean);
    free(k.norms);
    if (!isfinite(error))
        return err_set(ERR_FORMAT, "rows of the prepared model are not finite, though those of the "
                                   "original are");
    *fve = variance > 0 ? 1 - error / variance : NAN;
    return ERR_OK;
}

/* Text of the run, or random tokens where there is too little: how many rows. */
static uint32_t take_text(struct pair *p, uint32_t contexts, uint32_t context_tokens, int *is_text)
{
    const struct llama_compare_options *o = p->options;
    uint32_t filled = 0;
    random_tokens(p, contexts, context_tokens);
    *is_text =
        o->text &&
        o->text(o->text_arg, p->original, contexts, context_tokens, p->tokens, &filled) == ERR_OK &&
        filled >= COMPARE_LEAST_ROWS;
    if (*is_text) return filled;
    random_tokens(p, contexts, context_tokens);
    return contexts * context_tokens;
}

static int do_text(struct llama_trial *trial, void *arg, void *answer)
{
    const struct llama_compare_options *o = arg;
    struct llama_distance *d = answer;
    struct pair pair = {0};
    uint32_t n = o->context_tokens < TEXT_CONTEXT_TOKENS ? o->context_tokens : TEXT_CONTEXT_TOKENS;
    uint32_t contexts = (COMPARE_TEXT_ROWS + n - 1) / n;
    int result = open_pair(&pair, o, n);
    if (result == ERR_OK) result = make_room(&pair, contexts, n, (size_t)contexts * n);
    if (result != ERR_OK) return result;
    uint32_t rows = take_text(&pair, contexts, n, &d->is_text);
    llama_trial_tell(trial,
                     "measuring how far the prepared model's rows are from the original's, "
                     "once: %u rows",
                     rows);
    for (uint32_t at = 0; at < rows && result == ERR_OK; at += n)
        result = run_both(&pair, pair.tokens + at, rows - at < n ? rows - at : n,
                          pair.a + at * pair.width, pair.b + at * pair.width);
    if (result != ERR_OK) return result;
    worst_of(&pair, rows, d);
    d->fve = INFINITY;
    size_t offset = 0;
    for (uint32_t h = 0; h < pair.hooks.count && result == ERR_OK; h++) {
        double fve = NAN;
        result = fve_of(&pair, rows, offset, pair.hooks.hook[h].width, n, &fve);
        if (!isnan(d->fve) && !(fve >= d->fve)) d->fve = fve; /* unknown of one: unknown of all */
        offset += pair.hooks.hook[h].width;
    }
    return result;
}

int llama_compare_text(const struct llama_compare_options *o, struct llama_distance *distance)
{
    *distance = (struct llama_distance){0};
    return llama_trial_run("comparing the model with its prepared form", do_text, (void *)o,
                           distance, sizeof *distance, o->tell, o->tell_arg);
}
