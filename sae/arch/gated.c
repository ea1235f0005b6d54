/*
 * Gated (Rajamanoharan et al. 2024, arXiv 2404.16014): whether a feature is active and how much are
 * told by two paths that share W_enc. With y = W_enc (x - b_dec) + b_enc the gate,
 *
 *   z = exp(r_mag) (y - b_enc) + b_mag,   f = max(0, z) where y > 0, else 0,   g = max(0, y)
 *   loss = ||x - x'(f)||^2 + lambda sum g + ||x - x'(g)||^2
 *
 * where the last takes the decoder as given. The gate learns from the last two alone, the
 * magnitudes from the first.
 */
#include "sae/arch/shared.h"
#include "sae/dictionary.h"

#include <math.h>

/* exp(r_mag) of m features from f. */
static void scales(const struct encoder *e, uint32_t f, uint32_t m, float *scale)
{
    for (uint32_t i = 0; i < m; i++) scale[i] = expf(e->w.r_mag[f + i]);
}

static float magnitude(const struct encoder *e, uint32_t f, float y, float scale)
{
    return scale * (y - e->w.b_enc[f]) + e->w.b_mag[f];
}

static void values(const struct encoder *e, uint32_t n, uint32_t f, uint32_t m, float *y)
{
    float scale[BLOCK_FEATURES];
    scales(e, f, m, scale);
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < m; i++) {
            float gate = y[(size_t)r * m + i], z = magnitude(e, f + i, gate, scale[i]);
            y[(size_t)r * m + i] = gate <= 0 || z <= 0 ? 0 : z;
        }
}

/* g: the gates' own values. */
static void train(struct dictionary *d, uint32_t first, uint32_t n, uint32_t f, uint32_t m,
                  float *y, float *g)
{
    float scale[BLOCK_FEATURES];
    scales(&d->e, f, m, scale);
    for (uint32_t r = 0; r < n; r++) {
        double open = 0;
        for (uint32_t i = 0; i < m; i++) {
            size_t at = (size_t)r * m + i;
            float gate = y[at], z = magnitude(&d->e, f + i, gate, scale[i]);
            /* NaN passes, so that the step is seen to be not finite */
            g[at] = gate <= 0 ? 0 : gate;
            y[at] = gate <= 0 || z <= 0 ? 0 : z;
            open += g[at];
        }
        d->row_rest[first + r] += d->lambda * open;
    }
}

static void gradients(const struct dictionary *d, uint32_t n, uint32_t f, uint32_t m, float *y,
                      float *df, const float *dg, struct arch_sums *sums)
{
    double share = 2.0 / d->e.rows, penalty = d->lambda / d->e.rows;
    float scale[BLOCK_FEATURES];
    scales(&d->e, f, m, scale);
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < m; i++) {
            size_t at = (size_t)r * m + i;
            int open = !(y[at] <= 0);
            float z = magnitude(&d->e, f + i, y[at], scale[i]);
            double by_z = open && !(z <= 0) ? share * df[at] : 0;
            double by_gate = open ? share * dg[at] + penalty : 0;
            sums[i].b_enc += by_gate;
            sums[i].b_mag += by_z;
            sums[i].r_mag += by_z * (z - d->e.w.b_mag[f + i]);
            df[at] = (float)(by_gate + by_z * scale[i]);
            y[at] = open && !(z <= 0) ? z : 0;
        }
}

static double finish(struct dictionary *d, uint32_t f, const struct arch_sums *sums, double f_sum)
{
    (void)f_sum;
    d->g.b_enc[f] = (float)sums->b_enc;
    d->g.b_mag[f] = (float)sums->b_mag;
    d->g.r_mag[f] = (float)sums->r_mag;
    return 0;
}

static const struct tensor tensors[] = {TENSORS_OF_ALL, TENSOR(r_mag, TENSOR_F, 0, 0, 0),
                                        TENSOR(b_mag, TENSOR_F, 0, 0, 0), TENSORS_END};

static const struct arch_dense dense = {
    .values = values,
    .train = train,
    .gradients = gradients,
    .finish = finish,
    .reconstructs_twice = 1,
    .silent_learn = 1, /* where only the gate is open */
    .own_penalty = 1,
};

const struct arch arch_gated = {
    .machine = &dictionary_machine,
    .room = dense_room,
    .tensors = tensors,
    .dense = &dense,
    .way = WAY_DENSE,
    .centred = 1,
    .unit_norm = 1,
    .start = {.norm = 1, .share = 1, .at_mean = 1},
    .saelens = "gated",
};
