#include "inspect/gather.h"

#include "base/err.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct gather {
    struct subject *subject;
    const struct gather_options *options;
    struct records *records;
    struct survey_state *state;
    float *values; /* (GATHER_ROWS, width) */
    struct row_id id[GATHER_ROWS];
    uint8_t is_left_out[GATHER_ROWS];
    uint32_t rows; /* of the block at hand */
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

/* Whether the SAE was trained on such a row. */
static int is_known(const struct subject *s, uint8_t flags, const float *values)
{
    if ((flags & ENGINE_ROW_SPECIAL) && !s->keeps_special) return 0;
    if ((flags & ENGINE_ROW_FIRST) && !s->keeps_first) return 0;
    for (uint32_t h = 0; h < s->hooks; h++) {
        double square = 0, limit = s->hook_limit[h];
        for (uint32_t i = 0; i < s->hook_width[h]; i++)
            square += (double)values[i] * (double)values[i];
        if (!isfinite(square) || (limit > 0 && square > limit * limit)) return 0;
        values += s->hook_width[h];
    }
    return 1;
}

/* A row that is left out is encoded as 0, and what fires is dropped. */
static void take_row(struct gather *g, const struct engine_batch *batch, size_t i)
{
    uint32_t width = g->subject->width;
    const float *from = batch->values + i * width;
    float *to = g->values + (size_t)g->rows * width;
    int known = is_known(g->subject, batch->flags[i], from);
    if (known)
        memcpy(to, from, width * sizeof *to);
    else
        memset(to, 0, width * sizeof *to);
    g->id[g->rows] = batch->ids[i];
    g->is_left_out[g->rows++] = (uint8_t)!known;
}

static int add_block(struct gather *g, const struct cursor *next)
{
    struct pairs pairs;
    int result = subject_encode(g->subject, g->values, g->rows, &pairs);
    if (result != ERR_OK) return result;
    for (uint32_t r = 0; r < g->rows && result == ERR_OK; r++) {
        uint64_t at = pairs.start[r], n = g->is_left_out[r] ? 0 : pairs.start[r + 1] - at;
        g->state->kept_rows += !g->is_left_out[r];
        result = records_add(g->records, &g->id[r], g->is_left_out[r], pairs.feature + at,
                             pairs.value + at, n);
    }
    pairs_free(&pairs);
    g->rows = 0;
    g->state->rows = g->records->rows;
    g->state->fired = g->records->fired;
    g->state->cursor = *next;
    return result;
}

static int take_batch(struct gather *g, const struct engine_batch *batch, int *ends)
{
    uint64_t most = g->options->most_rows ? g->options->most_rows : UINT64_MAX;
    for (size_t i = 0; i < batch->rows; i++) {
        take_row(g, batch, i);
        *ends = g->state->rows + g->rows >= most;
        if (g->rows < GATHER_ROWS && !*ends) continue;
        int result = add_block(g, &batch->cursors[i + 1]);
        if (result == ERR_OK && !*ends)
            result = g->options->after(g->options->arg, g->records, g->state);
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
        else if (g->rows)
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
        *g = (struct gather){
            .subject = subject, .options = options, .records = records, .state = state};
        g->values = malloc((size_t)GATHER_ROWS * subject->width * sizeof *g->values);
        result = g->values ? run(g, engine) : err_set(ERR_NOMEM, "no memory to read rows");
        free(g->values);
    }
    free(g);
    return result;
}
