/* The covariance of a stream's first rows, and the transform that it makes. Sums and eigenvalues
 * are in double: the smallest eigenvalues of a model's rows are lost in float32. */
#include "sae/whiten_state.h"

#include "base/err.h"
#include "sae/cpu/blas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_ROWS = 512, TILE = 128 };

struct whiten_measure {
    struct whiten *whiten; /* that is being made; NULL: handed over */
    float *shift;          /* (width) */
    double *sum;           /* (width), of x - shift */
    double *products;      /* a block per hook: sums of (x - shift) (x - shift)^T, upper tiles */
    double *chunk;         /* (CHUNK_ROWS, widest) */
    uint64_t rows;
};

uint64_t whiten_rows_needed(const uint32_t *widths, uint32_t hooks)
{
    uint32_t widest = 0;
    for (uint32_t h = 0; h < hooks; h++) widest = widths[h] > widest ? widths[h] : widest;
    return (uint64_t)widest * WHITEN_REFUSED;
}

uint64_t whiten_rows_wanted(const uint32_t *widths, uint32_t hooks)
{
    uint64_t wanted = whiten_rows_needed(widths, hooks) / WHITEN_REFUSED * WHITEN_ROWS_A_VALUE;
    if (wanted < WHITEN_LEAST_ROWS) wanted = WHITEN_LEAST_ROWS;
    return wanted < WHITEN_MOST_ROWS ? wanted : WHITEN_MOST_ROWS;
}

uint64_t whiten_measure_bytes(const uint32_t *widths, uint32_t hooks)
{
    uint64_t widest = whiten_rows_needed(widths, hooks) / WHITEN_REFUSED, bytes = 0;
    for (uint32_t h = 0; h < hooks; h++) bytes += (uint64_t)widths[h] * widths[h] * sizeof(double);
    uint64_t eigen = blas_eigen_doubles((int)widest) + 3 * widest;
    return bytes + (CHUNK_ROWS * widest + eigen) * sizeof(double);
}

void whiten_measure_free(struct whiten_measure *m)
{
    if (!m) return;
    whiten_free(m->whiten);
    free(m->shift);
    free(m->sum);
    free(m->products);
    free(m->chunk);
    free(m);
}

int whiten_measure_new(const uint32_t *widths, uint32_t hooks, const float *shift,
                       struct pool *pool, struct whiten_measure **measure)
{
    struct whiten_measure *m = calloc(1, sizeof *m);
    if (!m) return err_set(ERR_NOMEM, "no memory to whiten");
    int result = whiten_new(widths, hooks, pool, &m->whiten);
    if (result == ERR_OK) result = blas_open_double();
    if (result != ERR_OK) {
        whiten_measure_free(m);
        return result;
    }
    uint32_t width = m->whiten->width;
    m->shift = malloc(width * sizeof *m->shift);
    m->sum = calloc(width, sizeof *m->sum);
    m->products = calloc(whiten_block_values(m->whiten), sizeof *m->products);
    m->chunk = malloc((size_t)CHUNK_ROWS * m->whiten->widest * sizeof *m->chunk);
    if (!m->shift || !m->sum || !m->products || !m->chunk) {
        whiten_measure_free(m);
        return err_set(ERR_NOMEM, "no memory to measure a covariance of %u values", width);
    }
    memcpy(m->shift, shift, width * sizeof *shift);
    *measure = m;
    return ERR_OK;
}

struct tiles {
    const double *chunk; /* (rows, width) */
    double *products;    /* (width, width) */
    int rows, width, across;
};

static int tile_width(const struct tiles *t, int tile)
{
    int left = t->width - tile * TILE;
    return left < TILE ? left : TILE;
}

/* One tile on or above the diagonal: it depends on the chunk alone, whoever makes it. */
static void add_tile(void *arg, uint32_t item, uint32_t thread)
{
    const struct tiles *t = arg;
    int i = (int)item / t->across, j = (int)item % t->across;
    (void)thread;
    if (i > j) return;
    blas_dgemm(tile_width(t, i), tile_width(t, j), t->rows, t->chunk + i * TILE, t->width, 1,
               t->chunk + j * TILE, t->width, 1.0,
               t->products + (size_t)i * TILE * (size_t)t->width + j * TILE, t->width);
}

static void add_hook(struct whiten_measure *m, const float *x, uint32_t rows, uint32_t at,
                     uint32_t width, double *products)
{
    struct tiles t = {m->chunk, products, (int)rows, (int)width, (int)(width + TILE - 1) / TILE};
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t i = 0; i < width; i++) {
            double value = (double)x[(size_t)r * m->whiten->width + at + i] - m->shift[at + i];
            m->chunk[(size_t)r * width + i] = value;
            m->sum[at + i] += value;
        }
    pool_run(m->whiten->pool, add_tile, &t, (uint32_t)(t.across * t.across));
}

void whiten_measure_add(struct whiten_measure *m, const float *x, uint64_t rows)
{
    const struct whiten_facts *f = &m->whiten->facts;
    for (uint64_t from = 0; from < rows; from += CHUNK_ROWS) {
        uint32_t n = rows - from < CHUNK_ROWS ? (uint32_t)(rows - from) : CHUNK_ROWS, at = 0;
        double *products = m->products;
        for (uint32_t h = 0; h < f->hooks; h++) {
            uint32_t width = f->hook[h].width;
            add_hook(m, x + from * m->whiten->width, n, at, width, products);
            products += (size_t)width * width;
            at += width;
        }
    }
    m->rows += rows;
}

/* Sums of products about `shift` into the covariance about the mean, both triangles. */
static int covariance(const struct whiten_measure *m, double *c, uint32_t at, uint32_t width)
{
    double rows = (double)m->rows;
    int finite = 1;
    for (uint32_t i = 0; i < width; i++)
        for (uint32_t j = i; j < width; j++) {
            double value =
                c[(size_t)i * width + j] / rows - m->sum[at + i] / rows * (m->sum[at + j] / rows);
            finite &= isfinite(value) != 0;
            c[(size_t)i * width + j] = c[(size_t)j * width + i] = value;
        }
    return finite;
}

/* out = factor * sum over e of u_e power_e u_e^T, where row e of `u` is an eigenvector. */
static void symmetric(const double *u, const double *power, double factor, uint32_t width,
                      double *scaled, double *product, float *out)
{
    for (uint32_t e = 0; e < width; e++)
        for (uint32_t i = 0; i < width; i++)
            scaled[(size_t)e * width + i] = u[(size_t)e * width + i] * power[e];
    blas_dgemm((int)width, (int)width, (int)width, u, (int)width, 1, scaled, (int)width, 0, product,
               (int)width);
    for (uint32_t i = 0; i < width; i++)
        for (uint32_t j = i; j < width; j++)
            out[(size_t)i * width + j] = out[(size_t)j * width + i] =
                (float)(product[(size_t)i * width + j] * factor);
}

/* Floor the eigenvalues; what is left of the variance tells the factor c. */
static int floor_values(double *lambda, struct whiten_hook *hook, double *c)
{
    double mean = 0, total = 0;
    for (uint32_t i = 0; i < hook->width; i++) mean += lambda[i] / hook->width;
    if (!(mean > 0) || !isfinite(mean))
        return err_set(ERR_STATE, "the values of a hook never change, so they cannot be whitened; "
                                  "HINT: set trainer.whiten to false");
    hook->smallest = lambda[0] / mean;
    hook->largest = lambda[hook->width - 1] / mean;
    for (uint32_t i = 0; i < hook->width; i++) {
        double least = mean * WHITEN_FLOOR, value = lambda[i] > 0 ? lambda[i] : 0;
        if (lambda[i] < least) hook->floored++;
        lambda[i] = value > least ? value : least;
        total += value / lambda[i];
    }
    *c = sqrt(hook->width / total);
    return ERR_OK;
}

/* `u` is the covariance, and is overwritten by eigenvectors. */
static int make_hook(double *u, struct whiten_hook *hook, float *to, float *back)
{
    uint32_t width = hook->width;
    size_t work_doubles = blas_eigen_doubles((int)width); /* 2 width^2 at least */
    double *work = malloc((work_doubles + 3 * width) * sizeof *work), c = 1;
    if (!work) return err_set(ERR_NOMEM, "no memory for the eigenvalues of %u values", width);
    double *lambda = work + work_doubles, *power = lambda + width;
    int result = blas_eigen((int)width, u, lambda, work, work_doubles);
    if (result == ERR_OK) result = floor_values(lambda, hook, &c);
    for (uint32_t i = 0; i < width && result == ERR_OK; i++) power[i] = 1 / sqrt(lambda[i]);
    if (result == ERR_OK) symmetric(u, power, c, width, work, work + (size_t)width * width, to);
    for (uint32_t i = 0; i < width && result == ERR_OK; i++) power[i] = sqrt(lambda[i]);
    if (result == ERR_OK)
        symmetric(u, power, 1 / c, width, work, work + (size_t)width * width, back);
    free(work);
    return result;
}

int whiten_measure_end(struct whiten_measure *m, struct whiten **out)
{
    struct whiten *w = m->whiten;
    uint64_t needed = (uint64_t)w->widest * WHITEN_REFUSED;
    size_t block = 0;
    uint32_t at = 0;
    if (m->rows < needed)
        return err_set(ERR_STATE,
                       "%llu rows are too few to whiten %u values by: %llu are needed; HINT: "
                       "capture more rows, or set trainer.whiten to false",
                       (unsigned long long)m->rows, w->widest, (unsigned long long)needed);
    for (uint32_t h = 0; h < w->facts.hooks; h++) {
        struct whiten_hook *hook = &w->facts.hook[h];
        if (!covariance(m, m->products + block, at, hook->width))
            return err_set(ERR_STATE,
                           "the covariance of the stream's rows is not finite; HINT: set "
                           "trainer.whiten to false");
        int result = make_hook(m->products + block, hook, w->to + block, w->back + block);
        if (result != ERR_OK) return result;
        block += (size_t)hook->width * hook->width;
        at += hook->width;
    }
    for (uint32_t i = 0; i < w->width; i++)
        w->mean[i] = (float)(m->shift[i] + m->sum[i] / (double)m->rows);
    w->facts.rows = m->rows;
    m->whiten = NULL;
    *out = w;
    return ERR_OK;
}
