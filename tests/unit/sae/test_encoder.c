/* Weights alone: pairs are what sae_forward() gives, and decode to what it reconstructs; SAEs that
 * share a workspace train as alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sae/dictionary.h"

#include "helper.h"

enum { WIDTH = 72, FEATURES = 700, ROWS = 300, BATCH = 128, STEPS = 6 };

static struct sae_options options_of(int kind)
{
    struct sae_options o = kind_options(kind, WIDTH);
    o.features = FEATURES;
    o.k = 6;
    o.batch_rows = BATCH;
    o.threads = 2;
    o.dead_window_rows = 2 * BATCH;
    o.learning_rate *= 3;
    if (o.lambda > 1) o.lambda /= 4;
    return o;
}

static void fill(float *x, size_t n, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_normal(&rng);
}

static void train(struct sae *sae, int from, int to)
{
    float *x = malloc(BATCH * WIDTH * sizeof *x);
    struct sae_step step;
    for (int i = from; i < to; i++) {
        fill(x, BATCH * WIDTH, 100 + (uint64_t)i);
        assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, BATCH}, &step), ERR_OK);
        assert_int_equal(step.skipped, 0);
    }
    free(x);
}

/* As a reader of weights would make it. */
static struct encoder *encoder_of(const struct sae *sae)
{
    struct encoder *e;
    struct sae_parameters p = sae_parameters(sae);
    const struct dictionary *d = sae->state;
    assert_int_equal(encoder_new(sae_options(sae), &e), ERR_OK);
    assert_int_equal(e->w.count, d->e.w.count);
    memcpy(e->w.all, d->e.w.all, e->w.count * sizeof(float));
    if (p.threshold) memcpy(e->threshold, p.threshold, FEATURES * sizeof(float));
    encoder_derive(e);
    return e;
}

static void check_pairs(const struct pairs *pairs, const float *f)
{
    uint64_t at = 0;
    assert_int_equal(pairs->rows, ROWS);
    for (uint64_t r = 0; r < ROWS; r++) {
        assert_int_equal(pairs->start[r], at);
        for (uint32_t i = 0; i < FEATURES; i++) {
            if (f[r * FEATURES + i] == 0) continue;
            assert_int_equal(pairs->feature[at], i);
            assert_memory_equal(&pairs->value[at], &f[r * FEATURES + i], sizeof(float));
            at++;
        }
    }
    assert_int_equal(pairs->start[ROWS], at);
    assert_int_equal(pairs->count, at);
    assert_true(at > 0);
}

static void pairs_are_those_of_a_forward_pass(void **state)
{
    (void)state;
    float *x = malloc(ROWS * WIDTH * sizeof *x), *f = malloc(ROWS * FEATURES * sizeof *f);
    float *wanted = malloc(ROWS * WIDTH * sizeof *x), *got = malloc(ROWS * WIDTH * sizeof *x);
    fill(x, ROWS * WIDTH, 7);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct sae_options o = options_of(kind);
        struct pairs pairs;
        struct sae *sae;
        assert_int_equal(sae_new(&o, &sae), ERR_OK);
        train(sae, 0, STEPS);
        struct encoder *e = encoder_of(sae);
        uint32_t width = sae_out_width(&o);
        assert_int_equal(sae_forward(sae, x, ROWS, wanted, f), ERR_OK);
        assert_int_equal(encoder_pairs(e, x, ROWS, &pairs), ERR_OK);
        check_pairs(&pairs, f);
        encoder_decode(e, x, &pairs, got);
        for (uint32_t i = 0; i < ROWS * width; i++) assert_true(fabsf(got[i] - wanted[i]) < 1e-4f);
        if (sae_activation(&o) == SAE_TOPK)
            assert_memory_equal(got, wanted, ROWS * width * sizeof *got);
        pairs_free(&pairs);
        encoder_free(e);
        sae_free(sae);
    }
    free(x);
    free(f);
    free(wanted);
    free(got);
}

static void no_rows_have_no_pairs(void **state)
{
    (void)state;
    struct sae_options o = options_of(0);
    struct encoder *e;
    struct pairs pairs;
    assert_int_equal(encoder_new(&o, &e), ERR_OK);
    assert_int_equal(encoder_pairs(e, NULL, 0, &pairs), ERR_OK);
    assert_int_equal(pairs.rows, 0);
    assert_int_equal(pairs.count, 0);
    assert_int_equal(pairs.start[0], 0);
    pairs_free(&pairs);
    encoder_free(e);
    sae_options_default(SAE_COUNT, &o);
    o.width = WIDTH;
    assert_int_equal(encoder_new(&o, &e), ERR_STATE);
}

static void assert_same(const struct sae *a, const struct sae *b)
{
    const struct dictionary *x = a->state, *y = b->state;
    assert_memory_equal(x->e.w.all, y->e.w.all, x->e.w.count * sizeof(float));
    assert_memory_equal(x->m.all, y->m.all, x->m.count * sizeof(float));
    assert_memory_equal(x->v.all, y->v.all, x->v.count * sizeof(float));
    assert_memory_equal(x->silent_rows, y->silent_rows, FEATURES * sizeof *x->silent_rows);
}

/* Each in turn makes one step, so that every other kind has been in the workspace between two; the
 * later ones let it grow when the earlier have arrays in it. */
static void in_one_workspace_all_train_as_alone(void **state)
{
    (void)state;
    struct sae *alone[KIND_COUNT], *together[KIND_COUNT];
    struct sae_workspace *workspace;
    float *x = malloc(ROWS * WIDTH * sizeof *x), *out = malloc(ROWS * WIDTH * sizeof *out);
    uint64_t shared, most = 0;
    fill(x, ROWS * WIDTH, 9);
    assert_int_equal(sae_workspace_new(&workspace), ERR_OK);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct sae_options o = options_of(kind);
        assert_int_equal(sae_new(&o, &alone[kind]), ERR_OK);
        o.workspace = workspace;
        assert_int_equal(sae_new(&o, &together[kind]), ERR_OK);
        assert_int_equal(sae_shared_bytes(&o, &shared), ERR_OK);
        if (shared > most) most = shared;
        assert_int_equal(workspace->arena.size, most); /* the largest's, no more */
        train(together[0], kind, kind + 1);
        train(alone[0], kind, kind + 1);
    }
    for (int i = 0; i < STEPS; i++)
        for (int kind = 0; kind < KIND_COUNT; kind++) {
            train(together[kind], i, i + 1);
            assert_int_equal(sae_forward(together[kind], x, ROWS, out, NULL), ERR_OK);
        }
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        train(alone[kind], 0, STEPS);
        assert_same(alone[kind], together[kind]);
        sae_free(alone[kind]);
        sae_free(together[kind]);
    }
    sae_workspace_free(workspace);
    free(x);
    free(out);
}

/* Counted by hand from what each SAE and the workspace allocated. */
static void the_memory_of_eight_is_what_was_foretold(void **state)
{
    (void)state;
    struct sae *saes[8];
    struct sae_workspace *workspace;
    uint64_t foretold = 0, largest = 0, allocated, alone = 0;
    assert_int_equal(sae_workspace_new(&workspace), ERR_OK);
    for (int i = 0; i < 8; i++) {
        struct sae_options o = options_of(i);
        uint64_t bytes, shared;
        o.workspace = workspace;
        assert_int_equal(sae_bytes(&o, &bytes), ERR_OK);
        assert_int_equal(sae_shared_bytes(&o, &shared), ERR_OK);
        assert_int_equal(sae_new(&o, &saes[i]), ERR_OK);
        const struct dictionary *d = saes[i]->state;
        assert_int_equal(bytes - shared, sizeof *saes[i] + sizeof *d + d->own.size);
        foretold += bytes - shared;
        if (shared > largest) largest = shared;
        alone += bytes;
    }
    foretold += largest;
    allocated = workspace->arena.size;
    for (int i = 0; i < 8; i++) {
        const struct dictionary *d = saes[i]->state;
        assert_int_equal(d->own.used, d->own.size); /* all that was counted is laid */
        allocated += sizeof *saes[i] + sizeof *d + d->own.size;
        sae_free(saes[i]);
    }
    assert_int_equal(allocated, foretold);
    assert_true(foretold < alone / 3);
    sae_workspace_free(workspace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_those_of_a_forward_pass),
        cmocka_unit_test(no_rows_have_no_pairs),
        cmocka_unit_test(in_one_workspace_all_train_as_alone),
        cmocka_unit_test(the_memory_of_eight_is_what_was_foretold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
