/* What `sluice steer --additive` adds, as a control vector for llama.cpp's own programs. */
#include "cli/steer.h"

#include "base/err.h"
#include "engine/llama_control.h"

#include <stdlib.h>

int steer_check_export(const struct steer *s)
{
    const char *file = options_get(s->options, "export");
    int32_t layer;
    if (!file) return ERR_OK;
    int result = steer_check_free("export", file);
    if (result == ERR_OK && s->strengths.count)
        result = err_set(ERR_USAGE, "--export takes one strength, and --sweep tries several; HINT: "
                                    "sweep first, and export the one that is good");
    if (result == ERR_OK && !options_get(s->options, "additive"))
        result = err_set(ERR_USAGE, "a clamp moves each row by another amount, so it is no control "
                                    "vector; HINT: --additive");
    for (uint32_t h = 0; h < s->hooks.count && result == ERR_OK; h++)
        result = llama_control_layer(&s->hooks, h, &layer);
    return result;
}

/* What all of a hook's clamps add, rounded once, as clamp_rows() does. */
static void sum_up(const struct clamps *c, float *out)
{
    for (uint32_t i = 0; i < c->subject->width; i++) {
        double sum = 0;
        for (uint32_t k = 0; k < c->count; k++)
            sum += clamp_value(&c->clamp[k]) *
                   (double)subject_direction(c->subject, c->clamp[k].feature)[i];
        out[i] = (float)sum;
    }
}

int steer_export(const struct steer *s, const char *file)
{
    struct llama_control control[STEERING_MOST];
    uint32_t width = s->subject[0].width, count = s->steering.count;
    float *sums = malloc((size_t)count * width * sizeof *sums);
    char *data = NULL;
    size_t bytes = 0;
    int result = sums ? ERR_OK : err_set(ERR_NOMEM, "no memory for a control vector");
    for (uint32_t h = 0; h < count && result == ERR_OK; h++) {
        control[h].direction = sums + (size_t)h * width;
        result = llama_control_layer(&s->hooks, h, &control[h].layer);
        if (result == ERR_OK) sum_up(&s->steering.of[h], sums + (size_t)h * width);
    }
    if (result == ERR_OK)
        result = llama_control_make(llama_player_runner(s->player), control, count, width, &data,
                                    &bytes);
    if (result == ERR_OK) result = steer_write("export", file, data, bytes);
    free(data);
    free(sums);
    return result;
}
