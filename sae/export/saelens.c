/* SAELens, version 6: cfg.json + sae_weights.safetensors. Its loader is strict about tensors and
 * throws the metadata away unless it names a version of 6 or later. */
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
#include <string.h>

static json_t *string_or_null(const char *text)
{
    json_t *string = text ? json_string(text) : NULL;
    return string ? string : json_null();
}

/* SAELens looks it up in a model of TransformerLens. */
static json_t *hook_name(const char *name)
{
    char translated[HOOK_NAME_BYTES];
    if (!name) return json_null();
    return json_string(hook_name_of_transformer_lens(name, translated) ? translated : name);
}

static json_t *configuration(struct sae_view sae, const struct folded *folded,
                             const struct export_options *options)
{
    const struct sae_options *o = sae.options;
    json_t *metadata = json_pack("{s:s, s:s, s:o, s:o, s:I, s:b, s:n}",                 //
                                 "sae_lens_version", "6.0.0",                           //
                                 "sae_lens_training_version", "sluice " SLUICE_VERSION, //
                                 "model_name", string_or_null(options->model_name),     //
                                 "hook_name", hook_name(options->hook_name),            //
                                 "context_size", (json_int_t)options->context_tokens,   //
                                 "prepend_bos", options->prepends_bos, "hook_head_index");
    json_t *cfg =
        json_pack("{s:s, s:I, s:I, s:s, s:s, s:b, s:s, s:s, s:o}",                          //
                  "architecture", o->skip ? arch_of(o)->saelens_skip : arch_of(o)->saelens, //
                  "d_in", (json_int_t)folded->width_in, "d_sae", (json_int_t)o->features,   //
                  "dtype", "float32", "device", "cpu",                                      //
                  "apply_b_dec_to_input", folded->centred,                                  //
                  "normalize_activations", "none",                                          //
                  "reshape_activations", "none", "metadata", metadata);
    if (!cfg) return NULL; /* `metadata` is gone with it */
    fold_metadata(metadata, options);
    if (o->arch == SAE_TOPK) {
        json_object_set_new(cfg, "k", json_integer(o->k));
        json_object_set_new(cfg, "rescale_acts_by_decoder_norm", json_false());
    }
    if (o->arch == SAE_TRANSCODER) {
        json_object_set_new(cfg, "d_out", json_integer(folded->width));
        json_object_set_new(metadata, "hook_name_out", hook_name(options->hook_name_out));
    }
    return cfg;
}

static int write_weights(const struct folded *w, const char *path)
{
    uint64_t f = w->features, d = w->width, in = w->width_in;
    float *w_enc = fold_transposed(w->w_enc, w->features, w->width_in); /* (D_in, F) */
    if (!w_enc) return err_set(ERR_NOMEM, "no memory to export");
    struct safetensors_tensor tensors[7] = {
        {"W_enc", SAFETENSORS_F32, 2, {in, f}, w_enc, in * f * 4},
        {"W_dec", SAFETENSORS_F32, 2, {f, d}, w->w_dec, f * d * 4},
        {w->r_mag ? "b_gate" : "b_enc", SAFETENSORS_F32, 1, {f}, w->b_enc, f * 4},
        {"b_dec", SAFETENSORS_F32, 1, {d}, w->b_dec, d * 4},
    };
    size_t count = 4;
    const struct {
        const char *name;
        float *values;
    } others[] = {{"threshold", w->threshold}, {"r_mag", w->r_mag}, {"b_mag", w->b_mag}};
    for (int i = 0; i < 3; i++)
        if (others[i].values)
            tensors[count++] = (struct safetensors_tensor){
                others[i].name, SAFETENSORS_F32, 1, {f}, others[i].values, f * 4};
    if (w->w_skip)
        tensors[count++] = (struct safetensors_tensor){"W_skip", SAFETENSORS_F32, 2,
                                                       {d, in},  w->w_skip,       d * in * 4};
    struct safetensors_pair format = {"format", "pt"};
    int result = safetensors_write(path, tensors, count, &format, 1);
    free(w_enc);
    return result;
}

int export_saelens_has(const struct sae_options *o)
{
    return arch_of(o)->saelens != NULL;
}

int export_saelens(struct sae_view sae, const struct export_options *options, const char *dir)
{
    char path[PATH_MAX];
    struct folded folded;
    if ((size_t)snprintf(path, sizeof path, "%s/sae_weights.safetensors", dir) >= sizeof path)
        return err_set(ERR_IO, "path too long: %s", dir);
    if (!export_saelens_has(sae.options))
        return err_set(ERR_STATE, "SAELens has no place for a %s%s",
                       sae_arch_name(sae.options->arch),
                       sae.options->arch == SAE_TRANSCODER ? " of topk" : "");
    int result = fold_weights(sae, options, &folded);
    if (result != ERR_OK) return result;
    result = dir_make(dir, 0700);
    if (result == ERR_OK) result = write_weights(&folded, path);
    snprintf(path, sizeof path, "%s/cfg.json", dir);
    if (result == ERR_OK) result = fold_write_json(path, configuration(sae, &folded, options));
    fold_free(&folded);
    return result;
}

int export_saelens_python(struct sae_view sae, const struct export_options *options,
                          const char *dir, char **text)
{
    (void)sae;
    (void)options;
    char *name = fold_quoted(dir);
    int n = name ? asprintf(text,
                            "from sae_lens import SAE\n"
                            "sae = SAE.load_from_disk(%s)\n"
                            "features = sae.encode(activations)\n",
                            name)
                 : -1;
    free(name);
    return n < 0 ? err_set(ERR_NOMEM, "no memory for a few lines") : ERR_OK;
}
