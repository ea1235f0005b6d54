/* Weights at first. */
#include "base/rng.h"
#include "sae/dictionary.h"

#include <math.h>
#include <string.h>

static void random_direction(struct rng *rng, float *w, uint32_t width, double norm)
{
    double square = 0;
    for (uint32_t i = 0; i < width; i++) {
        w[i] = (float)rng_normal(rng);
        square += (double)w[i] * w[i];
    }
    double scale = square > 0 ? norm / sqrt(square) : 0;
    for (uint32_t i = 0; i < width; i++) w[i] = (float)(w[i] * scale);
}

/* A decoder's direction of the start's norm (of each hook), and the encoder's its transpose, or a
 * share of it; or, where they see different things, the encoder's alone. */
static void start_direction(struct encoder *e, const struct arch_start *start, struct rng *rng,
                            uint32_t f)
{
    float *w_enc = e->w.w_enc + (size_t)f * e->width_in, *w_dec = e->w.w_dec + (size_t)f * e->width;
    if (start->encoder_only) {
        random_direction(rng, w_enc, e->width_in, start->norm);
        return;
    }
    uint32_t part = e->width / e->hooks;
    for (uint32_t h = 0; h < e->hooks; h++)
        random_direction(rng, w_dec + h * part, part, start->norm);
    double share = start->share > 0 ? start->share : (double)e->width / e->features;
    for (uint32_t i = 0; i < e->width; i++) w_enc[i] = (float)share * w_dec[i];
}

void start_weights(struct encoder *e, const struct sae_options *options)
{
    const struct arch_start *start = &e->arch->start;
    const float *mean = options->mean;
    struct rng rng;
    rng_seed(&rng, options->seed);
    tensors_start(e->arch->tensors, options, &e->w);
    for (uint32_t f = 0; f < e->features; f++) {
        start_direction(e, start, &rng, f);
        for (uint32_t i = 0; start->about_mean && mean && i < e->width_in; i++)
            e->w.b_enc[f] -=
                e->w.w_enc[(size_t)f * e->width_in + i] * mean[encoder_input_at(e, f) + i];
    }
    if (start->at_mean && mean)
        memcpy(e->w.b_dec, mean + e->target_at, e->width * sizeof *e->w.b_dec);
}
