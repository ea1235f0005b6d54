/* Rows of an engine, gathered, so that runs can be compared. */
#ifndef SLUICE_TESTS_ENGINE_ROWS_H
#define SLUICE_TESTS_ENGINE_ROWS_H

#include "tests/unit/engine/support.h"

#include "engine/engine.h"
#include "engine/options.h"

#include <math.h>

struct rows {
    size_t count;
    uint32_t width;
    struct row_id *ids;
    uint8_t *flags;
    struct cursor *cursors; /* (count + 1) */
    float *values;
};

__attribute__((unused)) static struct engine *open_engine(const struct engine_options *options)
{
    struct engine *e = NULL;
    int result = engine_open(options, &e);
    if (result != ERR_OK) print_error("%s: %s\n", err_str(result), err_text());
    assert_int_equal(result, ERR_OK);
    return e;
}

/* Rows from where the engine is, at least `most` of them if there are so many. */
__attribute__((unused)) static struct rows gather(struct engine *e, size_t most)
{
    struct rows r = {.width = engine_info(e)->width};
    r.cursors = malloc(sizeof *r.cursors);
    struct engine_batch b;
    for (;;) {
        int result = engine_next(e, &b);
        if (result != ERR_OK) print_error("%s: %s\n", err_str(result), err_text());
        assert_int_equal(result, ERR_OK);
        size_t n = r.count + b.rows;
        r.ids = realloc(r.ids, n * sizeof *r.ids + 1);
        r.flags = realloc(r.flags, n + 1);
        r.cursors = realloc(r.cursors, (n + 1) * sizeof *r.cursors);
        r.values = realloc(r.values, n * r.width * sizeof *r.values + 1);
        memcpy(r.cursors + r.count, b.cursors, (b.rows + 1) * sizeof *r.cursors);
        if (b.rows == 0) return r;
        memcpy(r.ids + r.count, b.ids, b.rows * sizeof *r.ids);
        memcpy(r.flags + r.count, b.flags, b.rows);
        memcpy(r.values + r.count * r.width, b.values, b.rows * r.width * sizeof *r.values);
        r.count = n;
        if (r.count >= most) return r;
    }
}

__attribute__((unused)) static struct rows all_rows(const struct engine_options *options)
{
    struct engine *e = open_engine(options);
    struct rows r = gather(e, SIZE_MAX);
    engine_close(e);
    return r;
}

__attribute__((unused)) static void free_rows(struct rows *r)
{
    free(r->ids);
    free(r->flags);
    free(r->cursors);
    free(r->values);
}

__attribute__((unused)) static const float *row_of(const struct rows *r, size_t i)
{
    return r->values + i * r->width;
}

__attribute__((unused)) static double distance(const float *a, const float *b, size_t n)
{
    double square = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        square += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return square == 0 ? 0 : sqrt(square / norm);
}

/* Identities and flags equal, values within a relative distance. Gives the largest distance. */
__attribute__((unused)) static double expect_same(const struct rows *got, size_t from,
                                                  const struct rows *expected, size_t at,
                                                  size_t count, double tolerance)
{
    double largest = 0;
    assert_true(from + count <= got->count && at + count <= expected->count);
    assert_int_equal(got->width, expected->width);
    for (size_t i = 0; i < count; i++) {
        assert_memory_equal(&got->ids[from + i], &expected->ids[at + i], sizeof(struct row_id));
        assert_int_equal(got->flags[from + i], expected->flags[at + i]);
        double d = distance(row_of(got, from + i), row_of(expected, at + i), got->width);
        if (d > largest) largest = d;
        if (d > tolerance) print_error("row %zu is %g away\n", i, d);
        assert_true(d <= tolerance);
    }
    return largest;
}

/* An engine sought to the cursor of each of some rows goes on exactly as a run without a break. */
__attribute__((unused)) static void expect_seekable(const struct engine_options *options,
                                                    size_t tries, double tolerance)
{
    struct rows whole = all_rows(options);
    assert_true(whole.count > 1);
    struct engine *e = open_engine(options);
    for (size_t i = 0; i <= tries; i++) {
        size_t at = i == tries ? whole.count : whole.count * i / tries;
        int result = engine_seek(e, &whole.cursors[at]);
        if (result != ERR_OK) print_error("%s\n", err_text());
        assert_int_equal(result, ERR_OK);
        struct rows rest = gather(e, 1);
        if (at == whole.count) assert_int_equal(rest.count, 0);
        expect_same(&rest, 0, &whole, at, rest.count, tolerance);
        assert_memory_equal(&rest.cursors[0], &whole.cursors[at], sizeof(struct cursor));
        free_rows(&rest);
    }
    engine_close(e);
    free_rows(&whole);
}

#endif
