/* Held-out metrics. FVE's denominator is the variance: the mean of each dimension is taken over the
 * whole set first. Both count from the first row, so that rows that are all equal have a variance
 * of exactly 0, whatever their values are. */
#include "sae/arch/arch.h"

#include "base/err.h"
#include "sae/whiten.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void add_row(const float *x, const float *first, uint32_t width, double *sum)
{
    for (uint32_t i = 0; i < width; i++) sum[i] += (double)x[i] - first[i];
}

static double square_distance(const float *x, const float *y, size_t n)
{
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        double difference = (double)x[i] - y[i];
        total += difference * difference;
    }
    return total;
}

/* `mean` is that of what lies beyond `first`. */
static double square_about(const float *x, const float *first, const double *mean, uint32_t width)
{
    double total = 0;
    for (uint32_t i = 0; i < width; i++) {
        double difference = (double)x[i] - first[i] - mean[i];
        total += difference * difference;
    }
    return total;
}

/* What the rows are to blame for comes before what the SAE is. */
static enum sae_no_fve no_fve_of(double error, double variance)
{
    if (variance == 0) return SAE_EQUAL_ROWS;
    if (!isfinite(variance)) return SAE_BOUNDLESS_ROWS;
    return isfinite(error) ? SAE_HAS_FVE : SAE_BROKEN;
}

/* x' of `rows` rows in their own units: where they are to be whitened, `scratch` (batch, width)
 * holds what the SAE sees. */
static int reconstruct(const struct whiten *whiten, struct sae *sae, const float *x, uint32_t rows,
                       float *scratch, float *out, double *l0, double *l1)
{
    uint32_t width = sae->options.width, out_width = sae_out_width(&sae->options);
    if (!whiten) return sae->arch->machine->forward(sae, x, rows, out, NULL, l0, l1);
    memcpy(scratch, x, (size_t)rows * width * sizeof *x);
    whiten_apply(whiten, scratch, rows);
    int result = sae->arch->machine->forward(sae, scratch, rows, out, NULL, l0, l1);
    if (result == ERR_OK) whiten_undo(whiten, out, rows, width - out_width);
    return result;
}

int sae_evaluate(struct sae *sae, const float *x, uint64_t rows, struct sae_eval *eval)
{
    return whiten_evaluate(NULL, sae, x, rows, eval);
}

int whiten_evaluate(const struct whiten *whiten, struct sae *sae, const float *x, uint64_t rows,
                    struct sae_eval *eval)
{
    uint32_t row_width = sae->options.width, batch = sae->options.batch_rows;
    uint32_t width = sae_out_width(&sae->options);
    const float *target = x + (row_width - width); /* rows of it are row_width apart */
    if (!sae->arch->machine->forward)
        return err_set(ERR_STATE, "%s reconstructs nothing", sae_arch_name(sae->options.arch));
    if (rows == 0) return err_set(ERR_LIMIT, "no rows to evaluate on");
    if (rows < batch) batch = (uint32_t)rows;
    float *out = malloc((size_t)batch * width * sizeof *out);
    double *mean = calloc(width, sizeof *mean);
    float *scratch = whiten ? malloc((size_t)batch * row_width * sizeof *scratch) : NULL;
    int code =
        out && mean && (scratch || !whiten) ? ERR_OK : err_set(ERR_NOMEM, "no memory to evaluate");
    double error = 0, variance = 0, l0 = 0, l1 = 0;
    for (uint64_t r = 0; r < rows && !code; r++)
        add_row(target + r * row_width, target, width, mean);
    for (uint32_t i = 0; i < width && !code; i++) mean[i] /= (double)rows;
    for (uint64_t at = 0; at < rows && !code; at += batch) {
        uint32_t n = rows - at < batch ? (uint32_t)(rows - at) : batch;
        double block_l0, block_l1;
        code = reconstruct(whiten, sae, x + at * row_width, n, scratch, out, &block_l0, &block_l1);
        if (code) break;
        for (uint32_t r = 0; r < n; r++) {
            const float *row = target + (at + r) * row_width;
            error += square_distance(out + (size_t)r * width, row, width);
            variance += square_about(row, target, mean, width);
        }
        l0 += block_l0;
        l1 += block_l1;
    }
    free(out);
    free(scratch);
    free(mean);
    if (code) return code;
    *eval = (struct sae_eval){
        .rows = rows,
        .fve = variance > 0 && isfinite(variance) ? 1 - error / variance : NAN,
        .no_fve = no_fve_of(error, variance),
        .mse = error / (double)rows,
        .l0 = l0 / (double)rows,
        .l1 = l1 / (double)rows,
        .dead = sae_silent(sae, sae->options.dead_window_rows),
    };
    return ERR_OK;
}
