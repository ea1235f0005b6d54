#include "inspect/neighbours.h"

#include "sae/cpu/blas.h"
#include "sae/cpu/pool.h"

#include <math.h>

enum { TILE = 1024 }; /* features of one product */

/* Into a sorted list of at most NEIGHBOURS; features come in ascending order, or are compared. */
static uint32_t offer(struct neighbour *list, uint32_t count, struct neighbour n)
{
    uint32_t at = count;
    while (at > 0 && (n.score > list[at - 1].score ||
                      (n.score == list[at - 1].score && n.feature < list[at - 1].feature)))
        at--;
    if (at == NEIGHBOURS) return count;
    if (count < NEIGHBOURS) count++;
    for (uint32_t i = count - 1; i > at; i--) list[i] = list[i - 1];
    list[at] = n;
    return count;
}

/* ---- firing together ---- */

uint32_t neighbours_together(const struct record_view *v, const struct sorted *sorted,
                             uint32_t feature, uint32_t features, uint64_t kept_rows,
                             uint32_t *counter, uint32_t *touched, struct neighbour *out)
{
    const struct hit *hits = sorted->hit + sorted->start[feature];
    uint64_t all = sorted->start[feature + 1] - sorted->start[feature];
    uint64_t looked_at = all < NEIGHBOURS_ROWS ? all : NEIGHBOURS_ROWS;
    uint32_t touches = 0, count = 0;
    for (uint64_t i = 0; i < looked_at; i++) {
        uint32_t row = hits[i * all / looked_at].row;
        for (uint64_t k = v->row[row].start; k < record_end(v, row); k++)
            if (counter[v->pair[k].feature]++ == 0) touched[touches++] = v->pair[k].feature;
    }
    for (uint32_t i = 0; i < touches; i++) {
        uint32_t g = touched[i], both = counter[g];
        counter[g] = 0;
        if (g == feature || g >= features || both < NEIGHBOURS_LEAST) continue;
        double share = (double)both / (double)looked_at;
        double usual = (double)(sorted->start[g + 1] - sorted->start[g]) / (double)kept_rows;
        count = offer(out, count, (struct neighbour){g, both, log(share / usual)});
    }
    return count;
}

/* ---- directions ---- */

int neighbours_norms(const struct subject *s, float *inverse)
{
    uint32_t width = s->model.encoder->width;
    for (uint32_t f = 0; f < subject_features(s); f++) {
        const float *d = subject_direction(s, f);
        double square = 0;
        for (uint32_t i = 0; i < width; i++) square += (double)d[i] * (double)d[i];
        inverse[f] = square > 0 ? (float)(1 / sqrt(square)) : 0;
    }
    return blas_open(pool_threads(s->pool));
}

struct product {
    const struct subject *subject;
    const float *inverse;
    uint32_t first, count;
    float *out;
};

static void multiply(void *arg, uint32_t item, uint32_t thread)
{
    const struct product *p = arg;
    uint32_t features = subject_features(p->subject), width = p->subject->model.encoder->width;
    uint32_t begin = item * TILE, n = features - begin < TILE ? features - begin : TILE;
    struct blas_matrix a = {subject_direction(p->subject, p->first), (int)width, 0};
    struct blas_matrix b = {subject_direction(p->subject, begin), (int)width, 1};
    (void)thread;
    blas_sgemm((int)p->count, (int)n, (int)width, 1, a, b, 0, p->out + begin, (int)features);
    for (uint32_t i = 0; i < p->count; i++) {
        float *row = p->out + (size_t)i * features + begin, own = p->inverse[p->first + i];
        for (uint32_t g = 0; g < n; g++) row[g] = row[g] * own * p->inverse[begin + g];
    }
}

void neighbours_cosines(const struct subject *subject, const float *inverse, uint32_t first,
                        uint32_t count, float *out)
{
    struct product p = {subject, inverse, first, count, out};
    pool_run(subject->pool, multiply, &p, (subject_features(subject) + TILE - 1) / TILE);
}

uint32_t neighbours_alike(const float *cosines, uint32_t feature, uint32_t features,
                          struct neighbour *out)
{
    uint32_t count = 0;
    float least = 0; /* that a list which is full still takes */
    for (uint32_t g = 0; g < features; g++) {
        if (!(cosines[g] > least) || g == feature) continue;
        count = offer(out, count, (struct neighbour){g, 0, (double)cosines[g]});
        if (count == NEIGHBOURS) least = (float)out[count - 1].score;
    }
    return count;
}
