/*
 * What a tap does to a row by its table is what `sluice steer` does to it by the SAE: of every
 * architecture that is a dictionary, with what is taken off a row before and without, held and added.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "inspect/steer_table.h"
#include "sae/cpu/pool.h"
#include "tap/steer.h"

enum { WIDTH = 70, FEATURES = 200, ROWS = 300, K = 9 };

static struct rng rng;

static void random_values(float *values, size_t count, double scale)
{
    for (size_t i = 0; values && i < count; i++) values[i] = (float)(scale * rng_normal(&rng));
}

static void random_subject(enum sae_arch arch, int subtracts, struct subject *s)
{
    struct sae_options o;
    *s = (struct subject){.name = "random", .hooks = 1, .hook = {"resid_post.3"}};
    sae_options_default(arch, &o);
    assert_int_equal(pool_new(1, &s->pool), ERR_OK);
    o.pool = s->pool;
    o.width = s->hook_width[0] = WIDTH;
    o.features = FEATURES;
    o.k = K;
    o.batch_rows = 64;
    if (encoder_new(&o, &s->model.encoder) != ERR_OK) fail_msg("%s", err_text());
    struct encoder *e = s->model.encoder;
    random_values(e->w.w_enc, FEATURES * WIDTH, 0.2);
    random_values(e->w.w_dec, FEATURES * WIDTH, 0.1);
    random_values(e->w.b_enc, FEATURES, 0.3);
    random_values(e->w.b_dec, WIDTH, 1);
    random_values(e->w.r_mag, FEATURES, 0.3);
    random_values(e->w.b_mag, FEATURES, 0.3);
    for (uint32_t f = 0; e->threshold && f < FEATURES; f++)
        e->threshold[f] = (float)(0.5 + rng_unit(&rng));
    e->subtracts = subtracts;
    encoder_derive(e);
    subject_finish(s);
}

static void random_clamps(struct subject *s, int adds, struct clamps *c)
{
    *c = (struct clamps){.subject = s, .count = 5, .adds = adds, .last = UINT32_MAX};
    for (uint32_t i = 0; i < c->count; i++)
        c->clamp[i] = (struct clamp){.feature = 40 * i + 3, .strength = 1.5 * i - 2, .largest = 4};
}

static void close_to(const float *a, const float *b, const char *what)
{
    double error = 0, size = 0;
    for (uint32_t i = 0; i < WIDTH; i++) {
        error += pow((double)a[i] - (double)b[i], 2);
        size += pow((double)b[i], 2);
    }
    if (!(sqrt(error / size) < 1e-6)) fail_msg("%s: off by %g of a row", what, sqrt(error / size));
}

static void compare(enum sae_arch arch, int subtracts, int adds)
{
    static float rows[ROWS * WIDTH], steered[ROWS * WIDTH];
    struct subject s;
    struct clamps c;
    struct steer_table table;
    void *data;
    size_t bytes;
    uint32_t active = 0;
    random_subject(arch, subtracts, &s);
    random_clamps(&s, adds, &c);
    random_values(rows, ROWS * WIDTH, 1.5);
    memcpy(steered, rows, sizeof rows);
    if (steer_table_make(&c, "3=-2x", 1, &data, &bytes) != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(steer_check(data, bytes, &table), ERR_OK);
    assert_string_equal(table.facts->node, "l_out-3");
    assert_int_equal(clamp_rows(&c, 0, ROWS, steered), ERR_OK);
    for (uint32_t r = 0; r < ROWS; r++) {
        float *row = rows + (size_t)r * WIDTH, values[STEER_MOST] = {0};
        if (!adds) steer_values(&table, row, values);
        for (uint32_t i = 0; i < c.count; i++) active += values[i] > 0;
        steer_row(&table, row);
        close_to(row, steered + (size_t)r * WIDTH, sae_arch_name(arch));
    }
    if (!adds && (active == 0 || active == ROWS * c.count)) /* both must have been there */
        fail_msg("%s: %u features are active", sae_arch_name(arch), active);
    free(data);
    subject_close(&s);
}

static void rows_are_changed_as_by_the_sae(void **state)
{
    static const enum sae_arch archs[] = {SAE_TOPK,     SAE_BATCHTOPK, SAE_MATRYOSHKA,
                                          SAE_JUMPRELU, SAE_GATED,     SAE_L1};
    (void)state;
    for (size_t a = 0; a < sizeof archs / sizeof *archs; a++)
        for (int subtracts = 0; subtracts < 2; subtracts++)
            for (int adds = 0; adds < 2; adds++) compare(archs[a], subtracts, adds);
}

/* Two features of one value at the edge of the K largest: the lower index stays. */
static void ties_go_to_the_lower_index(void **state)
{
    (void)state;
    struct {
        struct steer_facts facts;
        float rest[4 + 4 * 4 + 2];
    } a = {.facts = {.magic = STEER_MAGIC,
                     .version = STEER_VERSION,
                     .rule = STEER_LARGEST,
                     .width = 1,
                     .encoders = 4,
                     .clamps = 2,
                     .k = 2,
                     .setting = 1,
                     .clamp = {{1, 1, 0, NAN}, {2, 2, 0, NAN}}},
           .rest = {3, 2, 2, 1}};
    struct steer_table table;
    float row = 1, values[2];
    assert_int_equal(steer_check(&a, steer_bytes(&a.facts), &table), ERR_OK);
    steer_values(&table, &row, values);
    assert_true(values[0] == 2 && values[1] == 0);
}

static void rows_that_are_left_as_they_are(void **state)
{
    (void)state;
    struct {
        struct steer_facts facts;
        float rest[2];
    } a = {.facts = {.magic = STEER_MAGIC,
                     .version = STEER_VERSION,
                     .width = 2,
                     .clamps = 1,
                     .limit = 5,
                     .setting = 1}};
    struct steer_table table;
    struct steer_token usual = {0, 0}, special = {1, 0}, first = {0, 1};
    float row[] = {3, 4}, longer[] = {3, 5}, wrong[] = {NAN, 0};
    assert_int_equal(steer_check(&a, steer_bytes(&a.facts), &table), ERR_OK);
    assert_true(steer_applies(&table, &usual, row));
    assert_false(steer_applies(&table, &usual, longer));
    assert_false(steer_applies(&table, &usual, wrong));
    assert_false(steer_applies(&table, &special, row));
    assert_false(steer_applies(&table, &first, row));
    a.facts.limit = 0;
    a.facts.steers_special = a.facts.steers_first = 1;
    assert_true(steer_applies(&table, &usual, longer));
    assert_true(steer_applies(&table, &special, row));
    assert_true(steer_applies(&table, &first, row));
}

static void what_cannot_be_a_table(void **state)
{
    (void)state;
    struct subject s;
    struct clamps c;
    struct steer_table table;
    void *data;
    size_t bytes;
    random_subject(SAE_JUMPRELU, 0, &s);
    random_clamps(&s, 0, &c);
    strcpy(s.hook[0], "attn_out.3");
    assert_int_equal(steer_table_make(&c, "3=-2x", 0, &data, &bytes), ERR_USAGE);
    assert_non_null(strstr(err_text(), "resid_post"));
    strcpy(s.hook[0], "resid_post.3");
    assert_int_equal(steer_table_make(&c, "3=-2x", 0, &data, &bytes), ERR_OK);
    assert_int_equal(steer_check(data, bytes - 1, &table), ERR_FORMAT);
    struct steer_facts *f = data;
    f->clamp[2].encoder = FEATURES;
    assert_int_equal(steer_check(data, bytes, &table), ERR_FORMAT);
    f->clamp[2].encoder = 2;
    f->clamp[2].value = NAN;
    assert_int_equal(steer_check(data, bytes, &table), ERR_FORMAT);
    f->clamp[2].value = 0;
    f->version++;
    assert_int_equal(steer_check(data, bytes, &table), ERR_VERSION);
    free(data);
    subject_close(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_changed_as_by_the_sae),
        cmocka_unit_test(ties_go_to_the_lower_index),
        cmocka_unit_test(rows_that_are_left_as_they_are),
        cmocka_unit_test(what_cannot_be_a_table),
    };
    rng_seed(&rng, 5);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
