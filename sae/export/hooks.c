/* The layout of our own for transcoders, crosscoders and clts: docs/EXPORTS.md lays it down. */
#include "sae/export/export.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/row.h"
#include "base/safetensors.h"
#include "sae/export/fold.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_BYTES = 24 };

int export_hooks_has(const struct sae_options *o)
{
    int of_many = o->arch == SAE_CROSSCODER || o->arch == SAE_CLT;
    return o->arch == SAE_TRANSCODER || (of_many && o->hooks <= ROW_MAX_HOOKS);
}

/* What is told of the hooks on one side: `name` of a transcoder, of the others `names` from the
 * first on. */
static json_t *side(const struct sae_options *o, const char *name, const char *const *names,
                    uint32_t first, uint32_t width)
{
    json_t *list = json_array();
    for (uint32_t h = 0; h < o->hooks; h++) {
        const char *hook = o->arch == SAE_TRANSCODER ? name : names ? names[first + h] : NULL;
        json_array_append_new(list,
                              json_pack("{s:s?, s:I}", "name", hook, "width", (json_int_t)width));
    }
    return list;
}

static const char *activation(const struct sae_options *o)
{
    if (o->activation == SAE_TOPK) return "topk";
    return o->activation == SAE_L1 ? "relu" : "jumprelu";
}

static json_t *configuration(const struct sae_options *o, const struct folded *w,
                             const struct export_options *options)
{
    const char *in = options->hook_name, *out = options->hook_name_out;
    const char *const *names = options->hook_names;
    uint32_t in_width = w->width_in * (w->features / w->layer_features) / o->hooks;
    json_t *metadata = json_object();
    fold_metadata(metadata, options);
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:b, s:b, s:o, s:o, s:s?, s:I, s:b, s:o}", //
                     "format", "sluice-hooks-1", "architecture", sae_arch_name(o->arch),   //
                     "activation", activation(o), "d_sae", (json_int_t)o->features,        //
                     "k", (json_int_t)o->k, "subtracts_b_dec", w->centred,                 //
                     "skip", w->w_skip != NULL,                                            //
                     "in", side(o, in, names, 0, in_width), "out",
                     side(o, out, names, o->arch == SAE_CLT ? o->hooks : 0, w->width / o->hooks), //
                     "model_name", options->model_name,                                           //
                     "context_size", (json_int_t)options->context_tokens,                         //
                     "prepend_bos", options->prepends_bos, "metadata", metadata);
}

struct parts { /* of each hook, and their names */
    float *w_enc, *w_dec[ROW_MAX_HOOKS];
    char name[3 * ROW_MAX_HOOKS][NAME_BYTES];
};

static int write_weights(const struct folded *w, uint32_t hooks, struct parts *p, const char *path)
{
    struct safetensors_tensor tensors[3 * ROW_MAX_HOOKS + 3];
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
        p.w_dec[h] = fold_columns(w->w_dec, w->features, w->width, h * part, part);
        if (!p.w_dec[h]) result = ERR_NOMEM;
    }
    result = result != ERR_OK ? err_set(result, "no memory to export")
                              : write_weights(w, hooks, &p, path);
    free(p.w_enc);
    for (uint32_t h = 0; h < hooks; h++) free(p.w_dec[h]);
    return result;
}

/* Tensors of one layer of a clt, of its own features. */
enum { LAYER_TENSORS = 5 };
static void layer_tensors(const struct folded *w, uint32_t layer, const float *w_enc,
                          const float *w_dec, char name[][NAME_BYTES],
                          struct safetensors_tensor *out)
{
    static const char *const words[] = {"W_enc", "W_dec", "b_enc", "b_dec", "threshold"};
    uint64_t f = w->layer_features, in = w->width_in, layers = w->features / f;
    uint64_t d = w->width / layers, writes = layers - layer;
    const float *b_enc = w->b_enc + layer * f, *b_dec = w->b_dec + layer * d;
    for (int i = 0; i < LAYER_TENSORS; i++) snprintf(name[i], NAME_BYTES, "%s.%u", words[i], layer);
    out[0] = (struct safetensors_tensor){name[0], SAFETENSORS_F32, 2, {in, f}, w_enc, in * f * 4};
    out[1] = (struct safetensors_tensor){name[1],         SAFETENSORS_F32, 2,
                                         {f, writes * d}, w_dec,           f * writes * d * 4};
    out[2] = (struct safetensors_tensor){name[2], SAFETENSORS_F32, 1, {f}, b_enc, f * 4};
    out[3] = (struct safetensors_tensor){name[3], SAFETENSORS_F32, 1, {d}, b_dec, d * 4};
    out[4] = (struct safetensors_tensor){name[4], SAFETENSORS_F32,          1,
                                         {f},     w->threshold + layer * f, f * 4};
}

static int write_layers(const struct folded *w, uint32_t layers, const char *path)
{
    struct safetensors_tensor tensors[LAYER_TENSORS * ROW_MAX_HOOKS] = {0};
    char name[LAYER_TENSORS * ROW_MAX_HOOKS][NAME_BYTES];
    struct safetensors_pair format = {"format", "pt"};
    float *w_enc[ROW_MAX_HOOKS] = {0}, *w_dec[ROW_MAX_HOOKS] = {0};
    uint32_t f = w->layer_features, d = w->width / layers;
    int result = ERR_OK;
    for (uint32_t l = 0; l < layers; l++) {
        w_enc[l] = fold_transposed(w->w_enc + (size_t)l * f * w->width_in, f, w->width_in);
        w_dec[l] =
            fold_columns(w->w_dec + (size_t)l * f * w->width, f, w->width, l * d, (layers - l) * d);
        if (!w_enc[l] || !w_dec[l]) result = err_set(ERR_NOMEM, "no memory to export");
        layer_tensors(w, l, w_enc[l], w_dec[l], name + (size_t)LAYER_TENSORS * l,
                      tensors + (size_t)LAYER_TENSORS * l);
    }
    if (result == ERR_OK)
        result = safetensors_write(path, tensors, (size_t)LAYER_TENSORS * layers, &format, 1);
    for (uint32_t l = 0; l < layers; l++) {
        free(w_enc[l]);
        free(w_dec[l]);
    }
    return result;
}

int export_hooks(struct sae_view sae, const struct export_options *options, const char *dir)
{
    char path[PATH_MAX];
    struct folded folded;
    const struct sae_options *o = sae.options;
    if (!export_hooks_has(o))
        return err_set(ERR_STATE,
                       "a %s is neither a transcoder nor a crosscoder or clt of at most %d hooks",
                       sae_arch_name(o->arch), ROW_MAX_HOOKS);
    if ((size_t)snprintf(path, sizeof path, "%s/weights.safetensors", dir) >= sizeof path)
        return err_set(ERR_IO, "path too long: %s", dir);
    int result = fold_weights(sae, options, &folded);
    if (result != ERR_OK) return result;
    result = dir_make(dir, 0700);
    if (result == ERR_OK)
        result = o->arch == SAE_CLT ? write_layers(&folded, o->hooks, path)
                                    : write_parts(&folded, o->hooks, path);
    snprintf(path, sizeof path, "%s/cfg.json", dir);
    if (result == ERR_OK) result = fold_write_json(path, configuration(o, &folded, options));
    fold_free(&folded);
    return result;
}

static int clt_python(const char *path, char **text)
{
    char *name = fold_quoted(path);
    int n = name ? asprintf(text,
                            "from safetensors.torch import load_file\n"
                            "w = load_file(%s)\n"
                            "pre = [x @ w[f'W_enc.{i}'] + w[f'b_enc.{i}']\n"
                            "       for i, x in enumerate(activations)] # of each layer\n"
                            "features = [p * (p > w[f'threshold.{i}']) for i, p in "
                            "enumerate(pre)]\n",
                            name)
                 : -1;
    free(name);
    return n < 0 ? err_set(ERR_NOMEM, "no memory for a few lines") : ERR_OK;
}

int export_hooks_python(struct sae_view sae, const struct export_options *options, const char *dir,
                        char **text)
{
    (void)options;
    const struct sae_options *o = sae.options;
    char path[PATH_MAX], keep[96] = "pre.relu()";
    snprintf(path, sizeof path, "%.*s/weights.safetensors", PATH_MAX - 32, dir);
    if (o->activation == SAE_BATCHTOPK) snprintf(keep, sizeof keep, "pre * (pre > w['threshold'])");
    if (o->activation == SAE_TOPK)
        snprintf(keep, sizeof keep,
                 "pre.relu() * (pre >= pre.topk(%u).values[..., -1:]) # the %u largest", o->k,
                 o->k);
    if (o->arch == SAE_CLT) return clt_python(path, text);
    char *name = fold_quoted(path);
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
    return n < 0 ? err_set(ERR_NOMEM, "no memory for a few lines") : ERR_OK;
}
