/* sparsify 1.3: HOOKPOINT/cfg.json + HOOKPOINT/sae.safetensors. Its encoder subtracts b_dec. */
#include "sae/export/export.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/safetensors.h"
#include "sae/arch/arch.h"
#include "sae/export/fold.h"
#include "sae/export/hook_names.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* Whether the two hooks are a layer's MLP before and after, as llama.cpp names them. */
static int is_mlp(const struct export_options *options, unsigned *layer)
{
    unsigned out;
    int end = 0, out_end = 0;
    const char *name = options->hook_name, *name_out = options->hook_name_out;
    if (!name || !name_out) return 0;
    if (sscanf(name, "ffn_norm-%u%n", layer, &end) != 1 || name[end]) return 0;
    if (sscanf(name_out, "ffn_out-%u%n", &out, &out_end) != 1 || name_out[out_end]) return 0;
    return *layer == out;
}

/* resid_post.15 (however written) is the output of the module layers.15, ffn_norm-15 and ffn_out-15
 * are what goes into layers.15.mlp and comes out; other names stay. */
static int hook_dir(const struct export_options *options, const char *dir, char *path, size_t bytes)
{
    const char *name = options->hook_name ? options->hook_name : "hook";
    unsigned layer;
    int n;
    if (is_mlp(options, &layer))
        n = snprintf(path, bytes, "%s/layers.%u.mlp", dir, layer);
    else if (hook_name_is_layer(name, &layer))
        n = snprintf(path, bytes, "%s/layers.%u", dir, layer);
    else
        n = snprintf(path, bytes, "%s/%s", dir, name);
    if (n < 0 || (size_t)n + 32 >= bytes) return err_set(ERR_IO, "path too long: %s", dir);
    return ERR_OK;
}

/* Its loader drops keys that it does not know, so the metadata is for people. */
static json_t *configuration(const struct sae_options *o, const struct export_options *options)
{
    uint32_t width = sae_out_width(o);
    json_t *metadata =
        json_pack("{s:s?, s:s?, s:s?, s:I, s:b}", "model_name", options->model_name, "hook_name",
                  options->hook_name, "hook_name_out", options->hook_name_out, "context_size",
                  (json_int_t)options->context_tokens, "prepend_bos", options->prepends_bos);
    fold_metadata(metadata, options);
    return json_pack("{s:s, s:I, s:b, s:I, s:I, s:b, s:b, s:b, s:I, s:o}",                //
                     "activation", "topk",                                                //
                     "expansion_factor", (json_int_t)((o->features + width - 1) / width), //
                     "normalize_decoder", 1,                                              //
                     "num_latents", (json_int_t)o->features,                              //
                     "k", (json_int_t)o->k,                                               //
                     "multi_topk", 0, "skip_connection", (int)o->skip,                    //
                     "transcode", o->arch == SAE_TRANSCODER, "d_in", (json_int_t)width, "metadata",
                     metadata);
}

static int write_weights(const struct folded *w, const char *path)
{
    uint64_t f = w->features, d = w->width, bytes = f * d * 4;
    struct safetensors_tensor tensors[5] = {
        {"encoder.weight", SAFETENSORS_F32, 2, {f, d}, w->w_enc, bytes},
        {"W_dec", SAFETENSORS_F32, 2, {f, d}, w->w_dec, bytes},
        {"encoder.bias", SAFETENSORS_F32, 1, {f}, w->b_enc, f * 4},
        {"b_dec", SAFETENSORS_F32, 1, {d}, w->b_dec, d * 4},
    };
    if (w->w_skip)
        tensors[4] =
            (struct safetensors_tensor){"W_skip", SAFETENSORS_F32, 2, {d, d}, w->w_skip, d * d * 4};
    struct safetensors_pair format = {"format", "pt"};
    return safetensors_write(path, tensors, w->w_skip ? 5 : 4, &format, 1);
}

int export_sparsify_has(const struct sae_options *o)
{
    return arch_of(o)->sparsify && arch_of(o)->sparsify(o);
}

int export_sparsify(struct sae_view sae, const struct export_options *options, const char *dir)
{
    char folder[PATH_MAX], path[PATH_MAX];
    struct folded folded;
    if (!export_sparsify_has(sae.options))
        return err_set(ERR_STATE, "sparsify knows no %s like this; HINT: take another export",
                       sae_arch_name(sae.options->arch));
    int result = hook_dir(options, dir, folder, sizeof folder);
    if (result == ERR_OK) result = fold_weights(sae, options, &folded);
    if (result != ERR_OK) return result;
    result = dir_make(folder, 0700);
    snprintf(path, sizeof path, "%.*s/sae.safetensors", PATH_MAX - 32, folder);
    if (result == ERR_OK) result = write_weights(&folded, path);
    snprintf(path, sizeof path, "%.*s/cfg.json", PATH_MAX - 32, folder);
    if (result == ERR_OK) result = fold_write_json(path, configuration(sae.options, options));
    fold_free(&folded);
    return result;
}

int export_sparsify_is_whole(const struct sae_options *o, const struct export_options *options)
{
    (void)o;
    return options->hook_name != NULL; /* its folder is named by it */
}

int export_sparsify_python(struct sae_view sae, const struct export_options *options,
                           const char *dir, char **text)
{
    (void)sae;
    char folder[PATH_MAX];
    int result = hook_dir(options, dir, folder, sizeof folder);
    if (result != ERR_OK) return result;
    char *name = fold_quoted(folder);
    int n = name ? asprintf(text,
                            "from sparsify import SparseCoder # without a GPU: "
                            "SPARSIFY_DISABLE_TRITON=1\n"
                            "sae = SparseCoder.load_from_disk(%s)\n"
                            "features = sae.encode(activations)\n",
                            name)
                 : -1;
    free(name);
    return n < 0 ? err_set(ERR_NOMEM, "no memory for a few lines") : ERR_OK;
}
