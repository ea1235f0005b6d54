/* Weights alone out of a checkpoint: the features are those of the SAE that wrote it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sae/checkpoint.h"
#include "sae/cpu/pool.h"
#include "sae/export/export.h"
#include "sae/model.h"

#include "helper.h"

enum { WIDTH = 12, FEATURES = 40, ROWS = 300, STEPS = 12 };

static char dir[] = "/tmp/sluice-model-XXXXXX";
static struct pool *pool;

static struct sae *trained(int kind, float *x)
{
    struct rng rng;
    struct sae *sae;
    struct sae_step step;
    struct sae_options o = kind_options(kind, WIDTH);
    float directions[24 * WIDTH];
    o.features = FEATURES;
    o.k = 4;
    if (o.arch == SAE_MATRYOSHKA) o.levels = 2;
    o.batch_rows = ROWS;
    o.planned_steps = STEPS;
    o.pool = pool;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    rng_seed(&rng, (uint64_t)kind + 1);
    random_directions(&rng, directions, 24, WIDTH);
    for (int i = 0; i < STEPS; i++) {
        sparse_rows(&rng, directions, 24, WIDTH, 3, x, ROWS);
        assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, ROWS}, &step), ERR_OK);
    }
    return sae;
}

static struct checkpoint *saved(const struct sae *sae)
{
    struct checkpoint_writer *writer;
    struct checkpoint *checkpoint;
    unsigned damaged;
    assert_int_equal(checkpoint_begin(dir, 1, &writer), ERR_OK);
    assert_int_equal(sae_save(sae, writer, "sae.0"), ERR_OK);
    assert_int_equal(checkpoint_commit(writer, 1), ERR_OK);
    assert_int_equal(checkpoint_newest(dir, &checkpoint, &damaged), ERR_OK);
    return checkpoint;
}

static void features_are_those_of_the_training(void **state)
{
    (void)state;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        float x[ROWS * WIDTH], *f = malloc(sizeof *f * ROWS * FEATURES), out[ROWS * WIDTH];
        struct sae *sae = trained(kind, x);
        struct checkpoint *checkpoint = saved(sae);
        struct model model;
        struct pairs pairs;
        if (model_open(checkpoint, "sae.0", pool, &model) != ERR_OK) fail_msg("%s", err_text());
        checkpoint_close(checkpoint); /* it is not needed any more */
        assert_int_equal(model.steps, STEPS);
        assert_int_equal(sae_forward(sae, x, ROWS, out, f), ERR_OK);
        assert_int_equal(encoder_pairs(model.encoder, x, ROWS, &pairs), ERR_OK);
        for (uint32_t r = 0; r < ROWS; r++) {
            uint64_t at = pairs.start[r];
            for (uint32_t i = 0; i < FEATURES; i++) {
                float value = f[(size_t)r * FEATURES + i];
                if (value == 0) continue;
                if (at >= pairs.start[r + 1] || pairs.feature[at] != i || pairs.value[at] != value)
                    fail_msg("%s: row %u, feature %u", sae_arch_name(kinds[kind].arch), r, i);
                at++;
            }
            assert_int_equal(at, pairs.start[r + 1]);
        }
        struct sae_view view = model_view(&model);
        struct sae_parameters p = sae_parameters(sae);
        assert_memory_equal(view.weights.w_dec, p.w_dec,
                            (size_t)FEATURES * sae_out_width(view.options) * sizeof(float));
        assert_int_equal(view.weights.centred, p.centred);
        pairs_free(&pairs);
        model_close(&model);
        sae_free(sae);
        free(f);
    }
}

/* With the scale folded in, raw rows have the features that scaled rows had, and what comes out is
 * what came out, raw. */
static void a_folded_one_takes_raw_rows(void **state)
{
    enum { OUT = ROWS * WIDTH };
    (void)state;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        float x[OUT], raw[OUT], scale[WIDTH], out[OUT], raw_out[OUT];
        struct sae *sae = trained(kind, x);
        struct checkpoint *checkpoint = saved(sae);
        struct model model, folded;
        struct pairs pairs, raw_pairs;
        struct export_options options = {.scale = scale};
        for (int i = 0; i < WIDTH; i++) scale[i] = 2.5F;
        for (int i = 0; i < OUT; i++) raw[i] = x[i] / scale[0];
        assert_int_equal(model_open(checkpoint, "sae.0", pool, &model), ERR_OK);
        assert_int_equal(model_open(checkpoint, "sae.0", pool, &folded), ERR_OK);
        assert_int_equal(model_fold(&folded, &options), ERR_OK);
        assert_int_equal(encoder_pairs(model.encoder, x, ROWS, &pairs), ERR_OK);
        assert_int_equal(encoder_pairs(folded.encoder, raw, ROWS, &raw_pairs), ERR_OK);
        encoder_decode(model.encoder, x, &pairs, out);
        encoder_decode(folded.encoder, raw, &raw_pairs, raw_out);
        double most = 0, size = 0;
        for (size_t i = 0; i < (size_t)ROWS * sae_out_width(model.encoder->options); i++) {
            most = fmax(most, fabs((double)out[i] - (double)raw_out[i] * 2.5));
            size = fmax(size, fabs((double)out[i]));
        }
        if (pairs.count != raw_pairs.count || !(most < 1e-4 * size))
            fail_msg("%s: %llu and %llu features, off by %g of %g", sae_arch_name(kinds[kind].arch),
                     (unsigned long long)pairs.count, (unsigned long long)raw_pairs.count, most,
                     size);
        pairs_free(&pairs);
        pairs_free(&raw_pairs);
        model_close(&model);
        model_close(&folded);
        checkpoint_close(checkpoint);
        sae_free(sae);
    }
}

static void what_is_not_there_is_told(void **state)
{
    (void)state;
    float x[ROWS * WIDTH];
    struct sae *sae = trained(1, x);
    struct checkpoint *checkpoint = saved(sae);
    struct model model;
    assert_int_equal(model_open(checkpoint, "sae.1", pool, &model), ERR_NOTFOUND);
    checkpoint_close(checkpoint);
    sae_free(sae);
    struct sae_options o = kind_options(KIND_COUNT, WIDTH);
    o.pool = pool;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    checkpoint = saved(sae);
    assert_int_equal(model_open(checkpoint, "sae.0", pool, &model), ERR_STATE);
    checkpoint_close(checkpoint);
    sae_free(sae);
}

/* A value that no training writes would make all features not finite. */
static void damaged_weights_are_refused(void **state)
{
    (void)state;
    float x[ROWS * WIDTH];
    struct sae *sae = trained(0, x);
    *(float *)(uintptr_t)&sae_parameters(sae).w_enc[5] = INFINITY;
    struct checkpoint *checkpoint = saved(sae);
    struct model model;
    assert_int_equal(model_open(checkpoint, "sae.0", pool, &model), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "sae.0.weights"));
    checkpoint_close(checkpoint);
    sae_free(sae);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) && pool_new(2, &pool) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    char path[128];
    (void)state;
    pool_free(pool);
    snprintf(path, sizeof path, "%s/checkpoint-%016d.sluice", dir, 1);
    unlink(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_are_those_of_the_training),
        cmocka_unit_test(a_folded_one_takes_raw_rows),
        cmocka_unit_test(what_is_not_there_is_told),
        cmocka_unit_test(damaged_weights_are_refused),
    };
    return cmocka_run_group_tests_name("model", tests, set_up, tear_down);
}
