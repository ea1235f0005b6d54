/*
 * What a run of the trainer is to do, worked out once from the configuration and the stream's
 * descriptor: scales, lengths of the schedules, options of each SAE. `sluice check` asks for the
 * same by plan_foretell(), so that what it accepts a trainer accepts.
 */
#ifndef SLUICE_WIRING_PLAN_H
#define SLUICE_WIRING_PLAN_H

#include "config/config.h"
#include "proto/descriptor.h"
#include "sae/options.h"
#include "wiring/view.h"

struct pool;

enum { PLAN_DEAD_WINDOW_ROWS = 10000000 };

struct plan {
    struct descriptor descriptor; /* owned; zeros of a plan that is foretold */
    struct pool *pool;            /* lent to every SAE */
    uint32_t width;
    float *scale;              /* (width): each dimension's hook's scale; NULL: foretold */
    float *mean;               /* (width): of the scaled rows; NULL: foretold */
    uint64_t planned_rows;     /* draws of the whole run, reuse included; 0: not known */
    uint64_t planned_steps;    /* 0: not known */
    uint64_t dead_window_rows; /* the default: what has not fired for so long is dead */
    uint32_t batch_rows;
    uint32_t saes;
    struct sae_options *sae; /* (saes); .mean is NULL where its view is not the whole row */
    struct view *view;       /* (saes): what each sees */
    uint32_t widest;         /* values of the widest view that is not the whole row; 0: all are */
};

/* Of a plan what a resume needs to go on with it. */
struct plan_before {
    uint32_t batch_rows;
    uint64_t planned_rows, planned_steps;
    int is_old; /* the checkpoint tells no planned_rows */
};

/* Work it out. `descriptor` is the JSON text of the stream; `pool` is lent to every SAE.
 * ERR_FORMAT, ERR_VERSION (of the descriptor), ERR_STATE: it was not measured,
 * ERR_USAGE: it hasn't the hooks that an architecture needs, ERR_NOMEM. On
 * failure nothing is left to free; otherwise plan_free(). */
int plan_make(const struct config *config, const char *descriptor, struct pool *pool,
              struct plan *plan);
/* The same of a stream that does not run yet, of which its hooks are known: no scales, no mean,
 * lengths as far as the configuration tells them. Whether an SAE can be made of the options is
 * sae_bytes()'s to say, as it is sae_new()'s. ERR_USAGE, ERR_NOMEM. plan_free() it. */
int plan_foretell(const struct config *config, const struct view_hook *hooks, uint32_t count,
                  struct plan *plan);
/* Count the steps of a plan that is gone on with behind `steps` steps of `rows` rows: as before
 * where batch and planned rows are as they were, else those made and those that the rest of the
 * rows will take, so that warm-up, ramp and decay lie where they should. */
void plan_go_on(struct plan *plan, const struct plan_before *before, uint64_t steps, uint64_t rows);
/* Floating-point operations of training on one row, counted as 6 for each weight: 2 forward and 4
 * backward (Kaplan et al. 2020, arXiv 2001.08361, section 2.1). An SAE has 2 F D weights, so this
 * is 12 F D; a transcoder F (in + out), and its skip in x out; a clt F in and what its features write
 * (sae_weights()). It is what dense products would
 * take, though ours leave most of it out. 0 for `count`. */
double plan_flops_a_row(const struct sae_options *options);
/* Bytes of a checkpoint of it, about: weights and two moments of Adam, float32; 0 for `count`. */
uint64_t plan_checkpoint_bytes(const struct sae_options *options);
/* Each dimension's hook's scale: (width); the caller frees. ERR_NOMEM. */
int plan_scales(const struct descriptor *descriptor, float **scale);
void plan_free(struct plan *plan);

#endif
