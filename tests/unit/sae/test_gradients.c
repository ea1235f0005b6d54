/*
 * Gradients of the dictionaries against finite differences of a double-precision loss that is
 * written here once more, from the formulas: l1's penalty, TopK of a row and of a batch, nested
 * levels, AuxK with the residual taken as given and b_dec nowhere in its reconstruction, a
 * transcoder's two widths and skip, a crosscoder's norms by hook, which layers a cross-layer
 * transcoder's features read and write. JumpReLU's jump has no
 * derivative: what stands in its place is compared with the rule, in doubles.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "sae/dictionary.h"

#include "laid.h"

enum { D = 9, D_IN = 6, HOOKS = 3, F = 21, B = 33, K = 3, K_AUX = 4, SKIPS = D * D_IN };
enum { FLOATS = 2 * F * D + 4 * F + D + SKIPS };

static double lambda_now, aux_now, below_now;
static int topk, per_batch, levels, jumps, gates, centred, unit_norm, hooks, skips;
static int in, width, at; /* of what the encoder sees, of a row, and where the target begins */
static int layers;
static uint8_t dead[F];
static float x[B * (D_IN + D)];
static double frozen[F * D], frozen_b_dec[D]; /* the decoder there */
static double residual[B][D];                 /* e of the parameters where the gradient is taken */

struct view { /* parameters in one array of doubles */
    double *w_enc, *w_dec, *b_enc, *b_dec, *threshold, *r_mag, *b_mag, *w_skip;
};

static struct view view_of(double *p)
{
    double *rest = p + 2 * F * D + F + D;
    return (struct view){p,    p + F * D, p + 2 * F * D, p + 2 * F * D + F,
                         rest, rest + F,  rest + 2 * F,  rest + 3 * F};
}

static int layer_of(int i)
{
    return i / (F / layers);
}

/* Whether feature i is decoded to dimension j. */
static int writes(int i, int j)
{
    return j / (D / layers) >= layer_of(i);
}

/* What feature i reads. */
static double pre_of(const struct view *v, const float *row, int i)
{
    double pre = v->b_enc[i];
    for (int j = 0; j < in; j++)
        pre += v->w_enc[i * in + j] * (row[layer_of(i) * in + j] - (centred ? v->b_dec[j] : 0));
    return pre;
}

/* f of one row: the `keep` largest above zero among those that are allowed; 0 keeps all. */
static void activate(const struct view *v, const float *row, int keep, const uint8_t *allowed,
                     double *f)
{
    double pre[F];
    for (int i = 0; i < F; i++) pre[i] = pre_of(v, row, i);
    for (int i = 0; i < F; i++) {
        int larger = 0;
        for (int o = 0; o < F; o++)
            if (!allowed || allowed[o]) larger += pre[o] > pre[i];
        int kept = (!allowed || allowed[i]) && pre[i] > 0 && (keep == 0 || larger < keep);
        f[i] = kept ? pre[i] : 0;
    }
}

/* f of the whole batch: the K B largest above zero. */
static void activate_batch(const struct view *v, double f[B][F])
{
    static double pre[B][F];
    for (int r = 0; r < B; r++) activate(v, x + r * width, 0, NULL, pre[r]);
    for (int i = 0; i < B * F; i++) {
        int larger = 0;
        for (int o = 0; o < B * F; o++) larger += pre[o / F][o % F] > pre[i / F][i % F];
        f[i / F][i % F] = larger < K * B ? pre[i / F][i % F] : 0;
    }
}

/* Squared errors of a row's dimension: of all features, and of the narrower levels. */
static double errors_of(const struct view *v, const double *f, int r, int j, double *out)
{
    double loss = 0;
    *out = 0;
    for (int g = 0; g < levels; g++) {
        double target = x[r * width + at + j];
        *out = v->b_dec[j];
        for (int i = 0; skips && i < D_IN; i++) *out += v->w_skip[j * D_IN + i] * x[r * width + i];
        for (int i = 0; i < F >> (levels - 1 - g); i++)
            if (writes(i, j)) *out += f[i] * v->w_dec[i * D + j];
        loss += (target - *out) * (target - *out) / B;
    }
    return loss;
}

static double norm_of(const struct view *v, int i)
{
    double norm = 0;
    for (int h = 0; h < hooks; h++) {
        double square = 0;
        for (int j = h * D / hooks; j < (h + 1) * D / hooks; j++)
            if (writes(i, j)) square += v->w_dec[i * D + j] * v->w_dec[i * D + j];
        norm += sqrt(square);
    }
    return norm;
}

/* JumpReLU: f of one row, and what its penalties add to the loss. */
static double jump(const struct view *v, const float *row, double *pre, double *f)
{
    double loss = 0;
    for (int i = 0; i < F; i++) {
        pre[i] = pre_of(v, row, i);
        f[i] = pre[i] > v->threshold[i] ? pre[i] : 0;
        loss += lambda_now * tanh(4 * f[i] * norm_of(v, i)) / B;
        if (f[i] == 0) loss += below_now * (v->threshold[i] - pre[i]) * norm_of(v, i) / B;
    }
    return loss;
}

/* Gated: f of one row, and what the gate adds to the loss; b_dec and the decoder of its own
 * reconstruction are as they were. */
static double gate(const struct view *v, const float *row, double *f)
{
    double out[D], loss = 0;
    for (int j = 0; j < D; j++) out[j] = frozen_b_dec[j];
    for (int i = 0; i < F; i++) {
        double product = 0;
        for (int j = 0; j < D; j++) product += v->w_enc[i * D + j] * (row[j] - v->b_dec[j]);
        double open = fmax(product + v->b_enc[i], 0);
        double z = exp(v->r_mag[i]) * product + v->b_mag[i];
        f[i] = open > 0 ? fmax(z, 0) : 0;
        loss += lambda_now * open / B;
        for (int j = 0; j < D; j++) out[j] += open * frozen[i * D + j];
    }
    for (int j = 0; j < D; j++) loss += (row[j] - out[j]) * (row[j] - out[j]) / B;
    return loss;
}

static double loss_of(double *p, int set_residual)
{
    static double all[B][F];
    struct view v = view_of(p);
    double loss = 0;
    if (per_batch) activate_batch(&v, all);
    for (int r = 0; r < B; r++) {
        double *f = all[r], g[F], pre[F];
        if (jumps)
            loss += jump(&v, x + r * width, pre, f);
        else if (gates)
            loss += gate(&v, x + r * width, f);
        else if (!per_batch)
            activate(&v, x + r * width, topk ? K : 0, NULL, f);
        activate(&v, x + r * width, K_AUX, dead, g);
        for (int j = 0; j < D; j++) {
            double out, aux = 0;
            loss += errors_of(&v, f, r, j, &out);
            for (int i = 0; i < F; i++)
                if (writes(i, j)) aux += g[i] * v.w_dec[i * D + j];
            if (set_residual) residual[r][j] = x[r * width + at + j] - out;
            if (topk) loss += aux_now * (residual[r][j] - aux) * (residual[r][j] - aux) / B;
        }
        for (int i = 0; i < F && !topk && !jumps && !gates; i++)
            loss += lambda_now * f[i] * norm_of(&v, i) / B;
    }
    return loss;
}

static void to_doubles(const struct parameters *p, double *out)
{
    struct view v = view_of(out);
    memset(out, 0, FLOATS * sizeof *out);
    for (int i = 0; i < F * in; i++) v.w_enc[i] = p->w_enc[i];
    for (int i = 0; i < F * D; i++) v.w_dec[i] = p->w_dec[i];
    for (int i = 0; p->w_skip && i < SKIPS; i++) v.w_skip[i] = p->w_skip[i];
    for (int i = 0; i < F; i++) {
        v.b_enc[i] = p->b_enc[i];
        v.threshold[i] = p->threshold ? p->threshold[i] : 0;
        v.r_mag[i] = p->r_mag ? p->r_mag[i] : 0;
        v.b_mag[i] = p->b_mag ? p->b_mag[i] : 0;
    }
    for (int i = 0; i < D; i++) v.b_dec[i] = p->b_dec[i];
}

/* The parallel part that unit-norm decoders lose. */
static void project(const double *p, double *gradient)
{
    const double *w = p + F * D;
    double *g = gradient + F * D;
    for (int i = 0; i < F; i++) {
        double dot = 0, square = 0;
        for (int j = 0; j < D; j++) {
            dot += w[i * D + j] * g[i * D + j];
            square += w[i * D + j] * w[i * D + j];
        }
        for (int j = 0; j < D; j++) g[i * D + j] -= dot / square * w[i * D + j];
    }
}

static double bandwidth = 1e-9; /* so narrow that nothing lies within */

static struct sae *made_as(enum sae_arch arch, enum sae_arch activation, int skip, double aux)
{
    struct sae_options o;
    struct sae *sae;
    float mean[D_IN + D];
    sae_options_default(arch, &o);
    o.activation = activation;
    o.width = D;
    o.features = F;
    if (arch == SAE_TRANSCODER) {
        o.width_in = D_IN;
        o.width += D_IN;
        o.skip = (uint32_t)skip;
    }
    if (arch == SAE_CLT) {
        o.width_in = D_IN;
        o.width += D_IN;
    }
    if (arch == SAE_CROSSCODER || arch == SAE_CLT) o.hooks = HOOKS;
    layers = arch == SAE_CLT ? HOOKS : 1;
    skips = (int)o.skip;
    width = (int)o.width;
    in = (int)sae_in_width(&o);
    at = width - D;
    jumps = activation == SAE_JUMPRELU;
    gates = arch == SAE_GATED;
    topk = sae_keeps_largest(&o);
    centred = (topk || gates) && o.width_in == 0;
    unit_norm = centred;
    hooks = topk || layers > 1 ? 1 : (int)o.hooks;
    o.k = topk ? K : 0;
    if (arch == SAE_MATRYOSHKA) o.levels = 3;
    o.k_aux = K_AUX;
    o.aux_coefficient = aux;
    o.lambda_ramp = 0;
    o.lambda = topk ? 0 : 0.7;
    o.pre_act_coefficient = 0.1;
    o.bandwidth = bandwidth;
    o.batch_rows = B;
    o.threads = 2;
    o.dead_window_rows = 1000;
    for (int j = 0; j < width; j++) mean[j] = 0.3f * (float)j;
    o.mean = mean;
    assert_int_equal(sae_new(&o, &sae), 0);
    per_batch = arch == SAE_BATCHTOPK || arch == SAE_MATRYOSHKA || activation == SAE_BATCHTOPK;
    levels = (int)o.levels;
    lambda_now = o.lambda;
    below_now = o.pre_act_coefficient;
    aux_now = aux;
    return sae;
}

static struct sae *made(enum sae_arch arch, double aux)
{
    return made_as(arch, arch, 0, aux);
}

/* Weights of no special form, a few features long silent, rows about the mean. */
static void disturb(struct dictionary *d)
{
    struct rng rng;
    rng_seed(&rng, 11);
    for (int i = 0; i < F * in; i++) d->e.w.w_enc[i] += (float)(0.3 * rng_normal(&rng));
    for (int i = 0; i < F * D; i++)
        if (!unit_norm && writes(i / D, i % D)) d->e.w.w_dec[i] += (float)(0.3 * rng_normal(&rng));
    for (int i = 0; d->e.w.w_skip && i < SKIPS; i++)
        d->e.w.w_skip[i] = (float)(0.3 * rng_normal(&rng));
    for (int f = 0; f < F; f++) {
        d->e.w.b_enc[f] = (float)(0.2 * rng_normal(&rng));
        encoder_norm(&d->e, (uint32_t)f);
        dead[f] = f % 3 == 1;
        if (jumps) d->e.w.threshold[f] = 0.2f + 0.02f * (float)f;
        if (gates) d->e.w.r_mag[f] = (float)(0.3 * rng_normal(&rng));
        if (gates) d->e.w.b_mag[f] = (float)(0.3 * rng_normal(&rng));
        d->silent_rows[f] = dead[f] ? 5000 : 0;
    }
    for (int j = 0; j < D; j++) d->e.w.b_dec[j] += (float)(0.1 * rng_normal(&rng));
    for (int i = 0; i < B * width; i++) x[i] = (float)rng_normal(&rng) + 0.3f * (float)(i % width);
}

/* What the straight-through rule adds: where y is within half a bandwidth of theta, the gradient
 * with respect to f goes to theta times -theta / bandwidth, and to y times as much with the other
 * sign. */
static void add_straight_through(double *p, double *gradient)
{
    struct view v = view_of(p), g = view_of(gradient);
    for (int r = 0; r < B; r++) {
        double pre[F], f[F], error[D];
        const float *row = x + r * width;
        jump(&v, row, pre, f);
        for (int j = 0; j < D; j++) {
            error[j] = v.b_dec[j] - row[at + j];
            for (int i = 0; i < F; i++) error[j] += f[i] * v.w_dec[i * D + j];
        }
        for (int i = 0; i < F; i++) {
            if (fabs(pre[i] - v.threshold[i]) >= bandwidth / 2) continue;
            double t = tanh(4 * f[i] * norm_of(&v, i));
            double by_f = lambda_now * 4 * norm_of(&v, i) * (1 - t * t) / B;
            for (int j = 0; j < D; j++) by_f += 2 * error[j] * v.w_dec[i * D + j] / B;
            by_f *= v.threshold[i] / bandwidth;
            g.threshold[i] -= by_f;
            g.b_enc[i] += by_f;
            for (int j = 0; j < in; j++) g.w_enc[i * in + j] += by_f * row[layer_of(i) * in + j];
        }
    }
}

static void compare(struct sae *sae, int dense, int with_aux)
{
    struct dictionary *d = sae->state;
    static double p[FLOATS], wanted[FLOATS], got[FLOATS];
    struct sae_step step;
    struct sae_batch batch = {x, NULL, B};
    disturb(d);
    to_doubles(&d->e.w, p);
    memcpy(frozen, p + F * D, sizeof frozen);
    memcpy(frozen_b_dec, p + 2 * F * D + F, sizeof frozen_b_dec);
    double loss = loss_of(p, 1);
    for (int i = 0; i < FLOATS; i++) {
        double h = 1e-6, was = p[i];
        p[i] = was + h;
        double above = loss_of(p, 0);
        p[i] = was - h;
        wanted[i] = (above - loss_of(p, 0)) / (2 * h);
        p[i] = was;
    }
    if (unit_norm) project(p, wanted);
    if (jumps) add_straight_through(p, wanted);
    assert_int_equal(sae_train(sae, &batch, &step), 0);
    assert_int_equal(step.skipped, 0);
    assert_int_equal(d->dense, dense); /* the way that was meant to be tested */
    assert_int_equal(d->with_aux, with_aux);
    to_doubles(&d->g, got);
    double square = 0, largest = 0;
    for (int i = 0; i < FLOATS; i++) {
        int f = i < F * D ? i / in : i < 2 * F * D ? (i - F * D) / D : -1;
        if (f >= 0 && f < F && !d->touched[f]) got[i] = 0; /* never written */
        square += wanted[i] * wanted[i];
        largest = fmax(largest, fabs(wanted[i]));
    }
    for (int i = 0; i < FLOATS; i++)
        if (fabs(got[i] - wanted[i]) > 1e-5 * largest)
            fail_msg("gradient %d of %d: %.9g, finite difference %.9g", i, FLOATS, got[i],
                     wanted[i]);
    assert_true(fabs(step.loss - loss) < 1e-5 * loss);
    assert_true(fabs(step.gradient_norm - sqrt(square)) < 1e-4 * sqrt(square));
    sae_free(sae);
}

static void by_lists(struct sae *sae)
{
    struct dictionary *d = sae->state;
    d->density = 0;
    /* Half of the features are active: more than lists are made for, so they get room here. */
    struct arena rows = {0}, features = {0};
    LAID(rows, row_lists_lay(&d->e.active, B, B * F, &rows));
    LAID(features, feature_lists_lay(&d->by_feature, F, B * F, &features));
    for (int t = 0; t < 2; t++) d->e.scratch[t].active.limit = F + 1;
    compare(sae, 0, 0);
    arena_close(&rows);
    arena_close(&features);
}

static void l1_by_lists(void **state)
{
    (void)state;
    by_lists(made(SAE_L1, 0));
}

static void transcoder(void **state)
{
    (void)state;
    for (int skip = 0; skip < 2; skip++) {
        compare(made_as(SAE_TRANSCODER, SAE_TOPK, skip, 0), 0, 0);
        compare(made_as(SAE_TRANSCODER, SAE_TOPK, skip, 0.5), 0, 1);
        compare(made_as(SAE_TRANSCODER, SAE_BATCHTOPK, skip, 0.5), 0, 1);
        compare(made_as(SAE_TRANSCODER, SAE_L1, skip, 0), 1, 0);
        by_lists(made_as(SAE_TRANSCODER, SAE_L1, skip, 0));
    }
}

static void crosscoder(void **state)
{
    (void)state;
    compare(made_as(SAE_CROSSCODER, SAE_L1, 0, 0), 1, 0);
    by_lists(made_as(SAE_CROSSCODER, SAE_L1, 0, 0));
    compare(made_as(SAE_CROSSCODER, SAE_TOPK, 0, 0.5), 0, 1);
    compare(made_as(SAE_CROSSCODER, SAE_BATCHTOPK, 0, 0.5), 0, 1);
}

static void clt(void **state)
{
    (void)state;
    compare(made_as(SAE_CLT, SAE_JUMPRELU, 0, 0), 1, 0);
    bandwidth = 1;
    compare(made_as(SAE_CLT, SAE_JUMPRELU, 0, 0), 1, 0);
    bandwidth = 1e-9;
    compare(made_as(SAE_CLT, SAE_BATCHTOPK, 0, 0), 0, 0);
    compare(made_as(SAE_CLT, SAE_BATCHTOPK, 0, 0.5), 0, 1);
}

static void l1_by_dense_products(void **state)
{
    (void)state;
    struct sae *sae = made(SAE_L1, 0);
    assert_true(((struct dictionary *)sae->state)->density == 1);
    compare(sae, 1, 0);
}

static void topk_without_auxk(void **state)
{
    (void)state;
    compare(made(SAE_TOPK, 0), 0, 0);
}

static void topk_with_auxk(void **state)
{
    (void)state;
    compare(made(SAE_TOPK, 0.5), 0, 1);
}

static void batchtopk(void **state)
{
    (void)state;
    compare(made(SAE_BATCHTOPK, 0), 0, 0);
    compare(made(SAE_BATCHTOPK, 0.5), 0, 1);
}

static void jumprelu(void **state)
{
    (void)state;
    compare(made(SAE_JUMPRELU, 0), 1, 0);
    bandwidth = 1;
    compare(made(SAE_JUMPRELU, 0), 1, 0);
    bandwidth = 1e-9;
}

static void gated(void **state)
{
    (void)state;
    compare(made(SAE_GATED, 0), 1, 0);
}

static void matryoshka(void **state)
{
    (void)state;
    compare(made(SAE_MATRYOSHKA, 0), 0, 0);
    compare(made(SAE_MATRYOSHKA, 0.5), 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(l1_by_lists),
        cmocka_unit_test(l1_by_dense_products),
        cmocka_unit_test(topk_without_auxk),
        cmocka_unit_test(topk_with_auxk),
        cmocka_unit_test(batchtopk),
        cmocka_unit_test(matryoshka),
        cmocka_unit_test(jumprelu),
        cmocka_unit_test(gated),
        cmocka_unit_test(transcoder),
        cmocka_unit_test(crosscoder),
        cmocka_unit_test(clt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
