#include "inspect/gather.h"

#include "base/err.h"

#include <inttypes.h>
#include <stdlib.h>

struct gather {
    const struct gather_options *options;
    struct survey_state *state;
    struct block block;
};

static int check(const struct subject *s, const struct engine_info *info)
{
    if (info->hooks != s->hooks || info->width != s->width)
        return err_set(
            ERR_USAGE,
            "%s sees rows of %u values from %u hooks, and the rows have %u from %u; HINT: "
            "--model, the model that it was trained on",
            s->name, s->width, s->hooks, info->width, info->hooks);
    for (uint32_t h = 0; h < s->hooks; h++)
        if (info->hook[h].width != s->hook_width[h])
            return err_set(ERR_USAGE,
                           "%s has rows of %u values at %s, and the model has %u; HINT: --model, "
                           "the model that it was trained on",
                           s->name, s->hook_width[h], s->hook[h], info->hook[h].width);
    return ERR_OK;
}

static int add_block(struct gather *g, const struct cursor *next)
{
    int result = block_write(&g->block);
    g->state->kept_rows = g->block.kept_rows;
    g->state->rows = g->block.records->rows;
    g->state->fired = g->block.records->fired;
    g->state->cursor = *next;
    return result;
}

static int take_batch(struct gather *g, const struct engine_batch *batch, int *ends)
{
    uint64_t most = g->options->most_rows ? g->options->most_rows : UINT64_MAX;
    size_t width = g->block.subject->width;
    for (size_t i = 0; i < batch->rows; i++) {
        block_add(&g->block, &batch->ids[i], batch->flags[i], batch->values + i * width);
        *ends = g->state->rows + g->block.rows >= most;
        if (g->block.rows < GATHER_ROWS && !*ends) continue;
        int result = add_block(g, &batch->cursors[i + 1]);
        if (result == ERR_OK && !*ends)
            result = g->options->after(g->options->arg, g->block.records, g->state);
        if (result != ERR_OK || *ends) return result;
    }
    return ERR_OK;
}

static int run(struct gather *g, struct engine *engine)
{
    struct engine_batch batch;
    int ends = g->options->most_rows && g->state->rows >= g->options->most_rows;
    int result = g->state->rows ? engine_seek(engine, &g->state->cursor) : ERR_OK;
    while (result == ERR_OK && !ends) {
        result = engine_next(engine, &batch);
        if (result != ERR_OK) break;
        if (batch.rows)
            result = take_batch(g, &batch, &ends);
        else if (g->block.rows)
            result = add_block(g, &batch.cursors[0]);
        ends |= batch.rows == 0;
    }
    return result;
}

int gather_run(struct subject *subject, struct engine *engine, const struct gather_options *options,
               struct records *records, struct survey_state *state)
{
    struct gather *g = calloc(1, sizeof *g);
    int result = check(subject, engine_info(engine));
    if (result == ERR_OK && !g) result = err_set(ERR_NOMEM, "no memory to read rows");
    if (result == ERR_OK) {
        g->options = options;
        g->state = state;
        result = block_init(&g->block, subject, records);
        g->block.kept_rows = state->kept_rows;
    }
    if (result == ERR_OK) result = run(g, engine);
    if (g) block_fini(&g->block);
    free(g);
    return result;
}
