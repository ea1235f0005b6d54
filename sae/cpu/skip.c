/*
 * W_skip of a transcoder (Paulo et al. 2025, arXiv 2501.18823): what comes out is b_dec + W_skip x
 * + the features' part, so that features are spared what a linear map can do. It begins at zero.
 */
#include "sae/cpu/blas.h"
#include "sae/dictionary.h"

void skip_rows(const struct dictionary *d, uint32_t first, uint32_t n, float scale, float *out)
{
    int width = (int)d->width, width_in = (int)d->width_in;
    struct blas_matrix input = {d->input + (size_t)first * d->input_stride, (int)d->input_stride,
                                0};
    blas_sgemm((int)n, width, width_in, scale, input,
               (struct blas_matrix){d->w.w_skip, width_in, 1}, 1.0f, out, width);
}

static void gradient_task(void *arg, uint32_t item, uint32_t thread)
{
    (void)thread;
    struct dictionary *d = arg;
    uint32_t c = item * TASK_COLUMNS;
    uint32_t n = d->width - c < TASK_COLUMNS ? d->width - c : TASK_COLUMNS;
    float *g = d->g.w_skip + (size_t)c * d->width_in, square;
    blas_sgemm((int)n, (int)d->width_in, (int)d->rows, 2.0f / (float)d->rows,
               (struct blas_matrix){d->error + c, (int)d->width, 1},
               (struct blas_matrix){d->input, (int)d->input_stride, 0}, 0.0f, g, (int)d->width_in);
    for (uint32_t i = 0; i < n; i++) {
        d->kernels->dots(&square, g + (size_t)i * d->width_in, d->width_in,
                         g + (size_t)i * d->width_in, 0, NULL, 1);
        d->skip_square[c + i] = square;
    }
}

void skip_gradient(struct dictionary *d)
{
    pool_run(d->pool, gradient_task, d, (d->width + TASK_COLUMNS - 1) / TASK_COLUMNS);
}
