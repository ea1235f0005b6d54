/*
 * The descriptor of a stream: what its rows are and how they were measured. JSON on the wire
 * (inside HELLO, WELCOME and DESCRIBE), in the buffer, and in every checkpoint. The sink commits it
 * once, before frame 1; it never changes afterwards.
 *
 * The first half names the data. Every producer states it, and it must match on resume. The second
 * half is measured once, by the first producer. Everybody else takes it from the committed
 * descriptor.
 */
#ifndef SLUICE_PROTO_DESCRIPTOR_H
#define SLUICE_PROTO_DESCRIPTOR_H

#include "base/row.h"

#include <stddef.h>
#include <stdint.h>

enum { DESCRIPTOR_VERSION = 1 };

/* Bytes of the JSON at most, for any names and numbers: a byte of a name becomes 6 where it is no
 * text (\u0001), a real of 9 digits 15 ("-1.40129846e-45"; 16 of a double) and its comma. */
enum {
    DESCRIPTOR_HOOK_BYTES = 448,    /* name, width, punctuation */
    DESCRIPTOR_MEASURED_BYTES = 96, /* of a hook: three doubles with their keys */
    DESCRIPTOR_OTHER_BYTES = 8192,  /* every other key, names in it filled up */
    DESCRIPTOR_MEAN_BYTES = 16,     /* one value of it */
    DESCRIPTOR_MAX_UNMEASURED_BYTES =
        ROW_MAX_HOOKS * DESCRIPTOR_HOOK_BYTES + DESCRIPTOR_OTHER_BYTES,
    DESCRIPTOR_MAX_BYTES = DESCRIPTOR_MAX_UNMEASURED_BYTES +
                           ROW_MAX_HOOKS * DESCRIPTOR_MEASURED_BYTES +
                           ROW_MAX_WIDTH * DESCRIPTOR_MEAN_BYTES,
};

struct descriptor_hook {
    char name[64];
    uint32_t width;
    double norm_median; /* measured: of ||x||, unscaled */
    double norm_limit;  /* measured: rows with a larger ||x|| are left out; 0: no limit */
    double scale;       /* measured: s with E||s x||^2 = width over the rows that are kept */
};

struct descriptor {
    /* What the data is. */
    char stream[64];
    uint8_t dtype; /* enum dtype */
    uint32_t width;
    uint32_t hooks;
    struct descriptor_hook hook[ROW_MAX_HOOKS];
    char engine[32];
    char model[256];
    uint64_t model_hash;
    char precision[32]; /* of the model as run */
    uint64_t corpus_hash;
    uint32_t context_tokens;
    int prepends_bos;
    uint32_t share_count; /* producers */
    int shed;             /* policy: 1 shed, 0 block */
    int keep_special;
    int keep_sinks;
    int drops_tokens; /* 1: all rows have ROW_NO_TOKEN. Optional on the wire: 0 */
    double max_norm_ratio;
    char
        settings[512]; /* lines of "key: value" below `capture`, which both hashes are of (as far as
                           they are settings): tell what was changed where a hash differs. Optional
                           on the wire, not compared by themselves */

    /* How the model was prepared, for people: not compared, and optional on the wire (unknown where
     * a descriptor of an older build does not say, and in engines without a model). */
    char source_precision[32]; /* of the model's own file; "": unknown */
    uint32_t layers_kept;      /* of the model as run; 0: unknown */
    double prepared_fve; /* of the rows of the model as run, those of its own file being the truth;
                            1: they are the same; 0: unknown */

    /* Given by the sink. */
    uint64_t run;           /* random identity of this run's stream; 0 in a HELLO */
    uint32_t rows_per_slab; /* rows of every frame but the last; 0 in a HELLO. Its key is
                             * `rows_a_slab`, as files of older builds have it */

    /* Measured. */
    int measured;             /* whether what follows, and the hooks' measured fields, is there */
    float *mean;              /* (width) of the kept rows, unscaled; owned by the descriptor */
    uint64_t measured_rows;   /* kept rows that it was measured on */
    uint64_t planned_rows;    /* kept rows of the whole stream, all shares; 0: not known */
    uint32_t held_out_one_in; /* sequences: 1 in so many is held out */
};

/* JSON text of `d`, NUL-terminated, `*bytes` without the NUL. The caller frees `*text`.
 * ERR_NOMEM, ERR_FORMAT (a name is not UTF-8, a number not finite), ERR_LIMIT (a wider row, or more
 * hooks, than base/row.h allows). What is encoded is at most DESCRIPTOR_MAX_BYTES long, unmeasured
 * DESCRIPTOR_MAX_UNMEASURED_BYTES, and so fits in its message. */
int descriptor_encode(const struct descriptor *d, char **text, size_t *bytes);

/* Read and check a descriptor: every field there, of its type and within its bound, hook widths
 * adding up to the width. Fills in all of `d`; descriptor_free() gives back what it owns (also safe
 * after a failure). ERR_FORMAT, ERR_VERSION, ERR_LIMIT, ERR_NOMEM. */
int descriptor_decode(const char *text, size_t bytes, struct descriptor *d);

/* Free what `d` owns and clear it. */
void descriptor_free(struct descriptor *d);

/* Whether `now` may go on with the stream that `committed` began. ERR_MISMATCH: err_text() names
 * the first key that differs, with its old and its new value. */
int descriptor_match(const struct descriptor *committed, const struct descriptor *now);

/* N for a stream of which 1 in N sequences is held out, so that `planned_rows` (0: not known) give
 * `eval_rows`: 256, or less where it needs to be, at least 10. */
uint32_t descriptor_held_out(uint64_t planned_rows, uint64_t eval_rows);

#endif
