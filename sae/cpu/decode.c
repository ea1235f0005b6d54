/* From features back to rows. */
#include "sae/cpu/blas.h"
#include "sae/cpu/encode.h"

void decode_values(const struct encoder *e, uint32_t n, uint32_t f, uint32_t m, const float *values,
                   float *out)
{
    uint32_t at = encoder_output_at(e, f);
    struct blas_matrix directions = {e->w.w_dec + (size_t)f * e->width + at, (int)e->width, 0};
    blas_sgemm((int)n, (int)(e->width - at), (int)m, 1.0f, (struct blas_matrix){values, (int)m, 0},
               directions, 1.0f, out + at, (int)e->width);
}

void decode_row(const struct encoder *e, const uint32_t *feature, const float *value, size_t count,
                float *out)
{
    e->kernels->combine(out, e->width, e->w.b_dec, 1.0f, e->w.w_dec, e->width, feature, value,
                        count);
}

void decode_skip(const struct encoder *e, uint32_t first, uint32_t n, float scale, float *out)
{
    if (!e->w.w_skip) return;
    int width = (int)e->width, width_in = (int)e->width_in;
    struct blas_matrix input = {e->input + (size_t)first * e->input_stride, (int)e->input_stride,
                                0};
    blas_sgemm((int)n, width, width_in, scale, input,
               (struct blas_matrix){e->w.w_skip, width_in, 1}, 1.0f, out, width);
}

void decode_measure_row(struct encoder *e, uint32_t r)
{
    const uint32_t *index = e->active.index + e->active.start[r];
    const float *value = e->active.value + e->active.start[r];
    double l1 = 0;
    for (uint32_t j = 0; j < e->active.count[r]; j++) l1 += (double)value[j] * e->norm[index[j]];
    e->row_l1[r] = l1;
    e->row_l0[r] = e->active.count[r];
}

void decode_measure_block(struct encoder *e, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                          const float *values)
{
    for (uint32_t r = 0; r < n; r++) {
        const float *row = values + (size_t)r * m;
        float l1;
        uint32_t active = 0;
        e->kernels->dots(&l1, row, m, e->norm + f, 0, NULL, 1);
        for (uint32_t i = 0; i < m; i++) active += row[i] > 0;
        e->row_l1[first + r] += l1;
        e->row_l0[first + r] += active;
    }
}
