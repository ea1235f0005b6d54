/* target_l0: who asks for so many active features per row gets them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sae/checkpoint.h"

#include "helper.h"

enum { WIDTH = 48, FEATURES = 320, ROWS = 128, DIRECTIONS = 300, ACTIVE = 16, STEPS = 400 };

struct run {
    struct rng rng;
    float *directions, *x;
    struct sae *sae;
};

static void options_of(enum sae_arch arch, double target_l0, struct sae_options *o)
{
    sae_options_default(arch, o);
    o->width = WIDTH;
    o->features = FEATURES;
    o->batch_rows = ROWS;
    o->threads = 2;
    o->planned_steps = STEPS;
    o->learning_rate = 1e-3;
    o->target_l0 = target_l0;
}

static void begin(struct run *r, const struct sae_options *o)
{
    rng_seed(&r->rng, 3);
    r->directions = malloc(sizeof *r->directions * DIRECTIONS * WIDTH);
    r->x = malloc(sizeof *r->x * ROWS * WIDTH);
    random_directions(&r->rng, r->directions, DIRECTIONS, WIDTH);
    assert_int_equal(sae_new(o, &r->sae), ERR_OK);
}

static void end(struct run *r)
{
    sae_free(r->sae);
    free(r->directions);
    free(r->x);
}

static struct sae_step train(struct run *r)
{
    struct sae_batch batch = {.x = r->x, .rows = ROWS};
    struct sae_step step;
    sparse_rows(&r->rng, r->directions, DIRECTIONS, WIDTH, ACTIVE, r->x, ROWS);
    assert_int_equal(sae_train(r->sae, &batch, &step), ERR_OK);
    return step;
}

/* Mean L0 of the last tenth of the steps. */
static double l0_reached(enum sae_arch arch, double target_l0)
{
    struct sae_options o;
    struct run r;
    double sum = 0;
    options_of(arch, target_l0, &o);
    begin(&r, &o);
    for (int i = 0; i < STEPS; i++) {
        struct sae_step step = train(&r);
        if (i >= STEPS - STEPS / 10) sum += step.l0;
    }
    end(&r);
    return sum / (STEPS / 10);
}

static void comes_within_a_tenth(enum sae_arch arch)
{
    static const double targets[] = {16, 32, 64};
    for (int i = 0; i < 3; i++) {
        double l0 = l0_reached(arch, targets[i]);
        if (fabs(l0 / targets[i] - 1) > 0.1)
            fail_msg("%s: L0 %g for %g", sae_arch_name(arch), l0, targets[i]);
    }
}

static void jumprelu_comes_to_it(void **state)
{
    (void)state;
    comes_within_a_tenth(SAE_JUMPRELU);
}

static void gated_comes_to_it(void **state)
{
    (void)state;
    comes_within_a_tenth(SAE_GATED);
}

static void l1_comes_to_it(void **state)
{
    (void)state;
    comes_within_a_tenth(SAE_L1);
}

/* Steps after a checkpoint are those that would have come without. */
static void a_checkpoint_goes_on_bit_for_bit(void **state)
{
    (void)state;
    static const enum sae_arch archs[] = {SAE_JUMPRELU, SAE_GATED, SAE_L1};
    for (int a = 0; a < 3; a++) {
        char dir[] = "/tmp/sluice-target-XXXXXX", path[256];
        struct checkpoint_writer *writer;
        struct checkpoint *checkpoint;
        struct sae_options o;
        struct sae *other;
        struct run r;
        unsigned damaged;
        options_of(archs[a], 32, &o);
        begin(&r, &o);
        for (int i = 0; i < 50; i++) train(&r);
        assert_non_null(mkdtemp(dir));
        assert_int_equal(checkpoint_begin(dir, 50, &writer), ERR_OK);
        assert_int_equal(sae_save(r.sae, writer, "sae.0"), ERR_OK);
        assert_int_equal(checkpoint_commit(writer, 1), ERR_OK);
        assert_int_equal(checkpoint_newest(dir, &checkpoint, &damaged), ERR_OK);
        assert_int_equal(sae_new(&o, &other), ERR_OK);
        assert_int_equal(sae_load(other, checkpoint, "sae.0"), ERR_OK);
        for (int i = 0; i < 10; i++) {
            struct sae_step is = train(&r), should;
            struct sae_batch batch = {.x = r.x, .rows = ROWS}; /* the same */
            assert_int_equal(sae_train(other, &batch, &should), ERR_OK);
            if (memcmp(&is, &should, sizeof is) != 0)
                fail_msg("%s: step %d: lambda %g and %g", sae_arch_name(archs[a]), i, is.lambda,
                         should.lambda);
        }
        sae_free(other);
        end(&r);
        snprintf(path, sizeof path, "%s", checkpoint_path(checkpoint));
        checkpoint_close(checkpoint);
        unlink(path);
        rmdir(dir);
    }
}

/* A step that is not finite changes nothing, the target's state included. */
static void a_skipped_step_leaves_it(void **state)
{
    (void)state;
    static const enum sae_arch archs[] = {SAE_JUMPRELU, SAE_GATED, SAE_L1};
    for (int a = 0; a < 3; a++) {
        struct sae_options o;
        struct run r, twin;
        options_of(archs[a], 32, &o);
        begin(&r, &o);
        begin(&twin, &o);
        for (int i = 0; i < 20; i++) {
            struct sae_step should = train(&twin), is;
            if (i % 5 == 0) {
                struct sae_batch batch = {.x = twin.x, .rows = ROWS};
                float kept = twin.x[7];
                twin.x[7] = NAN;
                assert_int_equal(sae_train(r.sae, &batch, &is), ERR_OK);
                assert_int_equal(is.skipped, 1);
                twin.x[7] = kept;
            }
            is = train(&r);
            assert_memory_equal(&is, &should, sizeof is);
        }
        end(&r);
        end(&twin);
    }
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const double bad[] = {-1, FEATURES + 1, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        struct sae_options o;
        struct sae *sae;
        options_of(SAE_JUMPRELU, bad[i], &o);
        assert_int_equal(sae_new(&o, &sae), ERR_USAGE);
        assert_non_null(strstr(err_text(), "target_l0 is"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jumprelu_comes_to_it),
        cmocka_unit_test(gated_comes_to_it),
        cmocka_unit_test(l1_comes_to_it),
        cmocka_unit_test(a_checkpoint_goes_on_bit_for_bit),
        cmocka_unit_test(a_skipped_step_leaves_it),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
