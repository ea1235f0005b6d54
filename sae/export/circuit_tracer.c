/*
 * circuit-tracer 0.5: a folder for all layers of a model, from layer 0 on.
 *
 *   config.yaml    model_kind, the names of the hooks within a layer, model
 *   of a clt       W_enc_I.safetensors {W_enc_I (F, D), b_enc_I, b_dec_I, threshold_I},
 *                  W_dec_I.safetensors {W_dec_I (F, L - I, D)}, F features of layer I
 *   of transcoders layer_I.safetensors {W_enc (F, D), W_dec (F, D), b_enc, b_dec,
 *                  activation_function.threshold, W_skip (D, D)}; a tensor more would be refused
 *
 * Features are a ReLU's or a JumpReLU's; encoders see their input as it is, as ours do.
 */
#include "sae/export/export.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/safetensors.h"
#include "sae/export/fold.h"
#include "sae/export/hook_names.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 24 };

int export_circuit_tracer_has(const struct sae_options *o)
{
    uint32_t layers = sae_layers(o);
    int kind = o->arch == SAE_CLT || (o->arch == SAE_TRANSCODER && o->activation != SAE_TOPK);
    return kind && sae_in_width(o) == sae_out_width(o) / layers;
}

/* Which layer a pair of hooks is of, and what they are called within it. */
static int pair_of(const char *in, const char *out, struct export_layer *pair)
{
    unsigned layer;
    if (!hook_name_in_layer(in, &pair->layer, pair->in) ||
        !hook_name_in_layer(out, &layer, pair->out))
        return err_set(
            ERR_USAGE,
            "the hooks %s and %s do not name layers that circuit-tracer knows; HINT: --to "
            "hooks, or names such as blocks.3.hook_resid_mid and blocks.3.hook_mlp_out",
            in ? in : "(unknown)", out ? out : "(unknown)");
    if (pair->layer == layer) return ERR_OK;
    return err_set(ERR_USAGE,
                   "%s and %s are of different layers, and circuit-tracer has one number", in, out);
}

int export_circuit_tracer_layer(const struct sae_options *o, const struct export_options *options,
                                struct export_layer *layer)
{
    struct export_layer next;
    if (o->arch != SAE_CLT) return pair_of(options->hook_name, options->hook_name_out, layer);
    for (uint32_t i = 0; i < o->hooks; i++) {
        int result = pair_of(options->hook_names ? options->hook_names[i] : NULL,
                             options->hook_names ? options->hook_names[o->hooks + i] : NULL, &next);
        if (result != ERR_OK) return result;
        if (i == 0) *layer = next;
        if (next.layer != i || strcmp(next.in, layer->in) != 0 || strcmp(next.out, layer->out) != 0)
            return err_set(ERR_USAGE,
                           "circuit-tracer numbers layers from 0 on and gives all the same hooks; "
                           "pair %u of this clt is %s and %s of layer %u; HINT: --to hooks",
                           i, next.in, next.out, next.layer);
    }
    return ERR_OK;
}

/* A text as YAML reads it: of JSON. */
static void yaml_text(FILE *out, const char *key, const char *text)
{
    char *quoted = text ? fold_quoted(text) : NULL;
    fprintf(out, "%s: %s\n", key, quoted ? quoted : "null");
    free(quoted);
}

static int write_config(const struct sae_options *o, const struct export_options *options,
                        const struct export_layer *layer, const char *dir)
{
    char path[PATH_MAX], *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    if (!out) return err_set(ERR_NOMEM, "no memory to export");
    yaml_text(out, "model_kind", o->arch == SAE_CLT ? "cross_layer_transcoder" : "transcoder_set");
    yaml_text(out, "model_name", options->model_name);
    yaml_text(out, "feature_input_hook", layer->in);
    yaml_text(out, "feature_output_hook", layer->out);
    yaml_text(out, "scan", NULL);
    snprintf(path, sizeof path, "%s/config.yaml", dir);
    int result = fclose(out) == 0 ? file_replace(path, text, bytes)
                                  : err_set(ERR_NOMEM, "no memory to export");
    free(text);
    return result;
}

/* What circuit-tracer has no place for, beside its files. */
static int write_metadata(const struct export_options *options, const char *name, const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return options->metadata ? fold_write_json(path, json_deep_copy(options->metadata)) : ERR_OK;
}

static int write_tensors(const struct safetensors_tensor *tensors, size_t count, const char *dir,
                         const char *name)
{
    char path[PATH_MAX];
    struct safetensors_pair format = {"format", "pt"};
    snprintf(path, sizeof path, "%s/%s.safetensors", dir, name);
    return safetensors_write(path, tensors, count, &format, 1);
}

static int write_encoder(const struct folded *w, uint32_t layer, const char *dir)
{
    char name[4][NAME_BYTES];
    uint64_t f = w->layer_features, d = w->width_in;
    size_t at = (size_t)layer * f;
    static const char *const words[] = {"W_enc", "b_enc", "b_dec", "threshold"};
    for (int i = 0; i < 4; i++) snprintf(name[i], NAME_BYTES, "%s_%u", words[i], layer);
    struct safetensors_tensor tensors[4] = {
        {name[0], SAFETENSORS_F32, 2, {f, d}, w->w_enc + at * d, f * d * 4},
        {name[1], SAFETENSORS_F32, 1, {f}, w->b_enc + at, f * 4},
        {name[2], SAFETENSORS_F32, 1, {d}, w->b_dec + (size_t)layer * d, d * 4},
        {name[3], SAFETENSORS_F32, 1, {f}, w->threshold + at, f * 4}};
    return write_tensors(tensors, 4, dir, name[0]);
}

/* Of each feature what it writes: its own layer and all later ones. */
static int write_decoder(const struct folded *w, uint32_t layer, const char *dir)
{
    char name[NAME_BYTES];
    uint32_t f = w->layer_features, d = w->width_in, writes = w->width / d - layer;
    float *own =
        fold_columns(w->w_dec + (size_t)layer * f * w->width, f, w->width, layer * d, writes * d);
    if (!own) return err_set(ERR_NOMEM, "no memory to export");
    snprintf(name, sizeof name, "W_dec_%u", layer);
    struct safetensors_tensor tensor = {
        name, SAFETENSORS_F32, 3, {f, writes, d}, own, (uint64_t)f * writes * d * 4};
    int result = write_tensors(&tensor, 1, dir, name);
    free(own);
    return result;
}

static int write_clt(const struct folded *w, uint32_t layers, const char *dir)
{
    int result = ERR_OK;
    for (uint32_t layer = 0; layer < layers && result == ERR_OK; layer++) {
        result = write_encoder(w, layer, dir);
        if (result == ERR_OK) result = write_decoder(w, layer, dir);
    }
    return result;
}

static int write_transcoder(const struct folded *w, unsigned layer, const char *dir)
{
    char name[NAME_BYTES];
    uint64_t f = w->features, d = w->width;
    size_t count = 4;
    struct safetensors_tensor tensors[6] = {
        {"W_enc", SAFETENSORS_F32, 2, {f, d}, w->w_enc, f * d * 4},
        {"W_dec", SAFETENSORS_F32, 2, {f, d}, w->w_dec, f * d * 4},
        {"b_enc", SAFETENSORS_F32, 1, {f}, w->b_enc, f * 4},
        {"b_dec", SAFETENSORS_F32, 1, {d}, w->b_dec, d * 4}};
    if (w->threshold)
        tensors[count++] = (struct safetensors_tensor){
            "activation_function.threshold", SAFETENSORS_F32, 1, {f}, w->threshold, f * 4};
    if (w->w_skip)
        tensors[count++] =
            (struct safetensors_tensor){"W_skip", SAFETENSORS_F32, 2, {d, d}, w->w_skip, d * d * 4};
    snprintf(name, sizeof name, "layer_%u", layer);
    return write_tensors(tensors, count, dir, name);
}

int export_circuit_tracer(struct sae_view sae, const struct export_options *options,
                          const char *dir)
{
    const struct sae_options *o = sae.options;
    struct folded folded;
    struct export_layer layer;
    char about[NAME_BYTES + 16] = "metadata.json";
    if (strlen(dir) + 64 > PATH_MAX) return err_set(ERR_IO, "path too long: %s", dir);
    if (!export_circuit_tracer_has(o))
        return err_set(
            ERR_STATE, "circuit-tracer has no place for a %s%s", sae_arch_name(o->arch),
            o->arch == SAE_TRANSCODER || o->arch == SAE_CLT ? " of topk, or of two widths" : "");
    int result = export_circuit_tracer_layer(o, options, &layer);
    if (result == ERR_OK) result = fold_weights(sae, options, &folded);
    if (result != ERR_OK) return result;
    result = dir_make(dir, 0700);
    if (result == ERR_OK)
        result = o->arch == SAE_CLT ? write_clt(&folded, o->hooks, dir)
                                    : write_transcoder(&folded, layer.layer, dir);
    fold_free(&folded);
    if (o->arch != SAE_CLT) snprintf(about, sizeof about, "layer_%u.json", layer.layer);
    if (result == ERR_OK) result = write_metadata(options, about, dir);
    return result == ERR_OK ? write_config(o, options, &layer, dir) : result;
}

int export_circuit_tracer_is_whole(const struct sae_options *o,
                                   const struct export_options *options)
{
    struct export_layer layer;
    return o->arch == SAE_CLT && export_circuit_tracer_layer(o, options, &layer) == ERR_OK;
}

int export_circuit_tracer_python(struct sae_view sae, const struct export_options *options,
                                 const char *dir, char **text)
{
    struct export_layer layer;
    int result = export_circuit_tracer_layer(sae.options, options, &layer);
    if (result != ERR_OK) return result;
    char *name = fold_quoted(dir);
    int n = name
                ? asprintf(text,
                           "import torch\n"
                           "from circuit_tracer.transcoder.cross_layer_transcoder import load_clt\n"
                           "clt = load_clt(%s, \"%s\", \"%s\", dtype=torch.float32)\n"
                           "features = clt.encode(activations) # (layers, tokens, values)\n",
                           name, layer.in, layer.out)
                : -1;
    free(name);
    return n < 0 ? err_set(ERR_NOMEM, "no memory for a few lines") : ERR_OK;
}
