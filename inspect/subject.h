/*
 * An SAE that is looked at, whatever it was saved by: a checkpoint of ours, or a published folder.
 * Rows are raw, as the model makes them: what a training multiplied or whitened them by is folded
 * into the weights when it is opened, as in an export (sae/export/export.h), so that a feature's
 * value here is its value there.
 */
#ifndef SLUICE_INSPECT_SUBJECT_H
#define SLUICE_INSPECT_SUBJECT_H

#include "base/row.h"
#include "sae/model.h"

enum { SUBJECT_NAME_BYTES = 256, SUBJECT_PATH_BYTES = 4096 };

struct pool;

struct subject {
    char name[SUBJECT_NAME_BYTES]; /* for people: "topk-4608-k32", or the folder's last part */
    char path[SUBJECT_PATH_BYTES]; /* of what was opened */
    char layout[16];               /* "sluice", "saelens", "sparsify", "hooks" */
    struct model model;            /* of raw rows; owned */
    struct pool *pool;             /* of its threads; owned */
    uint64_t fingerprint;          /* of its weights and rule: an index of others has another */
    uint32_t hooks;                /* that it sees or writes, in its order */
    char hook[ROW_MAX_HOOKS][64];  /* resid_post.15; of a transcoder in, then out */
    uint32_t hook_width[ROW_MAX_HOOKS];
    double
        hook_limit[ROW_MAX_HOOKS];  /* rows with a larger norm were left out; 0: no limit is told */
    int keeps_special, keeps_first; /* it was trained on special tokens, on position 0 */
    uint32_t width;                 /* of all hooks together: of a row that is encoded */
    char model_file[SUBJECT_PATH_BYTES]; /* GGUF; "": not told */
    char precision[32];                  /* that its rows were made in; "": not told */
    uint64_t model_hash;                 /* of the model that made them; 0: not told */
    int prepends_bos;                    /* -1: not told */
    uint32_t context_tokens;             /* 0: not told */
};

/* Fill in fingerprint and width; the opener has filled in the rest. */
void subject_finish(struct subject *subject);
void subject_close(struct subject *subject);

/* Values of the features of rows (n, width), raw: encoder_pairs(). */
int subject_encode(struct subject *subject, const float *rows, uint64_t n, struct pairs *pairs);
/* The reconstruction, raw: out (n, width of what comes out): encoder_decode(). */
void subject_decode(struct subject *subject, const float *rows, const struct pairs *pairs,
                    float *out);

/* Whether it is trained on such a row (width), raw: not on special tokens and position 0 unless it keeps
 * them, not on one whose part of a hook is longer than hook_limit, nor on one that is not finite. What
 * fires at others means nothing. */
int subject_keeps(const struct subject *subject, int is_special, int is_first, const float *row);

/* The direction that feature f adds for each unit of its value: (width of what comes out). */
const float *subject_direction(const struct subject *subject, uint32_t f);
uint32_t subject_features(const struct subject *subject);

/* Whether it is one dictionary of one hook (what goes in comes out), as steering and splicing need.
 * ERR_USAGE: a sentence that says what it is instead, and what can be done with it. */
int subject_is_dictionary(const struct subject *subject, const char *what);

#endif
