/* The layout of our own for transcoders and crosscoders: docs/EXPORTS.md lays it down. */
#include "sae/export/export.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/safetensors.h"
#include "sae/export/fold.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_HOOKS = 64, NAME_BYTES = 24 };

int export_hooks_has(const struct sae_options *o)
{
    return o->arch == SAE_TRANSCODER || (o->arch == SAE_CROSSCODER && o->hooks <= MAX_HOOKS);
}

static uint32_t hooks_of(const struct sae_options *o)
{
    return o->arch == SAE_CROSSCODER ? o->hooks : 1;
}

/* What is told of the hooks on one side. */
static json_t *sides(const struct sae_options *o, const char *name, const char *const *names,
                     uint32_t width)
{
    json_t *list = json_array();
    for (uint32_t h = 0; h < hooks_of(o); h++) {
        const char *hook = o->arch == SAE_TRANSCODER ? name : names ? names[h] : NULL;
        json_array_append_new(list, json_pack("{s:s?, s:I}", "name", hook, "width",
                                              (json_int_t)(width / hooks_of(o))));
    }
    return list;
}

static const char *activation(const struct sae_options *o)
{
    if (o->activation == SAE_TOPK) return "topk";
    return o->activation == SAE_BATCHTOPK ? "jumprelu" : "relu";
}

static json_t *configuration(const struct sae_options *o, const struct folded *w,
                             const struct export_options *options)
{
    const char *out = options->hook_name_out;
    json_t *metadata = json_object();
    fold_metadata(metadata, options);
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:b, s:b, s:o, s:o, s:s?, s:I, s:b, s:o}", //
                     "format", "sluice-hooks-1", "architecture", sae_arch_name(o->arch),   //
                     "activation", activation(o), "d_sae", (json_int_t)o->features,        //
                     "k", (json_int_t)o->k, "subtracts_b_dec", w->centred,                 //
                     "skip", w->w_skip != NULL,                                            //
                     "in", sides(o, options->hook_name, options->hook_names, w->width_in), "out",
                     sides(o, out, options->hook_names, w->width),        //
                     "model_name", options->model_name,                   //
                     "context_size", (json_int_t)options->context_tokens, //
                     "prepend_bos", options->prepends_bos, "metadata", metadata);
}

/* Columns [at, at + n) of a (rows, columns) matrix; NULL: no memory. */
static float *columns_of(const float *matrix, uint32_t rows, uint32_t columns, uint32_t at,
                         uint32_t n)
{
    float *out = malloc((size_t)rows * n * sizeof *out);
    for (uint32_t r = 0; out && r < rows; r++)
        for (uint32_t i = 0; i < n; i++)
            out[(size_t)r * n + i] = matrix[(size_t)r * columns + at + i];
    return out;
}

struct parts { /* of each hook, and their names */
    float *w_enc, *w_dec[MAX_HOOKS];
    char name[3 * MAX_HOOKS][NAME_BYTES];
};

static int write_weights(const struct folded *w, uint32_t hooks, struct parts *p, const char *path)
{
    struct safetensors_tensor tensors[3 * MAX_HOOKS + 3];
    uint64_t f = w->features, in = w->width_in / hooks, d = w->width / hooks;
    size_t count = 0;
    for (uint32_t h = 0; h < hooks; h++) {
        char(*name)[NAME_BYTES] = p->name + 3 * h;
        snprintf(name[0], NAME_BYTES, "W_enc.%u", h);
        snprintf(name[1], NAME_BYTES, "W_dec.%u", h);
        snprintf(name[2], NAME_BYTES, "b_dec.%u", h);
        tensors[count++] = (struct safetensors_tensor){name[0], SAFETENSORS_F32,       2,
                                                       {in, f}, p->w_enc + h * in * f, in * f * 4};
        tensors[count++] = (struct safetensors_tensor){name[1], SAFETENSORS_F32, 2,
                                                       {f, d},  p->w_dec[h],     f * d * 4};
        tensors[count++] =
            (struct safetensors_tensor){name[2], SAFETENSORS_F32, 1, {d}, w->b_dec + h * d, d * 4};
    }
    tensors[count++] =
        (struct safetensors_tensor){"b_enc", SAFETENSORS_F32, 1, {f}, w->b_enc, f * 4};
    if (w->threshold)
        tensors[count++] =
            (struct safetensors_tensor){"threshold", SAFETENSORS_F32, 1, {f}, w->threshold, f * 4};
    if (w->w_skip)
        tensors[count++] = (struct safetensors_tensor){"W_skip", SAFETENSORS_F32, 2,
                                                       {d, in},  w->w_skip,       d * in * 4};
    struct safetensors_pair format = {"format", "pt"};
    return safetensors_write(path, tensors, count, &format, 1);
}

static int write_parts(const struct folded *w, uint32_t hooks, const char *path)
{
    struct parts p = {.w_enc = fold_transposed(w->w_enc, w->features, w->width_in)};
    uint32_t part = w->width / hooks;
    int result = p.w_enc ? ERR_OK : ERR_NOMEM;
    for (uint32_t h = 0; h < hooks; h++) {
        p.w_dec[h] = columns_of(w->w_dec, w->features, w->width, h * part, part);
        if (!p.w_dec[h]) result = ERR_NOMEM;
    }
    result = result != ERR_OK ? err_set(result, "no memory to export")
                              : write_weights(w, hooks, &p, path);
    free(p.w_enc);
    for (uint32_t h = 0; h < hooks; h++) free(p.w_dec[h]);
    return result;
}

int export_hooks(struct sae_view sae, const struct export_options *options, const char *dir)
{
    char path[PATH_MAX];
    struct folded folded;
    const struct sae_options *o = sae.options;
    if (!export_hooks_has(o))
        return err_set(ERR_STATE, "a %s is neither transcoder nor crosscoder of at most %d hooks",
                       sae_arch_name(o->arch), MAX_HOOKS);
    if ((size_t)snprintf(path, sizeof path, "%s/weights.safetensors", dir) >= sizeof path)
        return err_set(ERR_IO, "path too long: %s", dir);
    int result = fold_weights(sae, options, &folded);
    if (result != ERR_OK) return result;
    result = dir_make(dir, 0700);
    if (result == ERR_OK) result = write_parts(&folded, hooks_of(o), path);
    snprintf(path, sizeof path, "%s/cfg.json", dir);
    if (result == ERR_OK) result = fold_write_json(path, configuration(o, &folded, options));
    fold_free(&folded);
    return result;
}

int export_hooks_python(struct sae_view sae, const char *dir, char **text)
{
    const struct sae_options *o = sae.options;
    char path[PATH_MAX], keep[96] = "pre.relu()";
    snprintf(path, sizeof path, "%.*s/weights.safetensors", PATH_MAX - 32, dir);
    if (o->activation == SAE_BATCHTOPK) snprintf(keep, sizeof keep, "pre * (pre > w['threshold'])");
    if (o->activation == SAE_TOPK)
        snprintf(keep, sizeof keep,
                 "pre.relu() * (pre >= pre.topk(%u).values[..., -1:]) # the %u largest", o->k,
                 o->k);
    json_t *quoted = json_string(path);
    char *name = quoted ? json_dumps(quoted, JSON_ENCODE_ANY) : NULL;
    const char *centre = sae.weights.centred ? " - w[f'b_dec.{i}']" : "";
    char pre[160] = "activations @ w['W_enc.0']";
    if (o->arch == SAE_CROSSCODER) /* a tensor for each hook */
        snprintf(pre, sizeof pre, "sum((x%s) @ w[f'W_enc.{i}'] for i, x in enumerate(activations))",
                 centre);
    int n = name ? asprintf(text,
                            "from safetensors.torch import load_file\n"
                            "w = load_file(%s)\n"
                            "pre = %s + w['b_enc']\n"
                            "features = %s\n",
                            name, pre, keep)
                 : -1;
    free(name);
    json_decref(quoted);
    return n < 0 ? err_set(ERR_NOMEM, "no memory for a few lines") : ERR_OK;
}
