#include "inspect/fidelity.h"

#include "base/err.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int fidelity_new(uint32_t width, uint32_t features, struct fidelity *f)
{
    *f = (struct fidelity){.width = width, .features = features};
    f->sum = calloc(width, sizeof *f->sum);
    f->batch_sum = calloc(width, sizeof *f->batch_sum);
    f->fired = calloc(features, 1);
    if (f->sum && f->batch_sum && f->fired) return ERR_OK;
    fidelity_free(f);
    return err_set(ERR_NOMEM, "no memory for %u features", features);
}

void fidelity_free(struct fidelity *f)
{
    free(f->sum);
    free(f->batch_sum);
    free(f->fired);
    free(f->batch);
    free(f->batch_error);
    *f = (struct fidelity){0};
}

/* Bytes beyond ASCII are letters of some writing, or parts of them. */
enum fidelity_class fidelity_class_of(const char *text, size_t size)
{
    size_t space = 0;
    while (space < size && isspace((unsigned char)text[space])) space++;
    if (space == size) return FIDELITY_MARK;
    unsigned char first = (unsigned char)text[space];
    if (isdigit(first)) return FIDELITY_NUMBER;
    if (!isalpha(first) && first < 0x80) return FIDELITY_MARK;
    return space ? FIDELITY_WORD : FIDELITY_PART;
}

static struct fidelity_sums *at_position(struct fidelity *f, uint32_t position)
{
    uint32_t group = 0;
    while (position + 1 >= 2U << group && group + 1 < FIDELITY_POSITIONS) group++;
    return &f->by_position[group];
}

/* ---- rows ---- */

static int make_room(struct fidelity *f)
{
    if (f->batch_rows < f->batch_room) return ERR_OK;
    uint64_t room = f->batch_room ? 2 * f->batch_room : 1024;
    float *batch = realloc(f->batch, room * f->width * sizeof *batch);
    if (batch) f->batch = batch;
    double *error = realloc(f->batch_error, room * sizeof *error);
    if (error) f->batch_error = error;
    if (!batch || !error) return err_set(ERR_NOMEM, "no memory for a batch of rows");
    f->batch_room = room;
    return ERR_OK;
}

static void add_sums(struct fidelity_sums *s, const struct fidelity_sums *one)
{
    s->rows += one->rows;
    s->predictions += one->predictions;
    s->with_next += one->with_next;
    s->cosine += one->cosine;
    s->norm_ratio += one->norm_ratio;
    s->error += one->error;
    s->square += one->square;
    for (int way = 0; way < FIDELITY_WAYS; way++) {
        s->ce[way] += one->ce[way];
        s->kl[way] += one->kl[way];
    }
}

static void add_everywhere(struct fidelity *f, uint32_t position, enum fidelity_class class,
                           const struct fidelity_sums *one)
{
    add_sums(&f->all, one);
    add_sums(&f->by_class[class], one);
    add_sums(at_position(f, position), one);
}

int fidelity_add_row(struct fidelity *f, uint32_t position, enum fidelity_class class,
                     const float *x, const float *reconstructed, const uint32_t *active,
                     uint64_t active_count)
{
    int result = make_room(f);
    if (result != ERR_OK) return result;
    double dot = 0, square = 0, made = 0, error = 0;
    for (uint32_t i = 0; i < f->width; i++) {
        double a = (double)x[i], b = (double)reconstructed[i];
        dot += a * b;
        square += a * a;
        made += b * b;
        error += (a - b) * (a - b);
        f->sum[i] += a;
        f->batch_sum[i] += a;
    }
    struct fidelity_sums one = {.rows = 1, .error = error, .square = square};
    if (square > 0) one.norm_ratio = sqrt(made / square);
    if (square > 0 && made > 0) one.cosine = dot / sqrt(square * made);
    add_everywhere(f, position, class, &one);
    memcpy(f->batch + f->batch_rows * f->width, x, f->width * sizeof *x);
    f->batch_error[f->batch_rows++] = error;
    f->active += (double)active_count;
    for (uint64_t i = 0; i < active_count; i++) f->fired[active[i]] = 1;
    return ERR_OK;
}

void fidelity_end_batch(struct fidelity *f)
{
    double n = (double)f->batch_rows;
    for (uint64_t row = 0; row < f->batch_rows; row++) {
        double around = 0;
        for (uint32_t i = 0; i < f->width; i++) {
            double d = (double)f->batch[row * f->width + i] - f->batch_sum[i] / n;
            around += d * d;
        }
        if (around > 0) f->legacy += 1 - f->batch_error[row] / around;
    }
    f->batch_rows = 0;
    memset(f->batch_sum, 0, f->width * sizeof *f->batch_sum);
}

/* ---- predictions ---- */

void fidelity_add_prediction(struct fidelity *f, uint32_t position, enum fidelity_class class,
                             const struct fidelity_prediction *p)
{
    struct fidelity_sums one = {.predictions = 1, .with_next = p->has_next != 0};
    if (p->has_next) memcpy(one.ce, p->ce, sizeof one.ce);
    memcpy(one.kl, p->kl, sizeof one.kl);
    add_everywhere(f, position, class, &one);
}

static float largest(const float *logits, uint32_t vocabulary)
{
    float most = logits[0];
    for (uint32_t v = 1; v < vocabulary; v++)
        if (logits[v] > most) most = logits[v];
    return most;
}

double fidelity_log_sum(const float *logits, uint32_t vocabulary)
{
    float most = largest(logits, vocabulary);
    double sum = 0;
    for (uint32_t v = 0; v < vocabulary; v++) sum += (double)expf(logits[v] - most);
    return (double)most + log(sum);
}

void fidelity_compare(const float *model, double log_sum, const float *changed, uint32_t vocabulary,
                      int32_t next, double *ce, double *kl)
{
    double changed_sum = fidelity_log_sum(changed, vocabulary), mean = 0, weight = 0;
    float offset = (float)log_sum;
    for (uint32_t v = 0; v < vocabulary; v++) {
        double p = (double)expf(model[v] - offset);
        mean += p * ((double)model[v] - (double)changed[v]);
        weight += p;
    }
    *ce = next < 0 ? 0 : changed_sum - (double)changed[next];
    *kl = mean / weight - log_sum + changed_sum;
}

/* ---- what the sums give ---- */

static double over(double sum, double count)
{
    return count > 0 ? sum / count : NAN;
}

double fidelity_fve(const struct fidelity *f)
{
    double n = (double)f->all.rows, mean_square = 0;
    for (uint32_t i = 0; i < f->width && n > 0; i++) mean_square += f->sum[i] / n * f->sum[i] / n;
    double around = f->all.square - n * mean_square;
    return around > 0 ? 1 - f->all.error / around : NAN;
}

double fidelity_legacy(const struct fidelity *f)
{
    return over(f->legacy, (double)f->all.rows);
}

double fidelity_saebench(const struct fidelity *f)
{
    double n = (double)f->all.rows;
    if (!(n > 0)) return NAN;
    double square = f->all.square / n, share = square / f->width;
    return 1 - f->all.error / n / (square - share * share);
}

double fidelity_l0(const struct fidelity *f)
{
    return over(f->active, (double)f->all.rows);
}

uint32_t fidelity_dead(const struct fidelity *f)
{
    uint32_t dead = 0;
    for (uint32_t i = 0; i < f->features; i++) dead += !f->fired[i];
    return dead;
}

double fidelity_ce(const struct fidelity_sums *s, enum fidelity_way way)
{
    return over(s->ce[way], (double)s->with_next);
}

double fidelity_kl(const struct fidelity_sums *s, enum fidelity_way way)
{
    return over(s->kl[way], (double)s->predictions);
}

double fidelity_ce_recovered(const struct fidelity_sums *s)
{
    double lost = s->ce[FIDELITY_ZERO] - s->ce[FIDELITY_CLEAN];
    return lost != 0 ? (s->ce[FIDELITY_ZERO] - s->ce[FIDELITY_SPLICED]) / lost : NAN;
}

double fidelity_kl_recovered(const struct fidelity_sums *s)
{
    double lost = s->kl[FIDELITY_ZERO];
    return lost != 0 ? (lost - s->kl[FIDELITY_SPLICED]) / lost : NAN;
}
