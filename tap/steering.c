#include "tap/steering.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "engine/llama_hooks.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int read_own(const char *path, char **data, size_t *bytes)
{
    struct stat st;
    int fd, result = own_open(path, O_RDONLY, &fd);
    if (result != ERR_OK) return result;
    result =
        fstat(fd, &st) == 0 ? own_judge("file", path, &st) : file_error("cannot look at", path);
    if (result == ERR_OK) result = file_read_from(fd, path, STEER_MAX_BYTES, data, bytes);
    close(fd);
    return result;
}

int steering_read(const char *path, struct steering **out)
{
    char *data = NULL;
    size_t bytes;
    *out = NULL;
    int result = read_own(path, &data, &bytes);
    if (result != ERR_OK) return result;
    struct steering *s = calloc(1, sizeof *s);
    result = s ? steer_check(data, bytes, &s->table) : err_set(ERR_NOMEM, "no memory to steer");
    if (result != ERR_OK) {
        free(data);
        free(s);
        return result;
    }
    *out = s;
    return ERR_OK;
}

void steering_free(struct steering *s)
{
    if (s) free(s->table.facts); /* where its memory begins */
    free(s);
}

int steering_check(const struct steering *s, const struct library *l,
                   const struct llama_model *model)
{
    const struct steer_facts *f = s->table.facts;
    int32_t layers = l->llama_model_n_layer(model), layer = llama_hooks_layer_of(f->node);
    uint32_t width = (uint32_t)l->llama_model_n_embd(model);
    if (f->width != width)
        return err_set(ERR_USAGE, "%s was trained on rows of %u values, and this model has %u",
                       f->sae, f->width, width);
    if (layer >= layers - 1)
        return err_set(
            ERR_USAGE,
            "%s: the model has layers 0 to %d, and the last is computed for tokens whose "
            "logits are wanted alone",
            f->hook, layers - 1);
    return ERR_OK;
}

uint32_t steering_change(const struct steering *s, const struct library *l,
                         const struct special *special, uint32_t n, float *rows,
                         const int32_t *tokens, const int32_t *positions)
{
    uint32_t changed = 0;
    for (uint32_t r = 0; r < n; r++) {
        float *row = rows + (size_t)r * s->table.facts->width;
        struct steer_token token = {(uint32_t)special_is(special, l, tokens[r]), positions[r] == 0};
        if (!steer_applies(&s->table, &token, row)) continue;
        steer_row(&s->table, row);
        changed++;
    }
    return changed;
}
