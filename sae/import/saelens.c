/* SAELens, version 6: what its architectures are here. */
#include "sae/import/import.h"

#include "base/err.h"

#include <math.h>
#include <string.h>

static const struct kind {
    const char *name;
    enum sae_arch arch, activation;
    int skips;
} kinds[] = {
    {"standard", SAE_L1, SAE_L1, 0},
    {"topk", SAE_TOPK, SAE_TOPK, 0},
    {"jumprelu", SAE_JUMPRELU, SAE_JUMPRELU, 0},
    {"gated", SAE_GATED, SAE_GATED, 0},
    {"transcoder", SAE_TRANSCODER, SAE_L1, 0},
    {"skip_transcoder", SAE_TRANSCODER, SAE_L1, 1},
    {"jumprelu_transcoder", SAE_TRANSCODER, SAE_BATCHTOPK, 0},
    {"jumprelu_skip_transcoder", SAE_TRANSCODER, SAE_BATCHTOPK, 1},
};

static int kind_of(const struct import *from, const struct kind **kind)
{
    const char *name = json_string_value(json_object_get(from->cfg, "architecture"));
    if (!name) return err_set(ERR_FORMAT, "%s/cfg.json: it has no architecture", from->path);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            *kind = &kinds[i];
            return ERR_OK;
        }
    return err_set(ERR_VERSION,
                   "%s/cfg.json: the architecture '%.60s' is not read; HINT: standard, topk, "
                   "jumprelu (also what SAELens makes of batchtopk and matryoshka), gated, "
                   "transcoder, skip_transcoder and jumprelu_... of both are",
                   from->path, name);
}

int import_saelens_options(struct import *from)
{
    const struct kind *kind = NULL;
    uint32_t in, out;
    struct sae_options *o = &from->options;
    int result = kind_of(from, &kind);
    if (result == ERR_OK)
        result = import_only(from, "normalize_activations", "none",
                             "fold the normalization in before saving, as SAELens's "
                             "fold_activation_norm_scaling_factor() does");
    if (result == ERR_OK)
        result = import_only(from, "reshape_activations", "none", "put the heads side by side");
    if (result == ERR_OK) result = import_number(from, "d_in", SAE_MAX_WIDTH, &in);
    if (result != ERR_OK) return result;
    sae_options_default(kind->arch, o);
    o->activation = kind->activation;
    o->width = in;
    if (kind->arch == SAE_TRANSCODER) {
        result = import_number(from, "d_out", SAE_MAX_WIDTH, &out);
        if (result != ERR_OK) return result;
        o->width_in = in;
        o->width = in + out;
        o->skip = (uint32_t)kind->skips;
    }
    result = import_number(from, "d_sae", SAE_MAX_FEATURES, &o->features);
    o->k = 1; /* of those that have none there, where thresholds decide */
    if (result == ERR_OK && kind->arch == SAE_TOPK)
        result = import_number(from, "k", o->features, &o->k);
    if (result == ERR_OK) result = import_has(from, "W_enc", o->features, in, 1);
    return result == ERR_OK ? import_has(from, "W_dec", o->features, sae_out_width(o), 0) : result;
}

/* rescale_acts_by_decoder_norm: features are ordered and told by f ||W_dec||: as if the decoder's
 * directions had norm 1. */
static void rescale(struct encoder *e)
{
    for (uint32_t f = 0; f < e->features; f++) {
        float *enc = e->w.w_enc + (size_t)f * e->width_in, *dec = e->w.w_dec + (size_t)f * e->width;
        double square = 0;
        for (uint32_t i = 0; i < e->width; i++) square += (double)dec[i] * dec[i];
        float norm = (float)sqrt(square);
        if (!(norm > 0)) continue;
        for (uint32_t i = 0; i < e->width_in; i++) enc[i] *= norm;
        for (uint32_t i = 0; i < e->width; i++) dec[i] /= norm;
        e->w.b_enc[f] *= norm;
    }
}

int import_saelens_weights(const struct import *from, struct encoder *e)
{
    uint32_t features = e->features;
    int gates = e->w.r_mag != NULL;
    int result = import_tensor(from, "W_enc", features, e->width_in, 1, e->w.w_enc);
    if (result == ERR_OK) result = import_tensor(from, "W_dec", features, e->width, 0, e->w.w_dec);
    if (result == ERR_OK)
        result = import_tensor(from, gates ? "b_gate" : "b_enc", features, 0, 0, e->w.b_enc);
    if (result == ERR_OK) result = import_tensor(from, "b_dec", e->width, 0, 0, e->w.b_dec);
    if (result == ERR_OK) result = import_thresholds(from, "threshold", e->features, e->threshold);
    if (result == ERR_OK && gates)
        result = import_tensor(from, "r_mag", features, 0, 0, e->w.r_mag);
    if (result == ERR_OK && gates)
        result = import_tensor(from, "b_mag", features, 0, 0, e->w.b_mag);
    if (result == ERR_OK && e->w.w_skip)
        result = import_tensor(from, "W_skip", e->width, e->width_in, 0, e->w.w_skip);
    if (result != ERR_OK) return result;
    result = import_subtracts(from, "apply_b_dec_to_input", e);
    if (result != ERR_OK) return result;
    if (json_is_true(json_object_get(from->cfg, "rescale_acts_by_decoder_norm"))) rescale(e);
    return ERR_OK;
}
