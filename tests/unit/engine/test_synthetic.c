#include "tests/unit/engine/rows.h"

#include "base/safetensors.h"

static struct engine_options options_of(uint32_t share, uint32_t shares)
{
    return (struct engine_options){.kind = ENGINE_SYNTHETIC,
                                   .share_index = share,
                                   .share_count = shares,
                                   .synthetic = {.features = 64,
                                                 .width = 256,
                                                 .l0 = 6,
                                                 .zipf_exponent = 0.5,
                                                 .noise = 0.0,
                                                 .groups = 4,
                                                 .seed = 7,
                                                 .rows = 20000,
                                                 .sequence_rows = 128}};
}

/* Magnitude of each feature in a row, by least squares with directions that are nearly orthogonal:
 * projections, corrected for each other by some rounds of Jacobi's iteration. */
static void decompose(const float *x, const float *directions, uint32_t F, uint32_t D, double *m)
{
    static double residual[256];
    for (uint32_t i = 0; i < F; i++) m[i] = 0;
    for (int round = 0; round < 80; round++) {
        for (uint32_t k = 0; k < D; k++) residual[k] = x[k];
        for (uint32_t i = 0; i < F; i++)
            for (uint32_t k = 0; k < D; k++) residual[k] -= m[i] * directions[i * D + k];
        for (uint32_t i = 0; i < F; i++) {
            double projection = 0;
            for (uint32_t k = 0; k < D; k++) projection += residual[k] * directions[i * D + k];
            m[i] += 0.4 * projection;
        }
    }
}

static void rows_are_sums_of_the_true_directions_at_their_rates(void **state)
{
    (void)state;
    struct engine_options options = options_of(0, 1);
    options.synthetic.truth_file = in_folder("truth.safetensors");
    enum { F = 64, D = 256, ROWS = 1500 };
    struct engine *e = open_engine(&options);
    struct rows r = gather(e, ROWS);
    engine_close(e);
    struct safetensors *truth;
    assert_int_equal(safetensors_open(options.synthetic.truth_file, &truth), ERR_OK);
    const struct safetensors_tensor *d = safetensors_find(truth, "directions");
    const struct safetensors_tensor *p = safetensors_find(truth, "rates");
    assert_int_equal(d->shape[0], F);
    assert_int_equal(d->shape[1], D);
    assert_int_equal(p->shape[0], F);
    float *directions = malloc(F * D * sizeof *directions), rates[F];
    assert_int_equal(safetensors_to_f32(d, 0, F * D, directions), ERR_OK);
    assert_int_equal(safetensors_to_f32(p, 0, F, rates), ERR_OK);
    safetensors_close(truth);
    for (uint32_t i = 0; i < F; i++) {
        double norm = 0;
        for (uint32_t k = 0; k < D; k++)
            norm += (double)directions[i * D + k] * directions[i * D + k];
        assert_true(fabs(norm - 1) < 1e-5);
        assert_true(i == 0 || rates[i] <= rates[i - 1]);
    }
    assert_true(fabs(rates[15] / rates[3] - 0.5) < 1e-5); /* ((15 + 1) / (3 + 1))^-0.5 */

    double fired[F] = {0}, together[2] = {0}, pairs[2] = {0}, m[F], magnitudes = 0, active = 0;
    for (size_t row = 0; row < ROWS; row++) {
        decompose(row_of(&r, row), directions, F, D, m);
        for (uint32_t i = 0; i < F; i++) {
            int on = m[i] > 0.02;
            assert_true(on || fabs(m[i]) < 1e-3); /* nothing else is in a row */
            fired[i] += on;
            active += on;
            if (on) magnitudes += m[i];
        }
        for (uint32_t i = 0; i < 12; i++)
            for (uint32_t j = 0; j < i; j++) {
                int same = i % 4 == j % 4;
                together[same] += m[i] > 0.02 && m[j] > 0.02;
                pairs[same] += (double)rates[i] * rates[j];
            }
    }
    assert_true(fabs(active / ROWS - 6) < 0.3); /* l0 */
    assert_true(fabs(magnitudes / active - 1) < 0.02);
    for (uint32_t i = 0; i < F; i++) { /* five standard deviations of a binomial */
        double expected = rates[i] * (double)ROWS;
        assert_true(fabs(fired[i] - expected) < 5 * sqrt(expected));
    }
    /* Features of one group fire together (1.8^2 + 0.2^2) / 2 = 1.64 times as often as if alone. */
    assert_true(fabs(together[0] / pairs[0] - 1.0) < 0.15);
    assert_true(fabs(together[1] / pairs[1] - 1.64) < 0.25);
    free(directions);
    free_rows(&r);
}

static void rows_are_a_function_of_seed_and_number(void **state)
{
    (void)state;
    struct engine_options options = options_of(0, 1);
    options.synthetic.noise = 0.1;
    options.synthetic.rows = 1000;
    struct rows whole = all_rows(&options);
    assert_int_equal(whole.count, 1000);
    size_t seen = 0;
    for (uint32_t share = 0; share < 3; share++) {
        options.share_index = share;
        options.share_count = 3;
        struct rows part = all_rows(&options);
        for (size_t i = 0; i < part.count; i++) {
            size_t at = part.ids[i].sequence * 128 + part.ids[i].position;
            expect_same(&part, i, &whole, at, 1, 0);
        }
        seen += part.count;
        free_rows(&part);
    }
    assert_int_equal(seen, 1000);
    options = options_of(0, 1);
    options.synthetic.noise = 0.1;
    options.synthetic.rows = 1000;
    options.synthetic.seed++;
    struct rows other = all_rows(&options);
    assert_true(distance(row_of(&other, 0), row_of(&whole, 0), 256) > 0.5);
    free_rows(&other);
    free_rows(&whole);
}

static void seeking_goes_on_where_it_was(void **state)
{
    (void)state;
    struct engine_options options = options_of(1, 2);
    options.synthetic.rows = 1000;
    expect_seekable(&options, 13, 0);
    struct engine *e = open_engine(&options);
    assert_int_equal(engine_seek(e, &(struct cursor){.sequence = 2}), ERR_MISMATCH);
    assert_int_equal(engine_seek(e, &(struct cursor){.sequence = 1, .position = 128}),
                     ERR_MISMATCH);
    engine_close(e);
}

static void noise_has_its_deviation(void **state)
{
    (void)state;
    struct engine_options options = options_of(0, 1);
    options.synthetic.noise = 0.5;
    options.synthetic.l0 = 1e-6;
    options.synthetic.width = 255; /* odd: the last of a pair is left out */
    options.synthetic.rows = 2000;
    struct rows r = all_rows(&options);
    double sum = 0, square = 0, n = (double)r.count * r.width;
    for (size_t i = 0; i < r.count * r.width; i++) {
        sum += r.values[i];
        square += (double)r.values[i] * r.values[i];
    }
    assert_true(fabs(sum / n) < 0.005);
    assert_true(fabs(sqrt(square / n) - 0.5) < 0.005);
    free_rows(&r);
}

static void bad_options_are_told(void **state)
{
    (void)state;
    struct engine *e;
    struct engine_options o = options_of(0, 1);
    o.synthetic.features = 0;
    assert_int_equal(engine_open(&o, &e), ERR_USAGE);
    o = options_of(0, 1);
    o.synthetic.l0 = 33;
    assert_int_equal(engine_open(&o, &e), ERR_USAGE);
    assert_non_null(strstr(err_text(), "synthetic.l0"));
    o = options_of(0, 1);
    o.synthetic.noise = NAN;
    assert_int_equal(engine_open(&o, &e), ERR_USAGE);
    o = options_of(0, 1);
    o.synthetic.sequence_rows = 0;
    assert_int_equal(engine_open(&o, &e), ERR_USAGE);
    o = options_of(1, 1);
    assert_int_equal(engine_open(&o, &e), ERR_USAGE);
    o = options_of(0, 1);
    o.synthetic.truth_file = in_folder("no/such/folder");
    assert_int_not_equal(engine_open(&o, &e), ERR_OK);
}

static void idle_threads_sleep(void **state)
{
    (void)state;
    assert_true(getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT"));
}

int main(int argc, char **argv)
{
    (void)argc;
    engine_threads_passive(argv); /* begins this program again, with the setting */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sums_of_the_true_directions_at_their_rates),
        cmocka_unit_test(rows_are_a_function_of_seed_and_number),
        cmocka_unit_test(seeking_goes_on_where_it_was),
        cmocka_unit_test(noise_has_its_deviation),
        cmocka_unit_test(bad_options_are_told),
        cmocka_unit_test(idle_threads_sleep),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
