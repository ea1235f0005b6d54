/*
 * How well a dictionary found known directions. Directions are rows of (count, D) matrices; their
 * norms do not matter.
 */
#ifndef SLUICE_TESTS_TRUTH_H
#define SLUICE_TESTS_TRUTH_H

#include "base/err.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* Cosines (a_count, b_count) of two sets of directions; the caller frees them. */
static inline float *cosines(const float *a, uint32_t a_count, const float *b, uint32_t b_count,
                             uint32_t width)
{
    float *out = malloc((size_t)a_count * b_count * sizeof *out);
    double *norm = malloc(b_count * sizeof *norm);
    for (uint32_t j = 0; out && norm && j < b_count; j++) {
        double square = 0;
        for (uint32_t k = 0; k < width; k++)
            square += (double)b[(size_t)j * width + k] * b[(size_t)j * width + k];
        norm[j] = sqrt(square);
    }
    for (uint32_t i = 0; out && norm && i < a_count; i++) {
        const float *x = a + (size_t)i * width;
        double square = 0;
        for (uint32_t k = 0; k < width; k++) square += (double)x[k] * x[k];
        for (uint32_t j = 0; j < b_count; j++) {
            const float *y = b + (size_t)j * width;
            double dot = 0, scale = sqrt(square) * norm[j];
            for (uint32_t k = 0; k < width; k++) dot += (double)x[k] * y[k];
            out[(size_t)i * b_count + j] = scale > 0 ? (float)(dot / scale) : 0.0f;
        }
    }
    if (!norm) {
        free(out);
        out = NULL;
    }
    free(norm);
    return out;
}

/* Mean over the true directions of the best cosine with a found one (MMCS). Takes
 * true_count * found_count * width multiplications. ERR_NOMEM; ERR_LIMIT: no directions. */
static inline int truth_mmcs(const float *truth, uint32_t true_count, const float *found,
                             uint32_t found_count, uint32_t width, double *mmcs)
{
    if (true_count == 0 || found_count == 0) return err_set(ERR_LIMIT, "no directions to compare");
    float *cosine = cosines(truth, true_count, found, found_count, width);
    if (!cosine) return err_set(ERR_NOMEM, "no memory to compare directions");
    double sum = 0;
    for (uint32_t i = 0; i < true_count; i++) {
        float best = -1;
        for (uint32_t j = 0; j < found_count; j++)
            best = fmaxf(best, cosine[(size_t)i * found_count + j]);
        sum += best;
    }
    free(cosine);
    *mmcs = sum / true_count;
    return ERR_OK;
}

/*
 * The Hungarian method with potentials: rows are added one at a time, each by a shortest augmenting
 * path. Rows and columns count from 1, column 0 is where the new row starts. cost (n, m), n <= m;
 * row_of[j] = the row matched to column j, or 0.
 */
struct matching {
    double *row_price, *column_price, *slack;
    uint32_t *row_of, *way;
    uint8_t *done;
};

static inline void add_row(struct matching *s, const float *gain, uint32_t row, uint32_t m)
{
    uint32_t column = 0;
    s->row_of[0] = row;
    for (uint32_t j = 0; j <= m; j++) {
        s->slack[j] = INFINITY;
        s->done[j] = 0;
    }
    do {
        uint32_t i = s->row_of[column], next = 0;
        double delta = INFINITY;
        s->done[column] = 1;
        for (uint32_t j = 1; j <= m; j++) {
            if (s->done[j]) continue;
            double cost = -fabs(gain[(size_t)(i - 1) * m + j - 1]);
            double reduced = cost - s->row_price[i] - s->column_price[j];
            if (reduced < s->slack[j]) {
                s->slack[j] = reduced;
                s->way[j] = column;
            }
            if (s->slack[j] < delta) {
                delta = s->slack[j];
                next = j;
            }
        }
        for (uint32_t j = 0; j <= m; j++) {
            if (s->done[j]) {
                s->row_price[s->row_of[j]] += delta;
                s->column_price[j] -= delta;
            } else {
                s->slack[j] -= delta;
            }
        }
        column = next;
    } while (s->row_of[column] != 0);
    for (; column; column = s->way[column]) s->row_of[column] = s->row_of[s->way[column]];
}

/* Sum of |gain| (n, m) over the best matching of all n rows; negative: no memory. */
static inline double best_matching(const float *gain, uint32_t n, uint32_t m)
{
    struct matching s = {
        .row_price = calloc((size_t)n + 1, sizeof(double)),
        .column_price = calloc((size_t)m + 1, sizeof(double)),
        .slack = calloc((size_t)m + 1, sizeof(double)),
        .row_of = calloc((size_t)m + 1, sizeof(uint32_t)),
        .way = calloc((size_t)m + 1, sizeof(uint32_t)),
        .done = calloc((size_t)m + 1, 1),
    };
    double sum = -1;
    if (s.row_price && s.column_price && s.slack && s.row_of && s.way && s.done) {
        for (uint32_t i = 1; i <= n; i++) add_row(&s, gain, i, m);
        sum = 0;
        for (uint32_t j = 1; j <= m; j++)
            if (s.row_of[j]) sum += fabs(gain[(size_t)(s.row_of[j] - 1) * m + j - 1]);
    }
    free(s.row_price);
    free(s.column_price);
    free(s.slack);
    free(s.row_of);
    free(s.way);
    free(s.done);
    return sum;
}

/* Mean |cosine| under the one-to-one matching that makes it largest (MCC; Hungarian method), over
 * the smaller of the two counts. Takes min^2 * max steps after the products. Same errors. */
static inline int truth_mcc(const float *truth, uint32_t true_count, const float *found,
                            uint32_t found_count, uint32_t width, double *mcc)
{
    if (true_count == 0 || found_count == 0) return err_set(ERR_LIMIT, "no directions to compare");
    int swap = true_count > found_count;
    uint32_t n = swap ? found_count : true_count, m = swap ? true_count : found_count;
    float *cosine = swap ? cosines(found, n, truth, m, width) : cosines(truth, n, found, m, width);
    double sum = cosine ? best_matching(cosine, n, m) : -1;
    free(cosine);
    if (sum < 0) return err_set(ERR_NOMEM, "no memory to match directions");
    *mcc = sum / n;
    return ERR_OK;
}

#endif
