/* Cross-layer transcoders: which layers a feature reads and writes. */
#include "helper.h"

#include "sae/cpu/encode.h"
#include "sae/cpu/train.h"
#include "tests/truth.h"

#include <string.h>

enum { LAYERS = 3, IN = 16, OUT = 24, TRUE = 24, EACH = 48, ROWS = 512 };
enum { F = LAYERS * EACH, INS = LAYERS * IN, OUTS = LAYERS * OUT, WIDTH = INS + OUTS };

static float reads[LAYERS][TRUE * IN];            /* a true feature's direction in its own layer */
static float writes[LAYERS][TRUE * LAYERS * OUT]; /* and in all, 0 before its own */

static void make_truth(struct rng *rng)
{
    for (int l = 0; l < LAYERS; l++) {
        random_directions(rng, reads[l], TRUE, IN);
        random_directions(rng, writes[l], TRUE, OUTS);
        for (int i = 0; i < TRUE; i++)
            memset(writes[l] + (size_t)i * OUTS, 0, (size_t)l * OUT * sizeof(float));
    }
}

/* Two features of each layer are active. Inputs of different layers have nothing in common, so that
 * what an earlier one writes cannot be told from a later one's input. */
static void make_rows(struct rng *rng, float *x, int rows)
{
    memset(x, 0, (size_t)rows * WIDTH * sizeof *x);
    for (int r = 0; r < rows; r++)
        for (int l = 0; l < LAYERS; l++)
            for (int a = 0; a < 2; a++) {
                float *row = x + (size_t)r * WIDTH, z = 3 + 2 * (float)rng_unit(rng);
                uint64_t i = rng_below(rng, TRUE);
                for (int j = 0; j < IN; j++) row[l * IN + j] += z * reads[l][i * IN + j];
                for (int j = 0; j < OUTS; j++) row[INS + j] += z * writes[l][i * OUTS + j];
            }
}

static struct sae_options options(enum sae_arch activation)
{
    struct sae_options o;
    sae_options_default(SAE_CLT, &o);
    o.activation = activation;
    o.width = WIDTH;
    o.width_in = INS;
    o.hooks = LAYERS;
    o.features = F;
    o.k = 2 * LAYERS;
    o.threads = 2;
    o.batch_rows = ROWS;
    o.learning_rate = 3e-3;
    o.lambda = 1.5;
    return o;
}

static struct sae *trained(const struct sae_options *o, int steps, struct sae_step *step)
{
    static float x[ROWS * WIDTH];
    struct rng rng;
    struct sae *sae;
    rng_seed(&rng, 3);
    make_truth(&rng);
    assert_int_equal(sae_new(o, &sae), ERR_OK);
    for (int i = 0; i < steps; i++) {
        make_rows(&rng, x, ROWS);
        assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, ROWS}, step), ERR_OK);
        assert_int_equal(step->skipped, 0);
    }
    return sae;
}

static void recover(enum sae_arch activation)
{
    struct sae_options o = options(activation);
    struct sae_step step;
    o.planned_steps = 1500;
    struct sae *sae = trained(&o, 1500, &step);
    const float *w_dec = sae_parameters(sae).w_dec;
    print_message("%s: FVE %.3f, L0 %.1f, dead %u\n", sae_arch_name(activation), step.fve, step.l0,
                  step.dead);
    assert_true(step.fve > 0.9);
    for (int l = 0; l < LAYERS; l++) { /* each layer's are those of the truth, in all layers */
        double mmcs;
        assert_int_equal(
            truth_mmcs(writes[l], TRUE, w_dec + (size_t)l * EACH * OUTS, EACH, OUTS, &mmcs),
            ERR_OK);
        print_message("layer %d: MMCS %.3f\n", l, mmcs);
        assert_true(mmcs >= 0.9);
    }
    sae_free(sae);
}

static void features_that_write_several_layers_are_recovered(void **state)
{
    (void)state;
    recover(SAE_JUMPRELU);
    recover(SAE_BATCHTOPK);
}

static void nothing_flows_backwards(void **state)
{
    (void)state;
    static float x[8 * WIDTH], out[8 * OUTS], other[8 * OUTS];
    const enum sae_arch activations[] = {SAE_JUMPRELU, SAE_BATCHTOPK};
    for (int a = 0; a < 2; a++) {
        struct sae_options o = options(activations[a]);
        struct sae_step step;
        struct sae *sae = trained(&o, 40, &step);
        const float *w_dec = sae_parameters(sae).w_dec;
        for (int f = 0; f < F; f++)
            for (int j = 0; j < f / EACH * OUT; j++) assert_true(w_dec[(size_t)f * OUTS + j] == 0);
        struct rng rng;
        rng_seed(&rng, 9);
        make_rows(&rng, x, 8);
        assert_int_equal(sae_forward(sae, x, 8, out, NULL), ERR_OK);
        for (int r = 0; r < 8; r++) x[r * WIDTH + 2 * IN] += 5; /* the last layer's input */
        assert_int_equal(sae_forward(sae, x, 8, other, NULL), ERR_OK);
        int changed = 0;
        for (int i = 0; i < 8 * OUTS; i++) {
            if (i % OUTS < 2 * OUT) assert_true(out[i] == other[i]);
            changed |= out[i] != other[i];
        }
        assert_true(changed);
        sae_free(sae);
    }
}

/* Of one layer it is a transcoder, bit for bit. */
static void one_layer_is_a_transcoder(void **state)
{
    (void)state;
    struct sae_options o = options(SAE_BATCHTOPK);
    struct sae_step step;
    o.hooks = 1;
    struct sae *clt = trained(&o, 20, &step);
    o.arch = SAE_TRANSCODER;
    struct sae *transcoder = trained(&o, 20, &step);
    struct sae_parameters a = sae_parameters(clt), b = sae_parameters(transcoder);
    assert_memory_equal(a.w_enc, b.w_enc, (size_t)F * INS * sizeof(float));
    assert_memory_equal(a.w_dec, b.w_dec, (size_t)F * OUTS * sizeof(float));
    assert_memory_equal(a.b_enc, b.b_enc, F * sizeof(float));
    assert_memory_equal(a.b_dec, b.b_dec, OUTS * sizeof(float));
    sae_free(clt);
    sae_free(transcoder);
}

/* Against a sort of all pre-activations as kernels->dots() has them. The first layer's rows are
 * small, so that what it tells of rounding is too little for the others. `sign` -1: the terms of
 * each almost cancel, so that products alone, which round otherwise, would take others; 1: all are
 * large and almost alike. `size`: of the second layer's rows; of 1e35 there is no bound. */
static void keep_the_largest(float sign, float size, uint32_t each, uint32_t k, uint32_t rows)
{
    struct sae_options o = options(SAE_BATCHTOPK);
    uint32_t features = LAYERS * each, pairs = rows * features, taken = 0;
    float *x = malloc((size_t)rows * WIDTH * sizeof *x);
    struct candidate *list = malloc(pairs * sizeof *list);
    uint8_t *wanted = calloc(pairs, 1);
    struct sae *sae;
    struct rng rng;
    o.features = features;
    o.k = k;
    rng_seed(&rng, 5);
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    struct dictionary *d = sae->state;
    for (uint32_t i = 0; i < features * IN; i++)
        d->e.w.w_enc[i] = (i % 2 ? sign : 1) * (0.3f + 0.01f * (float)(i % IN / 2)) +
                          (sign < 0 ? 1e-4f : 3e-6f) * (float)rng_normal(&rng);
    for (uint32_t i = 0; i < rows * WIDTH; i++) {
        const float sizes[] = {1e-3f, size, size / 2};
        uint32_t layer = i % WIDTH / IN < LAYERS ? i % WIDTH / IN : 0;
        x[i] = sizes[layer] * (1 + 1e-5f * (float)rng_normal(&rng));
    }
    for (uint32_t p = 0; p < pairs; p++) {
        uint32_t f = p % features;
        list[p].index = p;
        d->e.kernels->dots(&list[p].value, d->e.w.w_enc + f * IN, IN,
                           x + (size_t)(p / features) * WIDTH + f / each * IN, 0, NULL, 1);
        list[p].value += d->e.w.b_enc[f];
    }
    qsort(list, pairs, sizeof *list, best_first);
    for (uint32_t p = 0; p < k * rows; p++) wanted[list[p].index] = 1;
    encoder_take(&d->e, x, rows);
    rows_centre(d);
    encode_begin(&d->e);
    batch_topk_encode(d);
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t j = 0; j < d->e.active.count[r]; j++, taken++)
            if (!wanted[(size_t)r * features + d->e.active.index[d->e.active.start[r] + j]])
                fail_msg("F %u: row %u, place %u should not be there", features, r, j);
    assert_int_equal(taken, k * rows);
    free(x);
    free(list);
    free(wanted);
    sae_free(sae);
}

static void the_largest_of_all_layers_are_kept(void **state)
{
    (void)state;
    keep_the_largest(-1, 100, 48, 6, 512);
    keep_the_largest(-1, 100, 400, 2, 70);
    keep_the_largest(1, 100, 400, 2, 70);
    keep_the_largest(1, 1e35f, 400, 2, 70);
}

/* At first pre-activations are about 0 on the mean row: each layer's own mean. */
static void biases_begin_at_each_layers_mean(void **state)
{
    (void)state;
    struct sae_options o = options(SAE_JUMPRELU);
    struct sae *sae;
    float mean[WIDTH];
    for (int i = 0; i < WIDTH; i++) mean[i] = (float)i;
    o.mean = mean;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    struct sae_parameters p = sae_parameters(sae);
    for (int f = 0; f < F; f++) {
        double pre = p.b_enc[f];
        for (int j = 0; j < IN; j++) pre += (double)p.w_enc[f * IN + j] * mean[f / EACH * IN + j];
        assert_true(fabs(pre) < 1e-4);
    }
    for (int j = 0; j < OUTS; j++) assert_true(p.b_dec[j] == mean[INS + j]);
    sae_free(sae);
}

static void refused(struct sae_options o, const char *words)
{
    struct sae *sae;
    assert_int_equal(sae_new(&o, &sae), ERR_USAGE);
    if (!strstr(err_text(), words)) fail_msg("'%s' says nothing of '%s'", err_text(), words);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct sae_options o = options(SAE_JUMPRELU);
    o.features = F + 1;
    refused(o, "multiple");
    o = options(SAE_TOPK);
    refused(o, "jumprelu or batchtopk");
    o = options(SAE_JUMPRELU);
    o.hooks = 5;
    refused(o, "of 5 layers");
    o.hooks = 0;
    refused(o, "of 0 layers");
    o = options(SAE_JUMPRELU);
    o.width_in = WIDTH;
    refused(o, "width_in");
    o = options(SAE_JUMPRELU);
    o.bandwidth = 0;
    refused(o, "bandwidth");
    o = options(SAE_BATCHTOPK);
    o.k = F + 1;
    refused(o, "k is");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_that_write_several_layers_are_recovered),
        cmocka_unit_test(nothing_flows_backwards),
        cmocka_unit_test(one_layer_is_a_transcoder),
        cmocka_unit_test(the_largest_of_all_layers_are_kept),
        cmocka_unit_test(biases_begin_at_each_layers_mean),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
