/* What the files of a training share: used by training.c, opening.c, seen.c, evaluation.c, results.c,
 * whitening.c and metadata.c alone. */
#ifndef SLUICE_TRAINER_STATE_H
#define SLUICE_TRAINER_STATE_H

#include "buffer/draw.h"
#include "runtime/finish.h"
#include "sae/cpu/pool.h"
#include "sae/sae.h"
#include "sae/whiten.h"
#include "trainer/held_out.h"
#include "trainer/history.h"
#include "trainer/training.h"
#include "wiring/plan.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

enum { TRAINING_FVE_ROWS = 2000 }; /* held-out rows below which no FVE is shown */

struct training_times { /* seconds, of this life alone */
    double waiting, drawing, stepping, evaluating, checkpointing;
};

struct training {
    struct training_options options;
    const struct config *config;
    char dir[CONFIG_PATH_BYTES];    /* RUN/CONSUMER */
    char buffer[CONFIG_PATH_BYTES]; /* the buffer's folder */
    int role;                       /* DIR/trainer.lock, held: no other trainer of this consumer */
    atomic_int stop, evaluated;
    unsigned told_no_fve; /* bits: 1 << enum sae_no_fve */
    pthread_mutex_t lock; /* with `wake`: for sleeping until `stop` */
    pthread_cond_t wake;

    struct plan plan;
    char *descriptor; /* the stream's, as JSON text */
    struct pool *pool;
    struct sae_workspace *workspace; /* of all SAEs, which step in turns */
    struct whiten *whiten;           /* NULL: rows are only scaled */
    struct draw *draw;
    struct held_out *held_out;
    struct history *history;
    struct curves *curves; /* NULL: off; curves.h */
    struct sae **sae;      /* (plan.saes) */
    struct sae_eval *eval; /* (plan.saes): the last one; rows 0: none yet */
    struct sae_step *step; /* (plan.saes): the last one */
    struct draw_batch batch;
    struct row_id *ids; /* (batch_rows) */
    float *values;      /* (batch_rows, width) */
    float *seen;        /* (batch_rows, plan.widest): as one autoencoder sees them; seen.h */

    json_t *settings, *changes; /* changes.h; owned */
    uint64_t known_from_steps;  /* 0: all of them are known */

    uint64_t steps, rows;   /* over all lives */
    uint64_t life_rows;     /* of this life alone */
    double earlier_seconds; /* of the lives before this one */
    double written_seconds; /* when the last checkpoint was, since 1970; 0: there is none */
    uint64_t started_ns, evaluate_ns, checkpoint_ns; /* when it began; when the next is due */
    uint64_t evaluated_steps;                        /* at the last one of this life; 0: none yet */
    uint64_t evaluate_steps;                         /* at which one is due before that */
    double evaluation_row_seconds;                   /* what the last one took a row; 0: none yet */
    uint64_t full_disk_ns; /* no checkpoint is tried before: the disk was full */
    uint64_t answered;     /* checkpoint_request of the last checkpoint */
    int told_damage;       /* the buffer is damaged, and the log says so */
    uint64_t expire_ns;    /* when held-out rows are held against their age next */
    uint64_t place_ns;     /* when the file of the consumer's place is looked at next */
    struct training_times times;

    int is_finishing; /* finishing.h: the decay is set, and on the disk */
    struct finish_answer decay;
    uint64_t finish_ns; /* when it is looked for next */
    uint64_t settle_ns; /* behind the decay: till when the stream's end is waited for; 0: not yet */
    uint64_t ends_ns; /* since when no more rows are waited for: captures end at once; 0: not so */
    uint64_t seen_skipped; /* rows_skipped at the last look */
    int told_wish;         /* it cannot be read, and the log says so */

    uint64_t earlier_rows, undrawn_rows; /* missed.h; over all lives */
    uint64_t told_missed, tell_missed_ns;

    double shuffle_pairs, shuffle_ideal_pairs, shuffle_entropy, shuffle_ideal_entropy; /* sums */
};

/* Seconds since a moment of process_now_ns(). */
double training_seconds_since(uint64_t begin_ns);
/* Seconds of training over all lives. */
double training_seconds(const struct training *t);

/* The counters of all lives, as they are now. */
void training_show_totals(const struct training *t);

/* Sleep, but for a stop. */
void training_pause(struct training *t, unsigned ms);
/* Sleep until there may be rows again; counted as waiting. Where that is because the draw's buffer is
 * damaged, the log says so, once. */
void training_wait_rows(struct training *t, const struct draw *draw);
/* Each hook's values (rows, plan.width) times its scale, in place. */
void training_scale_rows(const struct training *t, float *values, size_t rows);
/* Whether to try again what came to `result`: where there is nothing else to do, a full disk is
 * waited for, unless a stop is asked for. */
int training_waits_for_room(struct training *t, int result);
/* Put the consumer's place beside the buffer; a full disk is waited for. ERR_IO, ERR_NOSPC. */
int training_insist_on_place(struct training *t, const struct consumer_state *state);

/* Whether the consumer's place beside the buffer is there and cannot be read: err_text() says why. */
int training_place_is_damaged(const struct training *t);

/* draw_open(); waits until there is a buffer, and until a damaged one has been made anew (not for a
 * replay). ERR_AGAIN: told to stop meanwhile (opening.c). */
int training_draw_open(struct training *t, const struct draw_options *options, struct draw **draw);

/* Open or resume everything (opening.c). ERR_AGAIN: told to stop meanwhile. ERR_MISMATCH: a key or
 * a file of the consumer's that no second try mends. Blocks until there is a stream. */
int training_open(struct training *t);

/* Features of SAE i that did not fire within its window, by its own counters: those of a checkpoint
 * know as much as those of this life. */
uint32_t training_dead(const struct training *t, uint32_t i);

/* What the end of the run, and a line of the history, say of SAE i. */
struct history_point training_point(const struct training *t, uint32_t i);

/* Evaluate on all held-out rows (there are some); an FVE of few of them is told nowhere. */
int evaluation_make(struct training *t);
/* Why the last evaluation of SAE i gave no FVE, in words: "" where it gave one. */
void evaluation_no_fve(const struct training *t, uint32_t i, char *out, size_t bytes);
/* Each eval_seconds, and before that where half as many steps more were made, so that the history
 * of a short run has points too; with a line in the history. */
int evaluation_if_due(struct training *t);
/* A line in the history for each SAE, of this step. */
int evaluation_record(struct training *t);

/* Exports, the counters of `count`, and DIR/summary.json (results.c). Blocks on the disk. */
int results_write(struct training *t);

#endif
