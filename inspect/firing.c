#include "inspect/firing.h"

#include "base/err.h"
#include "engine/utf8.h"

#include <stdlib.h>
#include <string.h>

uint32_t firing_strongest(const struct firing *f, uint32_t row, uint32_t most,
                          struct firing_at *out)
{
    const struct pairs *p = &f->pairs;
    uint32_t count = 0;
    for (uint64_t i = p->start[row]; i < p->start[row + 1]; i++) {
        uint32_t at = count < most ? count++ : most;
        for (; at > 0 && out[at - 1].value < p->value[i]; at--)
            if (at < most) out[at] = out[at - 1];
        if (at < most) out[at] = (struct firing_at){p->feature[i], p->value[i]};
    }
    return count;
}

int firing_hooks(const struct subject *subject, struct llama_hooks *hooks)
{
    const char *names[ROW_MAX_HOOKS];
    for (uint32_t h = 0; h < subject->hooks; h++) names[h] = subject->hook[h];
    return llama_hooks_parse(names, subject->hooks, hooks);
}

int firing_tokens(const struct subject *subject, struct llama_runner *runner, const char *text,
                  uint32_t most, int32_t **tokens, uint32_t *count)
{
    const struct llama_special *special = llama_runner_special(runner);
    const int32_t *of_text;
    size_t length = strlen(text), n;
    if (!utf8_valid(text, length))
        return err_set(ERR_USAGE, "a prompt is not UTF-8; HINT: iconv -f FROM -t UTF-8");
    int result = llama_runner_tokenize(runner, text, length, &of_text, &n);
    if (result != ERR_OK) return result;
    int adds = subject->prepends_bos < 0 ? special->adds_bos : subject->prepends_bos;
    size_t bos = adds && special->bos >= 0;
    if (n == 0) return err_set(ERR_USAGE, "a prompt has no token; HINT: it is empty");
    if (n + bos > most)
        return err_set(ERR_USAGE,
                       "a prompt of %zu tokens, where %u are the most; HINT: a part of it", n + bos,
                       most);
    int32_t *all = malloc((n + bos) * sizeof *all);
    if (!all) return err_set(ERR_NOMEM, "no memory for a prompt");
    if (bos) all[0] = special->bos;
    memcpy(all + bos, of_text, n * sizeof *all);
    *tokens = all;
    *count = (uint32_t)(n + bos);
    return ERR_OK;
}

/* ---- rows ---- */

struct gathering {
    const struct subject *subject;
    float *rows;
};

static int gather(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values)
{
    const struct gathering *g = arg;
    const struct subject *s = g->subject;
    size_t width = s->hook_width[hook], at = 0;
    for (uint32_t h = 0; h < hook; h++) at += s->hook_width[h];
    for (uint32_t r = 0; r < rows; r++)
        memcpy(g->rows + (size_t)(first + r) * s->width + at, values + r * width,
               width * sizeof *values);
    return ERR_OK;
}

int firing_check_widths(const struct subject *s, const struct llama_hooks *hooks)
{
    for (uint32_t h = 0; h < s->hooks; h++)
        if (hooks->hook[h].width != s->hook_width[h])
            return err_set(
                ERR_USAGE,
                "%s has rows of %u values at %s, and the model has %u; HINT: --model, the "
                "model that it was trained on",
                s->name, s->hook_width[h], s->hook[h], hooks->hook[h].width);
    return ERR_OK;
}

static int run(struct subject *subject, struct llama_player *player, struct firing *f)
{
    struct gathering to = {subject, f->rows};
    struct llama_player_watch watch = {gather, NULL, &to};
    llama_player_clear(player);
    int result = llama_player_feed(player, f->tokens, f->count, &watch);
    return result == ERR_OK ? subject_encode(subject, f->rows, f->count, &f->pairs) : result;
}

int firing_make(struct subject *subject, struct llama_player *player,
                const struct llama_hooks *hooks, const char *text, uint32_t most,
                struct firing *firing)
{
    struct llama_runner *runner = llama_player_runner(player);
    struct firing f = {0};
    int result = firing_check_widths(subject, hooks);
    if (result == ERR_OK) result = firing_tokens(subject, runner, text, most, &f.tokens, &f.count);
    if (result != ERR_OK) return result;
    f.left_out = calloc(f.count, 1);
    f.rows = calloc((size_t)f.count * subject->width, sizeof *f.rows);
    if (!f.left_out || !f.rows) result = err_set(ERR_NOMEM, "no memory for a prompt's rows");
    if (result == ERR_OK) result = run(subject, player, &f);
    for (uint32_t i = 0; result == ERR_OK && i < f.count; i++) {
        int keeps = subject_keeps(subject, llama_runner_is_special(runner, f.tokens[i]), i == 0,
                                  f.rows + (size_t)i * subject->width);
        f.left_out[i] = (uint8_t)!keeps;
        f.counted += (uint32_t)keeps;
    }
    if (result != ERR_OK)
        firing_free(&f);
    else
        *firing = f;
    return result;
}

void firing_free(struct firing *f)
{
    pairs_free(&f->pairs);
    free(f->tokens);
    free(f->left_out);
    free(f->rows);
    *f = (struct firing){0};
}
