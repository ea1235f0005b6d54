#include "sae/export/fold.h"

#include "base/err.h"
#include "base/fileio.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double scale_of(const struct export_options *options, uint32_t i)
{
    return options->scale ? options->scale[i] : 1.0;
}

/* ||W_dec,f / s||; `out` is where in a row begins what comes out. */
static double raw_norm(const struct sae_parameters *p, const struct export_options *options,
                       uint32_t f, uint32_t width, uint32_t out)
{
    double square = 0;
    for (uint32_t i = 0; i < width; i++) {
        double w = p->w_dec[(size_t)f * width + i] / scale_of(options, out + i);
        square += w * w;
    }
    return sqrt(square);
}

static void fold_feature(const struct sae_parameters *p, const struct export_options *options,
                         uint32_t f, double c, uint32_t out, struct folded *to)
{
    size_t enc = (size_t)f * to->width_in, dec = (size_t)f * to->width;
    uint32_t in = f / to->layer_features * to->width_in;
    for (uint32_t i = 0; i < to->width_in; i++)
        to->w_enc[enc + i] = (float)(p->w_enc[enc + i] * scale_of(options, in + i) * c);
    for (uint32_t i = 0; i < to->width; i++)
        to->w_dec[dec + i] = (float)(p->w_dec[dec + i] / scale_of(options, out + i) / c);
    to->b_enc[f] = (float)(p->b_enc[f] * c);
    if (to->threshold) to->threshold[f] = (float)(p->threshold[f] * c);
    if (!to->b_mag) return;
    to->b_mag[f] = (float)(p->b_mag[f] * c);
    to->r_mag[f] = p->r_mag[f];
}

static void fold_skip(const struct sae_parameters *p, const struct export_options *options,
                      uint32_t out, struct folded *to)
{
    for (uint32_t o = 0; o < to->width; o++)
        for (uint32_t i = 0; i < to->width_in; i++) {
            size_t at = (size_t)o * to->width_in + i;
            double scale = scale_of(options, i) / scale_of(options, out + o);
            to->w_skip[at] = (float)(p->w_skip[at] * scale);
        }
}

static float *floats(int wanted, size_t count, int *missing)
{
    float *block = wanted ? malloc(count * sizeof *block) : NULL;
    if (wanted && !block) *missing = 1;
    return block;
}

/* Of scaled rows into those of raw ones. */
static int fold_scale(const struct sae_options *o, struct sae_parameters p,
                      const struct export_options *options, struct folded *folded)
{
    uint32_t width = sae_out_width(o), out = o->width - width;
    uint32_t width_in = sae_in_width(o);
    size_t features = o->features;
    struct folded to = {.width = width,
                        .width_in = width_in,
                        .features = o->features,
                        .layer_features = o->features / sae_layers(o),
                        .centred = p.centred};
    int missing = 0;
    to.w_enc = floats(1, features * width_in, &missing);
    to.w_dec = floats(1, features * width, &missing);
    to.b_enc = floats(1, features, &missing);
    to.b_dec = floats(1, width, &missing);
    to.w_skip = floats(p.w_skip != NULL, (size_t)width * width_in, &missing);
    to.threshold = floats(p.threshold != NULL, features, &missing);
    to.r_mag = floats(p.r_mag != NULL, features, &missing);
    to.b_mag = floats(p.b_mag != NULL, features, &missing);
    if (missing) {
        fold_free(&to);
        return err_set(ERR_NOMEM, "no memory to export %zu weights", features * (width + width_in));
    }
    double mean_norm = 0;
    for (uint32_t f = 0; f < o->features; f++)
        mean_norm += raw_norm(&p, options, f, width, out) / o->features;
    for (uint32_t f = 0; f < o->features; f++) {
        double c = sae_keeps_largest(o) ? mean_norm : raw_norm(&p, options, f, width, out);
        fold_feature(&p, options, f, c > 0 ? c : 1, out, &to);
    }
    for (uint32_t i = 0; i < width; i++)
        to.b_dec[i] = (float)(p.b_dec[i] / scale_of(options, out + i));
    if (to.w_skip) fold_skip(&p, options, out, &to);
    *folded = to;
    return ERR_OK;
}

int fold_weights(struct sae_view sae, const struct export_options *options, struct folded *folded)
{
    const struct sae_options *o = sae.options;
    struct sae_parameters p = sae.weights, unwhitened;
    if (!p.w_enc) return err_set(ERR_STATE, "%s has no weights to export", sae_arch_name(o->arch));
    if (!options->whiten) return fold_scale(o, p, options, folded);
    int result = whiten_fold(options->whiten, o, &p, &unwhitened);
    if (result != ERR_OK) return result;
    result = fold_scale(o, unwhitened, options, folded);
    whiten_fold_free(&unwhitened);
    return result;
}

void fold_free(struct folded *folded)
{
    free(folded->w_enc);
    free(folded->w_dec);
    free(folded->b_enc);
    free(folded->b_dec);
    free(folded->w_skip);
    free(folded->threshold);
    free(folded->r_mag);
    free(folded->b_mag);
    memset(folded, 0, sizeof *folded);
}

char *fold_quoted(const char *text)
{
    json_t *string = json_string(text);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    json_decref(string);
    return quoted;
}

void fold_metadata(json_t *object, const struct export_options *options)
{
    if (object && options->metadata) json_object_update_missing(object, options->metadata);
}

int fold_write_json(const char *path, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    if (!text) return err_set(ERR_NOMEM, "no memory to write %s", path);
    int result = file_replace(path, text, strlen(text));
    free(text);
    return result;
}

float *fold_transposed(const float *matrix, uint32_t rows, uint32_t columns)
{
    enum { TILE = 32 };
    float *out = malloc((size_t)rows * columns * sizeof *out);
    if (!out) return NULL;
    for (uint32_t r = 0; r < rows; r += TILE)
        for (uint32_t c = 0; c < columns; c += TILE)
            for (uint32_t i = r; i < rows && i < r + TILE; i++)
                for (uint32_t j = c; j < columns && j < c + TILE; j++)
                    out[(size_t)j * rows + i] = matrix[(size_t)i * columns + j];
    return out;
}

float *fold_columns(const float *matrix, uint32_t rows, uint32_t columns, uint32_t at, uint32_t n)
{
    float *out = malloc((size_t)rows * n * sizeof *out);
    for (uint32_t r = 0; out && r < rows; r++)
        memcpy(out + (size_t)r * n, matrix + (size_t)r * columns + at, n * sizeof *out);
    return out;
}
