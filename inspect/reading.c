#include "inspect/reading.h"

#include "base/err.h"
#include "inspect/fidelity.h"

#include <stdlib.h>
#include <string.h>

struct pass {
    struct reading *reading;
    struct steering *steering; /* NULL: the model as it is */
    double kl;
};

/* ---- as it is ---- */

static int keep_rows(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values)
{
    struct pass *p = arg;
    struct reading *r = p->reading;
    if (hook >= r->hooks) return ERR_OK;
    size_t width = p->steering->of[hook].subject->width;
    memcpy(r->rows[hook] + first * width, values, rows * width * sizeof *values);
    return ERR_OK;
}

static int keep_logits(void *arg, uint32_t first, uint32_t rows, const float *logits)
{
    struct reading *r = ((struct pass *)arg)->reading;
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t position = first + i, at = position - r->first;
        const float *of = logits + (size_t)i * r->vocabulary;
        if (position < r->first || at >= r->count) continue;
        memcpy(r->logits + (size_t)at * r->vocabulary, of, r->vocabulary * sizeof *of);
        r->log_sum[at] = fidelity_log_sum(of, r->vocabulary);
        if (position + 1 >= r->tokens) continue;
        r->nats += r->log_sum[at] - (double)of[r->token[position + 1]];
        r->followed++;
    }
    return ERR_OK;
}

static int make_room(struct reading *r, const struct steering *s)
{
    r->token = malloc((r->tokens + 1) * sizeof *r->token);
    r->logits = malloc(((size_t)r->count * r->vocabulary + 1) * sizeof *r->logits);
    r->log_sum = malloc((r->count + 1) * sizeof *r->log_sum);
    int is_there = r->token && r->logits && r->log_sum;
    for (r->hooks = 0; r->hooks < s->count && is_there; r->hooks++) {
        size_t values = (size_t)r->tokens * s->of[r->hooks].subject->width;
        r->rows[r->hooks] = malloc((values + 1) * sizeof **r->rows);
        is_there = r->rows[r->hooks] != NULL;
    }
    return is_there ? ERR_OK
                    : err_set(ERR_NOMEM, "no memory for the logits of %u tokens; HINT: --tokens",
                              r->count);
}

int reading_make(const int32_t *tokens, uint32_t count, uint32_t first, const struct steering *s,
                 struct llama_player *player, struct reading *reading)
{
    struct reading r = {.tokens = count, .first = first, .count = count - first};
    struct pass p = {.reading = &r, .steering = (struct steering *)s}; /* whose widths are read */
    struct llama_player_watch watch = {keep_rows, keep_logits, &p};
    r.vocabulary = (uint32_t)llama_runner_tokens(llama_player_runner(player));
    if (first >= count || r.count > READING_MOST_TOKENS)
        return err_set(ERR_LIMIT, "a text of %u tokens to compare where %d are the most", r.count,
                       READING_MOST_TOKENS);
    int result = make_room(&r, s);
    llama_player_clear(player);
    if (result == ERR_OK) memcpy(r.token, tokens, count * sizeof *tokens);
    if (result == ERR_OK) result = llama_player_feed(player, tokens, count, &watch);
    if (result != ERR_OK)
        reading_free(&r);
    else
        *reading = r;
    return result;
}

void reading_free(struct reading *r)
{
    free(r->token);
    free(r->logits);
    free(r->log_sum);
    for (uint32_t h = 0; h < r->hooks; h++) free(r->rows[h]);
    *r = (struct reading){0};
}

/* ---- steered ---- */

static int steer(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values)
{
    struct pass *p = arg;
    if (hook >= p->steering->count) return ERR_OK;
    return clamp_rows(&p->steering->of[hook], first, rows, values);
}

static int compare(void *arg, uint32_t first, uint32_t rows, const float *logits)
{
    struct pass *p = arg;
    const struct reading *r = p->reading;
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t position = first + i, at = position - r->first;
        double ce, kl;
        if (position < r->first || at >= r->count) continue;
        fidelity_compare(r->logits + (size_t)at * r->vocabulary, r->log_sum[at],
                         logits + (size_t)i * r->vocabulary, r->vocabulary, -1, &ce, &kl);
        p->kl += kl;
    }
    return ERR_OK;
}

int reading_compare(const struct reading *r, struct steering *s, struct llama_player *player,
                    double *kl)
{
    struct pass p = {.reading = (struct reading *)r, .steering = s}; /* which is read alone */
    struct llama_player_watch watch = {steer, compare, &p};
    llama_player_clear(player);
    int result = llama_player_feed(player, r->token, r->tokens, &watch);
    *kl = p.kl;
    return result;
}

/* ---- what fires ---- */

int reading_firings(const struct reading *r, const struct steering *s, uint32_t from,
                    uint64_t *firings)
{
    int result = ERR_OK;
    *firings = 0;
    for (uint32_t h = 0; h < r->hooks && result == ERR_OK; h++) {
        const struct clamps *c = &s->of[h];
        const float *rows = r->rows[h] + (size_t)from * c->subject->width;
        struct pairs pairs = {0};
        result = subject_encode(c->subject, rows, r->tokens - from, &pairs);
        for (uint64_t i = 0; i < pairs.count && result == ERR_OK; i++)
            for (uint32_t k = 0; k < c->count; k++)
                *firings += pairs.feature[i] == c->clamp[k].feature;
        pairs_free(&pairs);
    }
    return result;
}
