/*
 * How true an SAE is to the model, as sums over rows and predictions. x is a row, x' what the SAE
 * makes of it, e = x - x'; CE the cross-entropy of the next token in nats, KL(model || changed
 * model), with x' in place of x ("spliced") or 0 in place of all rows ("zero").
 *
 *   CE recovered    (CE_zero - CE_spliced) / (CE_zero - CE_clean)
 *   KL recovered    (KL_zero - KL_spliced) / KL_zero
 *   FVE             1 - sum |e|^2 / sum |x - mean|^2, the mean that of all rows
 *   legacy          mean over rows of 1 - |e|^2 / |x - mean|^2, the mean that of the row's batch:
 *                   what papers show, and SAEBench calls explained_variance_legacy
 *   SAEBench's      1 - E|e|^2 / (S - (S / D)^2), S = E|x|^2: what it calls explained_variance, and
 *                   is no explained variance
 *
 * Rows of special tokens are in no sum, and predictions that are made at them neither. The last token
 * of a context has a KL, and no CE, since nothing is known to follow it. (So does SAEBench's core.) No
 * model, no clock.
 */
#ifndef SLUICE_INSPECT_FIDELITY_H
#define SLUICE_INSPECT_FIDELITY_H

#include "sae/encoder.h"

#include <stdint.h>

enum fidelity_class {                /* of a token, by its text */
                      FIDELITY_WORD, /* begins a word: letters, with a space or a line end before them */
                      FIDELITY_PART, /* letters within one, or a part of a character */
                      FIDELITY_NUMBER,
                      FIDELITY_MARK, /* punctuation, white space, and all else */
                      FIDELITY_CLASSES
};
enum { FIDELITY_POSITIONS = 16 }; /* group p: positions 2^p - 1 and on, below 2^(p + 1) - 1 */
enum fidelity_way { FIDELITY_CLEAN, FIDELITY_SPLICED, FIDELITY_ZERO, FIDELITY_WAYS };

struct fidelity_sums { /* of some rows */
    uint64_t rows;
    uint64_t predictions, with_next; /* distributions that were compared; that have a CE, too */
    double cosine, norm_ratio;       /* of x' and x; sums over rows */
    double error, square;            /* |e|^2, |x|^2 */
    double ce[FIDELITY_WAYS], kl[FIDELITY_WAYS];
};

struct fidelity {
    uint32_t width, features;
    struct fidelity_sums all, by_class[FIDELITY_CLASSES], by_position[FIDELITY_POSITIONS];
    uint64_t beyond_limit; /* rows that are in no sum, as trainings leave them out: evaluation.h */
    double active, legacy; /* sums over rows */
    double *sum;           /* (width): of x */
    uint8_t *fired;        /* (features) */
    /* Of the batch under way, for `legacy`. */
    uint64_t batch_rows, batch_room;
    float *batch;        /* (batch_rows, width) */
    double *batch_error; /* (batch_rows): |e|^2 */
    double *batch_sum;   /* (width) */
};

/* ERR_NOMEM. fidelity_free() frees. */
int fidelity_new(uint32_t width, uint32_t features, struct fidelity *f);
void fidelity_free(struct fidelity *f);

/* What a token is, by its text of so many bytes. */
enum fidelity_class fidelity_class_of(const char *text, size_t size);

/* A row that counts, at a position of its context: x and x' (width), and its active features.
 * ERR_NOMEM. */
int fidelity_add_row(struct fidelity *f, uint32_t position, enum fidelity_class class,
                     const float *x, const float *reconstructed, const uint32_t *active,
                     uint64_t active_count);
/* The batch of rows so far has ended: its mean is known. Call it once more at the end. */
void fidelity_end_batch(struct fidelity *f);

struct fidelity_prediction {
    int has_next; /* 0: ce is of nothing */
    double ce[FIDELITY_WAYS], kl[FIDELITY_WAYS];
};
/* What a prediction gave, at a position of its context. */
void fidelity_add_prediction(struct fidelity *f, uint32_t position, enum fidelity_class class,
                             const struct fidelity_prediction *prediction);

/* Of logits (vocabulary) of the model and of the changed one: the cross-entropy of `next` under the
 * changed one (-1: none; 0), and KL(model || changed). `log_sum` is that of the model's, of
 * fidelity_log_sum(). */
double fidelity_log_sum(const float *logits, uint32_t vocabulary);
void fidelity_compare(const float *model, double log_sum, const float *changed, uint32_t vocabulary,
                      int32_t next, double *ce, double *kl);

/* What the sums give; NaN where nothing was added. */
double fidelity_fve(const struct fidelity *f);
double fidelity_legacy(const struct fidelity *f);
double fidelity_saebench(const struct fidelity *f);
double fidelity_l0(const struct fidelity *f);
uint32_t fidelity_dead(const struct fidelity *f); /* features that never fired */
double fidelity_ce(const struct fidelity_sums *s, enum fidelity_way way);
double fidelity_kl(const struct fidelity_sums *s, enum fidelity_way way);
double fidelity_ce_recovered(const struct fidelity_sums *s);
double fidelity_kl_recovered(const struct fidelity_sums *s);

#endif
