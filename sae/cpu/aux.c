/*
 * AuxK (Gao et al. 2024): the dead features' reconstruction of what is left over, e = x - x', taken
 * as given. Their values are float32 products as they come, of the dead features alone.
 */
#include "sae/cpu/encode.h"
#include "sae/cpu/train.h"

#include <string.h>

/* How many dead features from the j-th on make a block: all of one layer. */
static uint32_t dead_of_block(const struct dictionary *d, uint32_t j)
{
    uint32_t layer = encoder_input_at(&d->e, d->dead_index[j]), m = 1;
    while (m < BLOCK_FEATURES && j + m < d->dead &&
           encoder_input_at(&d->e, d->dead_index[j + m]) == layer)
        m++;
    return m;
}

void aux_encode(struct dictionary *d, uint32_t first, uint32_t n, uint32_t thread)
{
    struct scratch *s = &d->scratch[thread];
    float *block = d->e.scratch[thread].block;
    uint32_t width = d->e.width_in;
    collector_begin(&s->aux, n, 0);
    for (uint32_t j = 0, m; j < d->dead; j += m) {
        m = dead_of_block(d, j);
        for (uint32_t i = 0; i < m; i++)
            memcpy(s->dead + (size_t)i * width, d->e.w.w_enc + (size_t)d->dead_index[j + i] * width,
                   width * sizeof(float));
        encode_product(&d->e, first, n, d->dead_index[j], s->dead, m, block);
        collector_add(&s->aux, d->e.kernels, n, block, m, d->dead_bias + j, j);
    }
    encode_deliver(d->e.kernels, &s->aux, &d->aux, first, n, d->dead_index);
}

void aux_of_row(struct dictionary *d, uint32_t r, const float *left)
{
    const struct kernels *kernels = d->e.kernels;
    uint32_t start = d->aux.start[r], count = d->aux.count[r], width = d->e.width;
    const uint32_t *index = d->aux.index + start;
    float *gradient = d->aux.gradient + start;
    float *error = d->aux_error + (size_t)r * width, square;
    kernels->combine(error, width, left, 1.0f, d->e.w.w_dec, width, index, d->aux.value + start,
                     count);
    kernels->dots(&square, error, width, error, 0, NULL, 1);
    d->row_aux[r] = square;
    kernels->dots(gradient, error, width, d->e.w.w_dec, width, index, count);
    float scale = (float)(2.0 * d->e.options->aux_coefficient / d->e.rows);
    for (uint32_t j = 0; j < count; j++) gradient[j] *= scale;
}
