#include "inspect/evaluation.h"

#include "base/err.h"
#include "inspect/firing.h"
#include "sae/cpu/pool.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 256 };

struct evaluation {
    struct subject *subject;
    struct llama_player *player;
    uint32_t vocabulary, context_tokens;
    int splices_first; /* position 0 and rows beyond the limit are rows like others */

    /* Of the context under way. */
    const int32_t *tokens;
    uint32_t count;
    enum fidelity_way way;
    uint8_t *special;      /* (context_tokens): special tokens, and what keeps its row with them */
    float *rows, *made;    /* (context_tokens, width): x and x' */
    float *clean, *logits; /* (context_tokens, vocabulary): of the model, of a pass */
    double *log_sum;       /* (context_tokens): of clean */
    struct fidelity_prediction *prediction; /* (context_tokens) */

    /* With 0 in place of the whole residual stream nothing is left of the tokens: the logits of a
     * position are the same in every context. Two contexts tell whether it is so. */
    enum { UNKNOWN, SAME, DIFFERENT } zeros;
    float *zero_logits; /* (zero_count, vocabulary) of the context_tokens, of the first context */
    int32_t *zero_tokens;
    uint32_t zero_count;
};

int evaluation_open(struct subject *subject, struct llama_player *player,
                    const struct llama_hooks *hooks, uint32_t context_tokens, int splices_first,
                    struct evaluation **evaluation)
{
    int result = subject_is_dictionary(subject, "eval");
    if (result == ERR_OK) result = firing_check_widths(subject, hooks);
    if (result != ERR_OK) return result;
    struct evaluation *e = calloc(1, sizeof *e);
    if (!e) return err_set(ERR_NOMEM, "no memory to evaluate");
    size_t n = context_tokens;
    e->subject = subject;
    e->player = player;
    e->context_tokens = context_tokens;
    e->splices_first = splices_first;
    e->vocabulary = (uint32_t)llama_runner_tokens(llama_player_runner(player));
    e->special = malloc(n);
    e->rows = malloc(n * subject->width * sizeof *e->rows);
    e->made = malloc(n * subject->width * sizeof *e->made);
    e->clean = malloc(n * e->vocabulary * sizeof *e->clean);
    e->logits = malloc(n * e->vocabulary * sizeof *e->logits);
    e->log_sum = malloc(n * sizeof *e->log_sum);
    e->prediction = malloc(n * sizeof *e->prediction);
    e->zero_logits = malloc(n * e->vocabulary * sizeof *e->zero_logits);
    e->zero_tokens = malloc(n * sizeof *e->zero_tokens);
    if (!e->zero_logits || !e->zero_tokens || !e->special || !e->rows || !e->made || !e->clean ||
        !e->logits || !e->log_sum || !e->prediction) {
        evaluation_close(e);
        return err_set(ERR_NOMEM, "no memory for the logits of %u tokens; HINT: lower --context",
                       context_tokens);
    }
    *evaluation = e;
    return ERR_OK;
}

void evaluation_close(struct evaluation *e)
{
    if (!e) return;
    free(e->special);
    free(e->rows);
    free(e->made);
    free(e->clean);
    free(e->logits);
    free(e->log_sum);
    free(e->prediction);
    free(e->zero_logits);
    free(e->zero_tokens);
    free(e);
}

/* ---- what the model computes ---- */

/* A hook's part of a row. */
static float *part(const struct evaluation *e, float *rows, uint32_t row, uint32_t hook)
{
    size_t at = 0;
    for (uint32_t h = 0; h < hook; h++) at += e->subject->hook_width[h];
    return rows + (size_t)row * e->subject->width + at;
}

static int edit(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values)
{
    struct evaluation *e = arg;
    size_t width = e->subject->hook_width[hook];
    for (uint32_t r = 0; r < rows; r++) {
        float *value = values + r * width;
        if (e->way == FIDELITY_CLEAN)
            memcpy(part(e, e->rows, first + r, hook), value, width * sizeof *value);
        else if (e->way == FIDELITY_ZERO)
            memset(value, 0, width * sizeof *value);
        else if (!e->special[first + r])
            memcpy(value, part(e, e->made, first + r, hook), width * sizeof *value);
    }
    return ERR_OK;
}

static int keep_logits(void *arg, uint32_t first, uint32_t rows, const float *logits)
{
    struct evaluation *e = arg;
    float *to = e->way == FIDELITY_CLEAN ? e->clean : e->logits;
    memcpy(to + (size_t)first * e->vocabulary, logits,
           (size_t)rows * e->vocabulary * sizeof *logits);
    return ERR_OK;
}

/* ---- zeros ---- */

static int reuses_zeros(const struct evaluation *e)
{
    return e->way == FIDELITY_ZERO && e->zeros == SAME && e->count <= e->zero_count;
}

/* After a pass of zeros that was run. */
static void learn_zeros(struct evaluation *e)
{
    size_t both = e->count < e->zero_count ? e->count : e->zero_count;
    size_t logits_bytes = both * e->vocabulary * sizeof *e->logits;
    if (e->zeros != UNKNOWN) return;
    if (e->zero_count == 0) {
        e->zero_count = e->count;
        memcpy(e->zero_tokens, e->tokens, e->count * sizeof *e->tokens);
        memcpy(e->zero_logits, e->logits, e->count * (size_t)e->vocabulary * sizeof *e->logits);
    } else if (memcmp(e->zero_tokens, e->tokens, both * sizeof *e->tokens) != 0) {
        e->zeros = memcmp(e->zero_logits, e->logits, logits_bytes) == 0 ? SAME : DIFFERENT;
    }
}

/* ---- a pass ---- */

/* What token `item` predicts, by the logits of this pass. */
static void compare(void *arg, uint32_t item, uint32_t thread)
{
    struct evaluation *e = arg;
    const float *clean = e->clean + (size_t)item * e->vocabulary;
    const float *changed = reuses_zeros(e) ? e->zero_logits : e->logits;
    const float *logits = changed + (size_t)item * e->vocabulary;
    struct fidelity_prediction *p = &e->prediction[item];
    int32_t next = item + 1 < e->count ? e->tokens[item + 1] : -1;
    (void)thread;
    if (e->special[item]) return;
    if (e->way != FIDELITY_CLEAN) {
        fidelity_compare(clean, e->log_sum[item], logits, e->vocabulary, next, &p->ce[e->way],
                         &p->kl[e->way]);
        return;
    }
    e->log_sum[item] = fidelity_log_sum(clean, e->vocabulary);
    p->has_next = next >= 0;
    p->ce[FIDELITY_CLEAN] = p->has_next ? e->log_sum[item] - (double)clean[next] : 0;
    p->kl[FIDELITY_CLEAN] = 0;
}

static int pass(struct evaluation *e, enum fidelity_way way)
{
    struct llama_player_watch watch = {edit, keep_logits, e};
    int result = ERR_OK;
    e->way = way;
    if (!reuses_zeros(e)) {
        llama_player_clear(e->player);
        result = llama_player_feed(e->player, e->tokens, e->count, &watch);
        if (result == ERR_OK && way == FIDELITY_ZERO) learn_zeros(e);
    }
    if (result == ERR_OK) pool_run(e->subject->pool, compare, e, e->count);
    return result;
}

/* ---- a context ---- */

static enum fidelity_class class_of(const struct evaluation *e, uint32_t i)
{
    char text[TEXT_BYTES];
    size_t n = llama_runner_text(llama_player_runner(e->player), e->tokens[i], text, sizeof text);
    return fidelity_class_of(text, n < sizeof text ? n : sizeof text - 1);
}

static int add_rows(struct evaluation *e, const struct pairs *pairs, struct fidelity *f)
{
    int result = ERR_OK;
    size_t width = e->subject->width;
    for (uint32_t i = 0; i < e->count && result == ERR_OK; i++) {
        if (e->special[i]) continue;
        uint64_t begin = pairs->start[i];
        result = fidelity_add_row(f, i, class_of(e, i), e->rows + i * width, e->made + i * width,
                                  pairs->feature + begin, pairs->start[i + 1] - begin);
    }
    return result;
}

/* One sink's row is a hundred times as long as others: spliced in, it would be all that is measured. */
static void leave_out_beyond(struct evaluation *e, struct fidelity *f)
{
    for (uint32_t i = 0; i < e->count && !e->splices_first; i++) {
        if (e->special[i]) continue;
        if (subject_keeps(e->subject, 0, 0, e->rows + (size_t)i * e->subject->width)) continue;
        e->special[i] = 1;
        f->beyond_limit++;
    }
}

static int reconstruct(struct evaluation *e, struct fidelity *f)
{
    struct pairs pairs;
    int result = subject_encode(e->subject, e->rows, e->count, &pairs);
    if (result != ERR_OK) return result;
    subject_decode(e->subject, e->rows, &pairs, e->made);
    result = add_rows(e, &pairs, f);
    pairs_free(&pairs);
    return result;
}

int evaluation_add(struct evaluation *e, const int32_t *tokens, uint32_t count, struct fidelity *f)
{
    if (count > e->context_tokens)
        return err_set(ERR_LIMIT, "a context of %u tokens where %u are the most", count,
                       e->context_tokens);
    e->tokens = tokens;
    e->count = count;
    for (uint32_t i = 0; i < count; i++)
        e->special[i] =
            (uint8_t)((i == 0 && !e->splices_first) ||
                      llama_runner_is_special(llama_player_runner(e->player), tokens[i]));
    int result = pass(e, FIDELITY_CLEAN);
    if (result == ERR_OK) leave_out_beyond(e, f);
    if (result == ERR_OK) result = reconstruct(e, f);
    if (result == ERR_OK) result = pass(e, FIDELITY_SPLICED);
    if (result == ERR_OK) result = pass(e, FIDELITY_ZERO);
    for (uint32_t i = 0; i < count && result == ERR_OK; i++)
        if (!e->special[i]) fidelity_add_prediction(f, i, class_of(e, i), &e->prediction[i]);
    return result;
}
