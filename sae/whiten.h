/*
 * Whitening: rows x become W (x - mean), whose covariance is a multiple of the identity, so that no
 * direction is loud. ZCA, a block per hook: with C = U diag(lambda) U^T the covariance of a hook's
 * values,
 *
 *   W = c U diag(1 / sqrt(max(lambda, floor))) U^T,  W^-1 = U diag(sqrt(max(lambda, floor))) U^T / c
 *
 * where floor is WHITEN_FLOOR times the mean eigenvalue, and c makes E||W (x - mean)||^2 the hook's
 * width, as the recipes expect. Both matrices are symmetric.
 *
 * The rows that come in are the trainer's: each hook times its scale. An object is used by one
 * thread at a time; its products run in the pool, and are the same bit for bit whatever the number
 * of threads.
 */
#ifndef SLUICE_SAE_WHITEN_H
#define SLUICE_SAE_WHITEN_H

#include "base/row.h"
#include "sae/sae.h"

#include <jansson.h>

#include <stddef.h>
#include <stdint.h>

#define WHITEN_FLOOR 1e-4 /* of a hook's mean eigenvalue */

enum {
    WHITEN_MAX_WIDTH = 16384,   /* of a hook: LAPACK counts its work area in 32 bits */
    WHITEN_ROWS_A_VALUE = 32,   /* rows wanted for each value of the widest hook, */
    WHITEN_LEAST_ROWS = 16384,  /* so many at least, */
    WHITEN_MOST_ROWS = 1 << 18, /* so many at most; */
    WHITEN_REFUSED = 4,         /* with fewer than so many for each value none is measured */
};

struct pool;
struct whiten;
struct whiten_measure;

/* Rows to measure hooks of these widths on, and the fewest that will do. */
uint64_t whiten_rows_wanted(const uint32_t *widths, uint32_t hooks);
uint64_t whiten_rows_needed(const uint32_t *widths, uint32_t hooks);
/* Bytes that are taken while it is measured, and that stay. */
uint64_t whiten_measure_bytes(const uint32_t *widths, uint32_t hooks);
uint64_t whiten_bytes(const uint32_t *widths, uint32_t hooks);

/* Begin to measure. `shift` (width): any guess of the mean, which sums are taken about. `pool` is
 * borrowed for the life of this and of what it makes. ERR_LIMIT: a hook is wider than
 * WHITEN_MAX_WIDTH, or too many; ERR_NOMEM, ERR_NOTFOUND: no BLAS or no LAPACK. The caller frees
 * it. */
int whiten_measure_new(const uint32_t *widths, uint32_t hooks, const float *shift,
                       struct pool *pool, struct whiten_measure **measure);
void whiten_measure_free(struct whiten_measure *measure);
/* Add rows (rows, width). */
void whiten_measure_add(struct whiten_measure *measure, const float *x, uint64_t rows);
/* Make the transform of all rows added; the measure is only to be freed afterwards. ERR_STATE: too
 * few rows, or a hook whose values never change or are not finite; ERR_NOMEM. The caller frees
 * it. */
int whiten_measure_end(struct whiten_measure *measure, struct whiten **whiten);
void whiten_free(struct whiten *whiten);

/* x (rows, width) becomes W (x - mean), in place. */
void whiten_apply(const struct whiten *whiten, float *x, uint64_t rows);
/* y (rows, values), the hooks from the row's value `first` on, becomes W^-1 y + mean, in place. */
void whiten_undo(const struct whiten *whiten, float *y, uint64_t rows, uint32_t first);

/* Held-out metrics as sae_evaluate(), of an SAE that is trained on whitened rows: x is not
 * whitened, and FVE and MSE are of x and the reconstruction with the whitening undone. l0 and l1
 * are of the features as they are. */
int whiten_evaluate(const struct whiten *whiten, struct sae *sae, const float *x, uint64_t rows,
                    struct sae_eval *eval);

/* The parameters of the SAE that does all of it to rows that are not whitened: whitening, its own
 * work, and undoing it. Arrays that differ are new: whiten_fold_free() frees them; thresholds,
 * gates and the rest stay the SAE's own. ERR_NOMEM. */
int whiten_fold(const struct whiten *whiten, const struct sae_options *options,
                const struct sae_parameters *parameters, struct sae_parameters *folded);
void whiten_fold_free(struct sae_parameters *folded);

/* That of some of its hooks, in this order, as one of its own. ERR_NOMEM, as whiten_measure_new().
 * The caller frees it. */
int whiten_select(const struct whiten *whiten, const uint32_t *hooks, uint32_t count,
                  struct whiten **selected);

/* What was measured. */
struct whiten_facts {
    uint64_t rows;
    uint32_t hooks;
    struct whiten_hook {
        uint32_t width;
        uint32_t floored; /* eigenvalues below the floor */
        double largest;   /* eigenvalue, in units of the mean one */
        double smallest;  /* the same, before the floor */
    } hook[ROW_MAX_HOOKS];
};
const struct whiten_facts *whiten_facts(const struct whiten *whiten);

/* The same for people, as exports and summaries have it. NULL: no memory. The caller decrefs. */
json_t *whiten_json(const struct whiten *whiten);

struct checkpoint;
struct checkpoint_writer;
/* Sections "whiten", "whiten.mean", "whiten.to" and "whiten.back" of a checkpoint: the transform
 * bit for bit. Loading: ERR_FORMAT: not there, or malformed; ERR_MISMATCH: of other widths. */
int whiten_save(const struct whiten *whiten, struct checkpoint_writer *writer);
int whiten_load(const struct checkpoint *checkpoint, const uint32_t *widths, uint32_t hooks,
                struct pool *pool, struct whiten **whiten);

#endif
