/* How often each feature fired, and how long its direction is: against counting dense features, and against
 * the weights, of every architecture. */
#include "helper.h"

#include "sae/checkpoint.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 24, FEATURES = 64, ROWS = 40, STEPS = 3 };

static float x[ROWS * WIDTH], f[ROWS * FEATURES], out[ROWS * WIDTH];
static double counts[FEATURES], l0;

static struct sae *make(int kind)
{
    struct sae_options o = kind_options(kind, WIDTH);
    struct sae *sae;
    o.features = FEATURES;
    o.k = 4;
    o.batch_rows = ROWS;
    o.threads = 2;
    if (sae_new(&o, &sae) != ERR_OK) fail_msg("%s", err_text());
    return sae;
}

/* A step on new rows, and what fires in it before the weights change: in `counts` and `l0`. */
static void step(struct sae *sae, struct rng *rng, uint32_t rows)
{
    float directions[WIDTH * WIDTH];
    struct row_id ids[ROWS] = {{0}};
    struct sae_step made;
    random_directions(rng, directions, WIDTH, WIDTH);
    sparse_rows(rng, directions, WIDTH, WIDTH, 3, x, rows);
    if (sae_options(sae)->arch != SAE_COUNT)
        assert_int_equal(sae_forward(sae, x, rows, out, f), ERR_OK);
    assert_int_equal(sae_train(sae, &(struct sae_batch){x, ids, rows}, &made), ERR_OK);
    assert_int_equal(made.skipped, 0);
    l0 += made.l0 * rows;
    for (uint32_t i = 0; i < rows * FEATURES; i++) counts[i % FEATURES] += f[i] > 0;
}

/* Where the batch competes for its places, dense features of single rows are others. */
static int competes(int kind)
{
    return kinds[kind].activation == SAE_BATCHTOPK || kinds[kind].activation == SAE_MATRYOSHKA;
}

static void shares_are(struct sae *sae, int kind, uint32_t rows)
{
    float share[FEATURES];
    double sum = 0;
    assert_int_equal(sae_fired(sae, share), rows);
    for (int i = 0; i < FEATURES; i++) {
        sum += (double)share[i] * rows;
        if (!competes(kind) && fabs((double)share[i] * rows - counts[i]) > 1e-3)
            fail_msg("kind %d: feature %d fired in %g rows of %u, not in %g", kind, i,
                     (double)share[i] * rows, rows, counts[i]);
    }
    if (!(l0 > 0) || fabs(sum - l0) > 1e-3 * l0)
        fail_msg("kind %d: %g pairs fired, not %g", kind, sum, l0);
    memset(counts, 0, sizeof counts);
    l0 = 0;
}

static void every_row_is_counted_once(void **state)
{
    (void)state;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct sae *sae = make(kind);
        struct rng rng;
        float share[FEATURES];
        rng_seed(&rng, (uint64_t)kind);
        for (int n = 0; n < STEPS; n++) step(sae, &rng, ROWS);
        shares_are(sae, kind, STEPS * ROWS);
        assert_int_equal(sae_fired(sae, share), 0); /* none since */
        step(sae, &rng, ROWS / 2);
        shares_are(sae, kind, ROWS / 2);
        x[3] = NAN; /* a step that is skipped */
        struct sae_step made;
        assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, ROWS}, &made), ERR_OK);
        assert_int_equal(made.skipped, 1);
        assert_int_equal(sae_fired(sae, share), 0);
        sae_free(sae);
    }
}

static void a_loaded_one_counts_anew(void **state)
{
    (void)state;
    char dir[] = "/tmp/sluice-firing-XXXXXX", path[128];
    struct checkpoint_writer *writer;
    struct checkpoint *checkpoint;
    struct sae *sae = make(1);
    struct rng rng;
    float share[FEATURES];
    unsigned damaged;
    rng_seed(&rng, 1);
    step(sae, &rng, ROWS);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(checkpoint_begin(dir, 1, &writer), ERR_OK);
    assert_int_equal(sae_save(sae, writer, "sae.0"), ERR_OK);
    assert_int_equal(checkpoint_commit(writer, 1), ERR_OK);
    assert_int_equal(checkpoint_newest(dir, &checkpoint, &damaged), ERR_OK);
    assert_int_equal(sae_load(sae, checkpoint, "sae.0"), ERR_OK);
    snprintf(path, sizeof path, "%s", checkpoint_path(checkpoint));
    checkpoint_close(checkpoint);
    assert_int_equal(sae_fired(sae, share), 0);
    sae_free(sae);
    unlink(path);
    rmdir(dir);
}

static void norms_are_those_of_the_weights(void **state)
{
    (void)state;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct sae *sae = make(kind);
        struct rng rng;
        float norms[FEATURES];
        rng_seed(&rng, (uint64_t)kind);
        for (int n = 0; n < STEPS; n++) step(sae, &rng, ROWS);
        uint32_t width = sae_out_width(sae_options(sae));
        const float *w = sae_parameters(sae).w_dec;
        assert_int_equal(sae_decoder_norms(sae, norms), ERR_OK);
        for (int i = 0; i < FEATURES; i++) {
            double square = 0;
            for (uint32_t d = 0; d < width; d++, w++) square += (double)*w * *w;
            if (fabs(norms[i] - sqrt(square)) > 1e-5 * (1 + sqrt(square)))
                fail_msg("kind %d: the norm of %d is %g, not %g", kind, i, norms[i], sqrt(square));
        }
        sae_free(sae);
    }
}

static void a_counter_has_neither(void **state)
{
    (void)state;
    struct sae_options o = kind_options(KIND_COUNT, WIDTH);
    struct sae *sae;
    struct rng rng;
    o.batch_rows = ROWS;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    rng_seed(&rng, 1);
    step(sae, &rng, ROWS);
    assert_int_equal(sae_fired(sae, NULL), 0);
    assert_int_equal(sae_decoder_norms(sae, NULL), ERR_STATE);
    sae_free(sae);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_counted_once),
        cmocka_unit_test(a_loaded_one_counts_anew),
        cmocka_unit_test(norms_are_those_of_the_weights),
        cmocka_unit_test(a_counter_has_neither),
    };
    return cmocka_run_group_tests_name("firing", tests, NULL, NULL);
}
