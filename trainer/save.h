/*
 * What a trainer writes down in a checkpoint beside its SAEs, so that a resume goes on bit for bit:
 * the stream's descriptor, the consumer's place in it, how much of the held-out file counts, the
 * keys that must not change, and those that may, with all their changes.
 */
#ifndef SLUICE_TRAINER_SAVE_H
#define SLUICE_TRAINER_SAVE_H

#include "buffer/consumer.h"
#include "config/config.h"
#include "sae/sae.h"
#include "sae/whiten.h"
#include "wiring/plan.h"

#include <jansson.h>

#include <stdint.h>

struct checkpoint;

struct save {
    char *descriptor;            /* JSON of the stream; owned after save_read() */
    struct consumer_state state; /* owned after save_read() */
    uint64_t held_out_rows;      /* that the held-out file must have */
    uint64_t held_out_hash;      /* of these rows, held_out.h; 0: not known */
    uint64_t steps;              /* batches trained on */
    uint64_t rows;               /* of these batches */
    uint32_t reuse;
    uint64_t seed;
    struct plan_before plan;
    uint32_t saes;
    json_t *settings, *changes;  /* changes.h; owned after save_read(). NULL on writing: none */
    uint64_t known_from_steps;   /* changes before it are not known: an older build wrote of them */
    const struct whiten *whiten; /* on writing: NULL where rows are only scaled; borrowed */
    int whitened;                /* on reading: whether they were */
    uint64_t earlier_rows, undrawn_rows; /* missed.h; 0 of an older build */
    double seconds;                      /* of training so far, over all lives */
    double written_seconds;              /* when, since 1970; 0: an older build did not say */
};

/* Write a checkpoint of `save` and all SAEs into `folder`, and remove all but the newest `keep`.
 * Durable when it returns ERR_OK. ERR_NOSPC, ERR_IO, ERR_NOMEM: the older ones are as they were.
 * Blocks on the disk. */
int save_write(const char *folder, const struct save *save, struct sae *const *saes, uint32_t keep);

/* The newest intact checkpoint in `folder`; *damaged newer ones were passed over. ERR_NOTFOUND:
 * there is none. ERR_CORRUPT, ERR_FORMAT (whole, but not of this trainer; the text names the file),
 * ERR_VERSION, ERR_IO, ERR_NOMEM: *checkpoint is NULL. The
 * caller closes *checkpoint (checkpoint_close) and calls save_free(). */
int save_read(const char *folder, struct save *save, struct checkpoint **checkpoint,
              unsigned *damaged);

/* Take `count` SAEs up. ERR_MISMATCH: of another kind (the item of trainer.saes, key, old, new).
 * ERR_FORMAT, ERR_VERSION: the text names file and section. */
int save_load_saes(const struct config *config, const struct checkpoint *checkpoint,
                   struct sae *const *saes, uint32_t count);

/* Whether `config` may go on from `save`. ERR_MISMATCH: key, old, new. */
int save_match(const struct save *save, const struct config *config);

void save_free(struct save *save);

#endif
