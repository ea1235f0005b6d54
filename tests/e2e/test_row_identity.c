/*
 * Every row knows which token it is: SmolLM2's rows, through the whole pipeline with float32 on the
 * wire, against a plain run of the engine over one sequence at a time. Each row's nearest reference
 * row must be its own, and near. Two producers, two contexts a batch, contexts that straddle
 * frames.
 */
#include "base/err.h"
#include "buffer/draw.h"
#include "tests/e2e/harness.h"
#include "wiring/source.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 576, ROWS = 1200, MOST_REFERENCES = 4 * ROWS };

struct rows {
    size_t count;
    struct row_id *ids;
    float *values; /* (count, WIDTH) */
};

static struct rows rows_new(size_t room)
{
    struct rows r = {0, malloc(room * sizeof *r.ids), malloc(room * WIDTH * sizeof *r.values)};
    if (!r.ids || !r.values) fail_msg("no memory");
    return r;
}

static void rows_free(struct rows *r)
{
    free(r->ids);
    free(r->values);
}

static void configure(struct run *run, const char *dtype)
{
    char extra[128], text[1024];
    snprintf(extra, sizeof extra, "model: smollm2, hooks: [resid_post.15], dtype: %s", dtype);
    snprintf(text, sizeof text,
             "capture: { corpus: corpus, context_tokens: 128, batch_contexts: 2, producers: 2, "
             "rows: %d, measure_contexts: 4 }\n"
             "sink: { size: 16MiB }\n"
             "trainer: { consumers: [], saes: [ { arch: count } ] }\n",
             ROWS);
    run_configure(run, extra, text);
}

/* All rows of the ended stream, out of its buffer. */
static struct rows stored_rows(struct run *run)
{
    struct rows r = rows_new(ROWS);
    char buffer[HARNESS_PATH_BYTES + 16];
    snprintf(buffer, sizeof buffer, "%s/buffer", run->state);
    struct draw_options options = {.dir = buffer,
                                   .stream = "test",
                                   .consumer = "reader",
                                   .reuse = 1,
                                   .batch_rows = 64,
                                   .replay = 1,
                                   .shuffle = 1};
    struct draw *draw;
    if (draw_open(&options, &draw)) fail_msg("%s", err_text());
    for (int rc = ERR_OK; !rc && r.count < ROWS;) {
        size_t wanted = ROWS - r.count < 64 ? ROWS - r.count : 64;
        struct draw_batch batch = {
            .values = r.values + r.count * WIDTH, .ids = r.ids + r.count, .rows = wanted};
        rc = draw_next(draw, &batch);
        if (!rc) r.count += batch.rows;
    }
    draw_close(draw);
    return r;
}

/* The same shares by the engine alone, one context at a time. */
static struct rows reference_rows(const struct run *run)
{
    static const char *const sets[] = {"capture.batch_contexts=1"};
    struct rows r = rows_new(MOST_REFERENCES);
    struct config *config;
    if (config_load(run->config, sets, 1, &config)) fail_msg("%s", err_text());
    for (uint32_t share = 0; share < 2; share++) {
        struct source *source;
        size_t until = r.count + ROWS / 2 + 256;
        if (source_open(config, share, NULL, &source)) fail_msg("%s", err_text());
        while (r.count < until) {
            struct engine_batch batch;
            if (engine_next(source_engine(source), &batch)) fail_msg("%s", err_text());
            assert_true(batch.rows > 0 && r.count + batch.rows <= MOST_REFERENCES);
            memcpy(r.ids + r.count, batch.ids, batch.rows * sizeof *batch.ids);
            memcpy(r.values + r.count * WIDTH, batch.values,
                   batch.rows * WIDTH * sizeof *batch.values);
            r.count += batch.rows;
        }
        source_close(source);
    }
    config_free(config);
    return r;
}

static double distance(const float *a, const float *b)
{
    double d = 0, n = 0;
    for (int i = 0; i < WIDTH; i++) {
        d += (double)(a[i] - b[i]) * (a[i] - b[i]);
        n += (double)b[i] * b[i];
    }
    return sqrt(d / n);
}

static int same_id(const struct row_id *a, const struct row_id *b)
{
    return a->sequence == b->sequence && a->position == b->position && a->token == b->token;
}

/* Rows whose nearest reference row, `shift` places on, does not bear their identity or is farther
 * than `bound`. Equal inputs give equal rows, so a tie is the row's own. */
static size_t misplaced(const struct rows *rows, const struct rows *reference, double bound,
                        size_t shift, double *worst, double *mean)
{
    size_t wrong = 0;
    *worst = *mean = 0;
    for (size_t i = 0; i < rows->count; i++) {
        double own = INFINITY, nearest = INFINITY;
        for (size_t j = 0; j + shift < reference->count; j++) {
            double d = distance(rows->values + i * WIDTH, reference->values + (j + shift) * WIDTH);
            if (d < nearest) nearest = d;
            if (same_id(&rows->ids[i], &reference->ids[j])) own = d;
        }
        if (own > *worst) *worst = own;
        *mean += own / (double)rows->count;
        wrong += !(own <= nearest && own <= bound);
    }
    return wrong;
}

static void rows_are_their_tokens(struct run *run, const char *dtype, double bound,
                                  double mean_bound)
{
    double worst, mean, shifted_worst, shifted_mean;
    configure(run, dtype);
    if (run_command(run, 180, "sluice", "up", run->config, NULL) != 0) fail_msg("%s", run->err);
    struct rows rows = stored_rows(run), reference = reference_rows(run);
    assert_int_equal(rows.count, ROWS);
    size_t wrong = misplaced(&rows, &reference, bound, 0, &worst, &mean);
    size_t shifted = misplaced(&rows, &reference, bound, 1, &shifted_worst, &shifted_mean);
    print_message(
        "%s: %zu rows, relative distance %.2e, %.2e at worst, %zu misplaced; shifted by one: %zu\n",
        dtype, rows.count, mean, worst, wrong, shifted);
    assert_int_equal(wrong, 0);
    assert_true(mean <= mean_bound);
    assert_true(shifted > ROWS * 9 / 10);
    rows_free(&rows);
    rows_free(&reference);
}

/* How the model was prepared is in the stream's descriptor. */
static void preparation_is_described(struct run *run)
{
    char path[HARNESS_PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/descriptor.json", run->state);
    json_t *descriptor = json_load_file(path, 0, NULL);
    assert_non_null(descriptor);
    double fve = json_number_value(json_object_get(descriptor, "prepared_fve"));
    assert_true(fve > 0.99 && fve < 1);
    assert_string_equal(json_string_value(json_object_get(descriptor, "source_precision")), "q4_1");
    assert_int_equal(json_integer_value(json_object_get(descriptor, "layers_kept")), 15 + 2);
    json_decref(descriptor);
}

static void f32_rows(void **state)
{
    rows_are_their_tokens(*state, "f32", 1e-5, 1e-5);
    preparation_is_described(*state);
}

/* bf16 has 8 significant bits, so rounding to nearest moves a value by 2^-8 of it at most. Where
 * one dimension outweighs the others, as here, a whole row can come near that; the mean stays below
 * 2e-3. */
static void bf16_rows(void **state)
{
    rows_are_their_tokens(*state, "bf16", 0x1p-8, 2e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(f32_rows, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(bf16_rows, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
