/*
 * The tap of this process: what it is told to capture, of which model, and what came of it. Everything
 * here may be called on any thread.
 *
 * One model is tapped: the first whose context runs a pass, or the one that SLUICE_TAP_MODEL is part of
 * the path of. If it cannot be (no such hook, no memory, a libllama that is not known), the program goes
 * on without the tap, and the reason is told once, on stderr.
 */
#ifndef SLUICE_TAP_TAP_H
#define SLUICE_TAP_TAP_H

#include "base/row.h"
#include "client/sluice.h"
#include "tap/marker.h"
#include "tap/steering.h"

#include <stddef.h>
#include <stdint.h>

struct llama_model;
struct outlet;

struct tap_settings {
    int on;
    char hooks[ROW_MAX_HOOKS][64];
    uint32_t hooks_count;      /* 0: none was told yet, and nothing is captured */
    double share;              /* of sequences, whole ones; 0 or 1: all */
    double rows_per_second;    /* 0: no limit */
    uint64_t bytes_per_second; /* of rows; the lower of both holds; 0: no limit */
    char stream[64];           /* "": none was told yet, and nothing is captured */
    char folder[1024];         /* of rings; "": the stream's usual one */
    uint64_t ring_bytes;       /* 0: the usual */
    int is_f32;
    char exclude[MARKER_BYTES]; /* a request whose text has this in it is not captured; "": none */
};

struct tap_change {
    const struct tap_settings *settings; /* NULL: as they are */
    const char *steer;                   /* the file of a table; "": no more; NULL: as it is */
    int keeps_steered;                   /* sequences that it changes stay in the stream */
};

/* Change all of that, or nothing; takes effect between two passes, and other hooks, or another stream, with
 * a ring of their own. Waits for no pass; the table's file may be removed afterwards. ERR_STATE: this process
 * has no tap; ERR_USAGE; what steering_read() and steering_check() give. Then nothing was changed, and
 * text[bytes] says why. */
int tap_set(const struct tap_change *change, char *text, size_t bytes);
/* As they are, with lower limits that the ring's reader has set. */
void tap_settings_now(struct tap_settings *settings);

struct tap_status {
    int is_tapping;        /* a model is chosen and its ring is there */
    char model_file[1024]; /* "": none yet, or it is not known */
    uint32_t contexts;     /* of that model that are there */
    uint32_t others;       /* contexts that were left alone */
    uint64_t passes;       /* that ended well, of those contexts */
    uint64_t failed_passes;
    uint64_t mismatched_passes; /* whose rows could not be told: given up */
    uint64_t learning_rows;     /* of passes that showed where the hooks are: not captured */
    uint64_t adapted_rows;      /* of sequences with a token of an adapter: not captured */
    char steers[1024];          /* features, as they were told; "": nothing is steered */
    char steers_by[256];        /* the SAE */
    char steers_at[64];         /* its hook */
    int keeps_steered;
    uint64_t steered_rows;
    uint64_t unsteered_passes;  /* of embeddings, or of a batch that is not known */
    uint64_t stale_tokens;      /* computed over a prefix that was cached under another setting */
    char steering_refusal[400]; /* why it does not; "": nothing is wrong */
    struct sluice_counters counters; /* of the ring; size is set */
    char refusal[400];               /* why it does not tap; "": nothing is wrong */
};
void tap_status(struct tap_status *status);

/* ---- for the rest of the tap ---- */

struct tap_start {
    char model[256]; /* part of the path of the model's file; "": any */
    char steer[512]; /* a table to steer by from the first pass of the first context on; "": none */
    int keeps_steered;
    struct tap_settings settings;
};

/* Begin: once, before the program's main(). ERR_USAGE: it stays without a tap, told on stderr. */
int tap_begin(const struct tap_start *start);

/* A context that may be tapped is there: read the table that the start has told, and remove it. With the
 * first call alone; others wait for it. What is wrong with the table is told, and kept for tap_status().
 * Not earlier: a script runs other programs before the one that is meant, and each begins alike. */
void tap_begin_steering(void);

/* The program ends: rows go nowhere from here on, and the ring is closed, unless a pass still writes to
 * it. Waits for nobody. */
void tap_end(void);

/* Whether the wrappers have anything to do: it has begun, this is no forked child, and libllama is one
 * that we know. */
int tap_is_there(void);

/* Whether contexts of a model may be tapped, by its file's path. */
int tap_wants_model(const char *file);

/* What a pass is to do; taken before, returned after. */
struct tap_turn {
    struct outlet *outlet;     /* NULL: rows go nowhere */
    int learns;                /* it is to be learned from */
    int is_chosen;             /* the model is the one that is tapped (and steered) */
    struct steering *steering; /* NULL: none */
    struct marker marker;
};
void tap_take_turn(const struct llama_model *model, struct tap_turn *turn);
/* What came of it. */
struct tap_pass {
    int result;  /* graph_end()'s, whose text is in err_text() */
    int is_good; /* llama_decode()'s was 0 */
    uint32_t tokens, stale_tokens, adapted_rows;
    uint64_t steered_rows;
    int is_unsteered; /* what it computes could not be told, so that nothing of it was steered */
    const char *unsteered; /* why not all of it was steered, as it should be; "": it was */
};
void tap_return_turn(const struct tap_turn *turn, const struct tap_pass *pass);

/* A model was freed. */
void tap_forget_model(const struct llama_model *model);

#endif
