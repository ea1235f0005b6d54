#include "capture/measure.h"

#include "base/err.h"
#include "capture/filter.h"
#include "proto/rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct held { /* one batch; arrays as in engine_batch, in one block */
    size_t rows;
    struct row_id *ids;
    struct cursor *cursors;
    float *values;
    uint64_t *captured_ns; /* NULL: just now, when they came */
    uint8_t *flags;
};

struct measure {
    uint32_t width;
    size_t limit_bytes, bytes, last_bytes;
    size_t batches, room;
    struct held *batch;
    uint64_t rows;
    uint64_t contexts;      /* begun so far */
    uint64_t last_sequence; /* of the last row added */
};

int measure_new(uint32_t width, size_t limit_bytes, struct measure **measure)
{
    struct measure *m = calloc(1, sizeof *m);
    if (!m) return err_set(ERR_NOMEM, "no memory to measure the stream");
    m->width = width;
    m->limit_bytes = limit_bytes;
    *measure = m;
    return ERR_OK;
}

void measure_free(struct measure *m)
{
    if (!m) return;
    for (size_t i = 0; i < m->batches; i++) free(m->batch[i].cursors);
    free(m->batch);
    free(m);
}

/* One block for a batch's arrays, the widest type first so that all are aligned. */
static int hold(struct held *h, const struct engine_batch *batch, uint32_t width, size_t *bytes)
{
    size_t n = batch->rows, values = n * width * sizeof(float);
    size_t times = batch->captured_ns ? n * sizeof *h->captured_ns : 0;
    *bytes = (n + 1) * sizeof *h->cursors + n * sizeof *h->ids + times + values + n;
    h->cursors = malloc(*bytes);
    if (!h->cursors)
        return err_set(ERR_NOMEM,
                       "no memory to measure the stream (%zu bytes); HINT: lower "
                       "capture.measure_contexts",
                       *bytes);
    h->rows = n;
    h->ids = (struct row_id *)(h->cursors + n + 1);
    h->captured_ns = times ? (uint64_t *)(h->ids + n) : NULL;
    h->values = (float *)((char *)(h->ids + n) + times);
    h->flags = (uint8_t *)(h->values + n * width);
    memcpy(h->cursors, batch->cursors, (n + 1) * sizeof *h->cursors);
    memcpy(h->ids, batch->ids, n * sizeof *h->ids);
    memcpy(h->values, batch->values, values);
    memcpy(h->flags, batch->flags, n);
    if (times) memcpy(h->captured_ns, batch->captured_ns, times);
    return ERR_OK;
}

int measure_add(struct measure *m, const struct engine_batch *batch)
{
    if (m->batches == m->room) {
        size_t room = m->room ? 2 * m->room : 16;
        struct held *more = realloc(m->batch, room * sizeof *more);
        if (!more) return err_set(ERR_NOMEM, "no memory to measure the stream");
        m->batch = more;
        m->room = room;
    }
    int result = hold(&m->batch[m->batches], batch, m->width, &m->last_bytes);
    if (result != ERR_OK) return result;
    m->batches++;
    m->bytes += m->last_bytes;
    for (size_t i = 0; i < batch->rows; i++) {
        if (!m->rows || batch->ids[i].sequence != m->last_sequence) m->contexts++;
        m->last_sequence = batch->ids[i].sequence;
        m->rows++;
    }
    return ERR_OK;
}

int measure_wants(const struct measure *m, uint32_t contexts)
{
    return !m->batches || (m->contexts < contexts && m->bytes + m->last_bytes <= m->limit_bytes);
}

int measure_wants_rows(const struct measure *m, uint64_t rows)
{
    return !m->batches || (m->rows < rows && m->bytes + m->last_bytes <= m->limit_bytes);
}

uint64_t measure_rows(const struct measure *m)
{
    return m->rows;
}

uint64_t measure_contexts(const struct measure *m)
{
    return m->contexts;
}

struct engine_batch measure_batch(const struct measure *m, size_t i)
{
    if (i >= m->batches) return (struct engine_batch){0};
    const struct held *h = &m->batch[i];
    return (struct engine_batch){h->rows, h->ids, h->flags, h->cursors, h->values, h->captured_ns};
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Middle value; of an even number of values the mean of the two in the middle. Sorts them. */
static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static int is_candidate(const struct descriptor *d, const struct held *h, size_t i)
{
    return filter_token(d, h->flags[i]) == FILTER_KEEP &&
           rows_finite(d->dtype, d->width, h->values + i * d->width);
}

uint64_t measure_candidates(const struct measure *m, const struct descriptor *d)
{
    uint64_t candidates = 0;
    for (size_t b = 0; b < m->batches; b++)
        for (size_t i = 0; i < m->batch[b].rows; i++)
            candidates += (uint64_t)is_candidate(d, &m->batch[b], i);
    return candidates;
}

/* Median norm and limit of one hook whose values begin at `offset` of a row. */
static int measure_hook(struct measure *m, struct descriptor *d, uint32_t hook, uint32_t offset,
                        double *norms)
{
    struct descriptor_hook *k = &d->hook[hook];
    size_t n = 0;
    for (size_t b = 0; b < m->batches; b++) {
        const struct held *h = &m->batch[b];
        for (size_t i = 0; i < h->rows; i++)
            if (is_candidate(d, h, i))
                norms[n++] = sqrt(filter_square(h->values + i * d->width + offset, k->width));
    }
    if (!n)
        return err_set(ERR_USAGE,
                       "no row of the first %" PRIu64
                       " can be measured: all are special tokens, first "
                       "in their context, or not finite; HINT: look at the corpus and at "
                       "capture.context_tokens",
                       m->rows);
    k->norm_median = median(norms, n);
    k->norm_limit = d->keep_sinks ? 0 : d->max_norm_ratio * k->norm_median;
    return ERR_OK;
}

/* Second moment per hook and sum per dimension over the rows that are kept. */
static uint64_t sum_kept(struct measure *m, const struct descriptor *d, double *squares,
                         double *sum)
{
    uint64_t kept = 0;
    for (size_t b = 0; b < m->batches; b++) {
        const struct held *h = &m->batch[b];
        for (size_t i = 0; i < h->rows; i++) {
            const float *x = h->values + i * d->width;
            if (filter_row(d, h->flags[i], x) != FILTER_KEEP) continue;
            kept++;
            for (uint32_t k = 0, at = 0; k < d->hooks; at += d->hook[k++].width)
                squares[k] += filter_square(x + at, d->hook[k].width);
            for (uint32_t j = 0; j < d->width; j++) sum[j] += x[j];
        }
    }
    return kept;
}

static int take_moments(struct measure *m, struct descriptor *d, double *squares, double *sum)
{
    uint64_t kept = sum_kept(m, d, squares, sum);
    for (uint32_t k = 0; k < d->hooks; k++) {
        if (!(squares[k] > 0))
            return err_set(ERR_USAGE,
                           "hook %s: all %" PRIu64
                           " rows measured are zero; HINT: another hook, or "
                           "look at the model",
                           d->hook[k].name, kept);
        d->hook[k].scale = sqrt(d->hook[k].width / (squares[k] / (double)kept));
    }
    for (uint32_t j = 0; j < d->width; j++) d->mean[j] = (float)(sum[j] / (double)kept);
    d->measured_rows = kept;
    return ERR_OK;
}

int measure_finish(struct measure *m, struct descriptor *d)
{
    double *norms = malloc((m->rows + 1) * sizeof *norms);
    double *sums = calloc(d->hooks + d->width, sizeof *sums);
    free(d->mean);
    d->mean = calloc(d->width, sizeof *d->mean);
    int rc =
        norms && sums && d->mean ? ERR_OK : err_set(ERR_NOMEM, "no memory to measure the stream");
    for (uint32_t k = 0, at = 0; k < d->hooks && !rc; at += d->hook[k++].width)
        rc = measure_hook(m, d, k, at, norms);
    if (!rc) rc = take_moments(m, d, sums, sums + d->hooks);
    free(norms);
    free(sums);
    d->measured = !rc;
    d->planned_rows = 0;
    d->held_out_one_in = 0;
    return rc;
}
