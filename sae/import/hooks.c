/* The layout of our own for transcoders, crosscoders and clts: docs/EXPORTS.md lays it down. */
#include "sae/import/import.h"

#include "base/err.h"
#include "base/row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 24 };

/* A word of cfg.json out of a list: its place. ERR_FORMAT: there is none, ERR_VERSION: another. */
static int word(const struct import *from, const char *key, const char *const *words, int count,
                int *place)
{
    const char *text = json_string_value(json_object_get(from->cfg, key));
    if (!text) return err_set(ERR_FORMAT, "%s/cfg.json: it has no %s", from->path, key);
    for (int i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0) {
            *place = i;
            return ERR_OK;
        }
    return err_set(ERR_VERSION, "%s/cfg.json: %s is '%.60s', which this build does not read",
                   from->path, key, text);
}

/* Of the hooks on one side: how many, and the width that all of them have. */
static int side(const struct import *from, const char *key, uint32_t *hooks, uint32_t *width)
{
    json_t *list = json_object_get(from->cfg, key);
    size_t count = json_array_size(list);
    json_int_t first = 0;
    if (count < 1 || count > ROW_MAX_HOOKS)
        return err_set(ERR_FORMAT, "%s/cfg.json: '%s' is not a list of 1 to %d hooks", from->path,
                       key, ROW_MAX_HOOKS);
    for (size_t i = 0; i < count; i++) {
        json_int_t n = json_integer_value(json_object_get(json_array_get(list, i), "width"));
        if (n < 1 || n > SAE_MAX_WIDTH || (i > 0 && n != first))
            return err_set(ERR_FORMAT, "%s/cfg.json: hook %zu of '%s' has no width, or another",
                           from->path, i, key);
        first = n;
    }
    *hooks = (uint32_t)count;
    *width = (uint32_t)first;
    return ERR_OK;
}

/* Widths and hooks of one that reads `in` and writes `out`. */
static int shape(const struct import *from, struct sae_options *o)
{
    int crosses = o->arch == SAE_CROSSCODER, layers = o->arch == SAE_CLT;
    uint32_t hooks, in, hooks_out, out;
    int result = side(from, "in", &hooks, &in);
    if (result == ERR_OK) result = side(from, "out", &hooks_out, &out);
    if (result != ERR_OK) return result;
    if (hooks != hooks_out || (crosses && in != out) || (!crosses && !layers && hooks != 1))
        return err_set(ERR_FORMAT, "%s/cfg.json: 'in' and 'out' are not those of a %s", from->path,
                       sae_arch_name(o->arch));
    if ((uint64_t)hooks * (in + (crosses ? 0 : out)) > SAE_MAX_WIDTH)
        return err_set(ERR_FORMAT, "%s/cfg.json: all hooks together are wider than %d", from->path,
                       SAE_MAX_WIDTH);
    o->hooks = hooks;
    o->width = hooks * (in + (crosses ? 0 : out));
    o->width_in = crosses ? 0 : hooks * in;
    return ERR_OK;
}

/* The name of hook h's tensor. */
static const char *name_of(char name[NAME_BYTES], const char *tensor, uint32_t h)
{
    snprintf(name, NAME_BYTES, "%s.%u", tensor, h);
    return name;
}

/* Of a clt each layer's: of its own features, which write that layer and all later ones. */
static int check_layers(const struct import *from)
{
    const struct sae_options *o = &from->options;
    uint32_t in = sae_in_width(o), out = sae_out_width(o) / o->hooks;
    char name[NAME_BYTES];
    int result = ERR_OK;
    if (o->features % o->hooks != 0)
        return err_set(ERR_FORMAT, "%s/cfg.json: d_sae is no multiple of its %u layers", from->path,
                       o->hooks);
    for (uint32_t l = 0; l < o->hooks && result == ERR_OK; l++) {
        uint32_t features = o->features / o->hooks;
        result = import_has(from, name_of(name, "W_enc", l), features, in, 1);
        if (result == ERR_OK)
            result = import_has(from, name_of(name, "W_dec", l), features, (o->hooks - l) * out, 0);
    }
    return result;
}

static int check_tensors(const struct import *from)
{
    const struct sae_options *o = &from->options;
    char name[NAME_BYTES];
    int result = ERR_OK;
    if (o->arch == SAE_CLT) return check_layers(from);
    for (uint32_t h = 0; h < o->hooks && result == ERR_OK; h++) {
        uint32_t in = sae_in_width(o) / o->hooks, out = sae_out_width(o) / o->hooks;
        result = import_has(from, name_of(name, "W_enc", h), o->features, in, 1);
        if (result == ERR_OK)
            result = import_has(from, name_of(name, "W_dec", h), o->features, out, 0);
    }
    return result;
}

int import_hooks_options(struct import *from)
{
    static const char *const formats[] = {"sluice-hooks-1"};
    static const char *const archs[] = {"transcoder", "crosscoder", "clt"};
    static const enum sae_arch kinds[] = {SAE_TRANSCODER, SAE_CROSSCODER, SAE_CLT};
    static const char *const activations[] = {"relu", "topk", "jumprelu"};
    static const enum sae_arch ours[] = {SAE_L1, SAE_TOPK, SAE_BATCHTOPK};
    int format, kind = 0, activation = 0;
    struct sae_options *o = &from->options;
    int result = word(from, "format", formats, 1, &format);
    if (result == ERR_OK) result = word(from, "architecture", archs, 3, &kind);
    if (result == ERR_OK) result = word(from, "activation", activations, 3, &activation);
    if (result != ERR_OK) return result;
    sae_options_default(kinds[kind], o);
    o->activation = ours[activation];
    if (o->arch == SAE_CLT && o->activation != SAE_BATCHTOPK)
        return err_set(ERR_VERSION, "%s/cfg.json: a clt of activation '%s' is not read", from->path,
                       activations[activation]);
    if (o->arch != SAE_TRANSCODER && json_is_true(json_object_get(from->cfg, "skip")))
        return err_set(ERR_VERSION, "%s/cfg.json: a %s with a skip is not read", from->path,
                       archs[kind]);
    result = shape(from, o);
    if (result == ERR_OK) result = import_number(from, "d_sae", SAE_MAX_FEATURES, &o->features);
    o->skip = o->arch == SAE_TRANSCODER && json_is_true(json_object_get(from->cfg, "skip"));
    o->k = 1; /* elsewhere it decides nothing */
    if (result == ERR_OK && o->activation == SAE_TOPK)
        result = import_number(from, "k", o->features, &o->k);
    return result == ERR_OK ? check_tensors(from) : result;
}

/* A hook's tensor (rows, width) is columns [at, at + width) of `out` (rows, stride). */
static int part(const struct import *from, const char *name, uint32_t rows, uint32_t width,
                int transposed, float *out, uint32_t stride)
{
    float *read = malloc((size_t)rows * width * sizeof *read);
    if (!read) return err_set(ERR_NOMEM, "no memory for the tensor %s", name);
    int result = import_tensor(from, name, rows, width, transposed, read);
    for (uint32_t r = 0; result == ERR_OK && r < rows; r++)
        memcpy(out + (size_t)r * stride, read + (size_t)r * width, width * sizeof *read);
    free(read);
    return result;
}

static int hook(const struct import *from, struct encoder *e, uint32_t h)
{
    uint32_t hooks = e->options->hooks, in = e->width_in / hooks, out = e->width / hooks;
    char name[NAME_BYTES];
    int result = part(from, name_of(name, "W_enc", h), e->features, in, 1,
                      e->w.w_enc + (size_t)h * in, e->width_in);
    if (result == ERR_OK)
        result = part(from, name_of(name, "W_dec", h), e->features, out, 0,
                      e->w.w_dec + (size_t)h * out, e->width);
    if (result != ERR_OK) return result;
    return import_tensor(from, name_of(name, "b_dec", h), out, 0, 0, e->w.b_dec + (size_t)h * out);
}

/* Layer l of a clt: what its features write goes behind the zeros of the layers before. */
static int layer(const struct import *from, struct encoder *e, uint32_t l)
{
    uint32_t n = e->layer_features, at = l * n, out = e->width / e->layers;
    uint32_t writes = (e->layers - l) * out;
    char name[NAME_BYTES];
    int result = import_tensor(from, name_of(name, "W_enc", l), n, e->width_in, 1,
                               e->w.w_enc + (size_t)at * e->width_in);
    if (result == ERR_OK)
        result = import_tensor(from, name_of(name, "b_enc", l), n, 0, 0, e->w.b_enc + at);
    if (result == ERR_OK)
        result = import_tensor(from, name_of(name, "b_dec", l), out, 0, 0, e->w.b_dec + l * out);
    if (result == ERR_OK)
        result = import_thresholds(from, name_of(name, "threshold", l), n, e->threshold + at);
    if (result != ERR_OK) return result;
    return part(from, name_of(name, "W_dec", l), n, writes, 0,
                e->w.w_dec + (size_t)at * e->width + (e->width - writes), e->width);
}

int import_hooks_weights(const struct import *from, struct encoder *e)
{
    int result = ERR_OK;
    for (uint32_t l = 0; e->options->arch == SAE_CLT && l < e->layers && result == ERR_OK; l++)
        result = layer(from, e, l);
    if (e->options->arch == SAE_CLT)
        return result == ERR_OK ? import_subtracts(from, "subtracts_b_dec", e) : result;
    for (uint32_t h = 0; h < e->options->hooks && result == ERR_OK; h++) result = hook(from, e, h);
    if (result == ERR_OK) result = import_tensor(from, "b_enc", e->features, 0, 0, e->w.b_enc);
    if (result == ERR_OK) result = import_thresholds(from, "threshold", e->features, e->threshold);
    if (result == ERR_OK && e->w.w_skip)
        result = import_tensor(from, "W_skip", e->width, e->width_in, 0, e->w.w_skip);
    if (result != ERR_OK) return result;
    return import_subtracts(from, "subtracts_b_dec", e);
}
