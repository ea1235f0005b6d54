#include "sae/fold.h"

#include "base/err.h"
#include "base/fileio.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double scale_of(const struct export_options *options, uint32_t i)
{
    return options->scale ? options->scale[i] : 1.0;
}

/* ||W_dec,f / s|| */
static double raw_norm(const struct sae_parameters *p, const struct export_options *options,
                       uint32_t f, uint32_t width)
{
    double square = 0;
    for (uint32_t i = 0; i < width; i++) {
        double w = p->w_dec[(size_t)f * width + i] / scale_of(options, i);
        square += w * w;
    }
    return sqrt(square);
}

static void fold_feature(const struct sae_parameters *p, const struct export_options *options,
                         uint32_t f, double c, struct folded *to)
{
    size_t row = (size_t)f * to->width;
    for (uint32_t i = 0; i < to->width; i++) {
        double s = scale_of(options, i);
        to->w_enc[row + i] = (float)(p->w_enc[row + i] * s * c);
        to->w_dec[row + i] = (float)(p->w_dec[row + i] / s / c);
    }
    to->b_enc[f] = (float)(p->b_enc[f] * c);
    if (to->threshold) to->threshold[f] = (float)(p->threshold[f] * c);
    if (!to->b_mag) return;
    to->b_mag[f] = (float)(p->b_mag[f] * c);
    to->r_mag[f] = p->r_mag[f];
}

int fold_weights(const struct sae *sae, const struct export_options *options, struct folded *folded)
{
    const struct sae_options *o = sae_options(sae);
    struct sae_parameters p = sae_parameters(sae);
    if (!p.w_enc) return err_set(ERR_STATE, "%s has no weights to export", sae_arch_name(o->arch));
    size_t weights = (size_t)o->features * o->width;
    struct folded to = {.width = o->width, .features = o->features, .centred = p.centred};
    to.w_enc = malloc(weights * sizeof(float));
    to.w_dec = malloc(weights * sizeof(float));
    to.b_enc = malloc(o->features * sizeof(float));
    to.b_dec = malloc(o->width * sizeof(float));
    to.threshold = p.threshold ? malloc(o->features * sizeof(float)) : NULL;
    to.r_mag = p.r_mag ? malloc(o->features * sizeof(float)) : NULL;
    to.b_mag = p.b_mag ? malloc(o->features * sizeof(float)) : NULL;
    if (!to.w_enc || !to.w_dec || !to.b_enc || !to.b_dec || (p.threshold && !to.threshold) ||
        (p.r_mag && (!to.r_mag || !to.b_mag))) {
        fold_free(&to);
        return err_set(ERR_NOMEM, "no memory to export %zu weights", 2 * weights);
    }
    int competes = sae_keeps_largest(o);
    double mean_norm = 0;
    for (uint32_t f = 0; f < o->features; f++)
        mean_norm += raw_norm(&p, options, f, o->width) / o->features;
    for (uint32_t f = 0; f < o->features; f++) {
        double c = competes ? mean_norm : raw_norm(&p, options, f, o->width);
        fold_feature(&p, options, f, c > 0 ? c : 1, &to);
    }
    for (uint32_t i = 0; i < o->width; i++)
        to.b_dec[i] = (float)(p.b_dec[i] / scale_of(options, i));
    *folded = to;
    return ERR_OK;
}

void fold_free(struct folded *folded)
{
    free(folded->w_enc);
    free(folded->w_dec);
    free(folded->b_enc);
    free(folded->b_dec);
    free(folded->threshold);
    free(folded->r_mag);
    free(folded->b_mag);
    memset(folded, 0, sizeof *folded);
}

int fold_write_json(const char *path, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    if (!text) return err_set(ERR_NOMEM, "no memory to write %s", path);
    int code = file_replace(path, text, strlen(text));
    free(text);
    return code;
}
