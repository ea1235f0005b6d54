#include "tap/outlet.h"

#include "base/err.h"
#include "proto/ring.h"

#include <ctype.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int outlet_check(const struct library *l, const struct llama_model *model,
                 const struct llama_hooks *hooks)
{
    int32_t layers = l->llama_model_n_layer(model);
    for (uint32_t h = 0; h < hooks->count; h++) {
        if (hooks->hook[h].layer >= layers)
            return err_set(ERR_USAGE, "hook %s: the model has layers 0 to %d", hooks->hook[h].name,
                           layers - 1);
        if (hooks->hook[h].layer == layers - 1 && layers > 1)
            return err_set(ERR_USAGE,
                           "hook %s: a server computes the last layer only for tokens whose "
                           "logits it wants; HINT: use layer %d or below",
                           hooks->hook[h].name, layers - 2);
    }
    return ERR_OK;
}

/* The residual stream is as wide as the model; all else is to be learned. */
static void note_widths(struct outlet *o, uint32_t width)
{
    for (uint32_t h = 0; h < o->hooks.count; h++) {
        int is_residual = o->hooks.hook[h].point == POINT_NODE &&
                          strncmp(o->hooks.hook[h].node, "l_out-", 6) == 0;
        o->hooks.hook[h].width = is_residual ? width : 0;
    }
}

void outlet_unlearn(struct outlet *o)
{
    note_widths(o, o->model_width);
}

int outlet_make(const struct library *l, const struct llama_model *model,
                const struct llama_hooks *hooks, struct outlet **outlet)
{
    static _Atomic uint32_t numbers;
    *outlet = NULL;
    int result = outlet_check(l, model, hooks);
    if (result != ERR_OK) return result;
    struct outlet *o = calloc(1, sizeof *o);
    if (!o) return err_set(ERR_NOMEM, "no memory for the tap's hooks");
    o->hooks = *hooks;
    o->model = model;
    o->number = atomic_fetch_add(&numbers, 1) + 1;
    o->model_width = (uint32_t)l->llama_model_n_embd(model);
    outlet_unlearn(o);
    *outlet = o;
    return ERR_OK;
}

void outlet_free(struct outlet *o)
{
    if (o) sluice_close(o->sluice);
    free(o);
}

int outlet_is_to_learn(const struct outlet *o)
{
    for (uint32_t h = 0; h < o->hooks.count; h++)
        if (!o->hooks.hook[h].width) return 1;
    return 0;
}

/* A model's name for people: its file's, without folder and ending. */
static void name_model(const char *file, char *name, size_t bytes)
{
    const char *slash = strrchr(file, '/');
    int n = snprintf(name, bytes, "%s", slash ? slash + 1 : file);
    if (n > 5 && (size_t)n < bytes && strcmp(name + n - 5, ".gguf") == 0) name[n - 5] = '\0';
}

/* "q4_1": the last word of what libllama says of a model, "llama 135M Q4_1". */
static void name_precision(const struct outlet *o, const struct library *l, char *out, size_t bytes)
{
    char text[200] = "";
    l->llama_model_desc(o->model, text, sizeof text);
    const char *blank = strrchr(text, ' ');
    snprintf(out, bytes, "%.31s", blank ? blank + 1 : "");
    for (char *c = out; *c; c++) *c = (char)tolower((unsigned char)*c);
}

static int adds_bos(const struct outlet *o, const struct library *l)
{
    const struct llama_vocab *vocab = l->llama_model_get_vocab(o->model);
    return l->llama_vocab_type(vocab) != LLAMA_VOCAB_TYPE_NONE && l->llama_vocab_get_add_bos(vocab);
}

double outlet_rate(const struct outlet *o, const struct outlet_options *options)
{
    uint32_t width = 0;
    double rows = options->rows_per_second;
    if (!options->bytes_per_second) return rows;
    for (uint32_t h = 0; h < o->hooks.count; h++) width += o->hooks.hook[h].width;
    double of_bytes = ring_rate_of_bytes(width, options->is_f32 ? DTYPE_F32 : DTYPE_BF16,
                                         options->bytes_per_second);
    of_bytes = fmin(fmax(of_bytes, RING_LOWEST_RATE), RING_HIGHEST_RATE);
    return rows > 0 ? fmin(rows, of_bytes) : of_bytes;
}

int outlet_open(struct outlet *o, const struct library *l, const struct outlet_options *options,
                const char *file, uint64_t key)
{
    struct sluice_hook hooks[ROW_MAX_HOOKS];
    char model[200], precision[32];
    if (!key)
        return err_set(
            ERR_USAGE,
            "the file of the model is not known, or cannot be read, so that nobody could "
            "tell its rows from those of another");
    name_precision(o, l, precision, sizeof precision);
    name_model(file, model, sizeof model);
    for (uint32_t h = 0; h < o->hooks.count; h++)
        hooks[h] = (struct sluice_hook){o->hooks.hook[h].name, o->hooks.hook[h].width};
    struct sluice_options open = {.size = sizeof open,
                                  .stream = options->stream,
                                  .hooks = hooks,
                                  .hooks_count = o->hooks.count,
                                  .dtype = options->is_f32 ? SLUICE_F32 : SLUICE_BF16,
                                  .ring_bytes = options->ring_bytes,
                                  .folder = options->folder[0] ? options->folder : NULL,
                                  .model = model,
                                  .model_file = file,
                                  .model_key = key,
                                  .share = options->share,
                                  .rows_per_second = outlet_rate(o, options),
                                  .starts_off = options->starts_off,
                                  .precision = precision,
                                  .prepends_bos = adds_bos(o, l)};
    if (sluice_open(&open, &o->sluice) == SLUICE_OK) return ERR_OK;
    char why[600];
    snprintf(why, sizeof why, "%s", sluice_error());
    return err_set(ERR_IO, "%s", why);
}
