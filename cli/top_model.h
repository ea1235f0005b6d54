/*
 * What `sluice top` knows of a stream: the numbers of the broker's last document, and what the main
 * ones were in the last minutes. No terminal, no clock.
 */
#ifndef SLUICE_CLI_TOP_MODEL_H
#define SLUICE_CLI_TOP_MODEL_H

#include "cli/roster.h"

#include <jansson.h>

enum {
    TOP_MODEL_SAMPLES = 600, /* one per second */
    TOP_MODEL_SAES = 256,
    TOP_MODEL_ERRORS = 16,
    TOP_MODEL_TEXT_BYTES = 320
};

/* The numbers of "overview", by its names; NaN: nobody says. */
#define TOP_MODEL_TABLE(M)                                                                         \
    M(CAPTURED, "captured_rows_per_second")                                                        \
    M(SHED, "shed_rows_per_second")                                                                \
    M(STORED, "stored_rows_per_second")                                                            \
    M(TRAINED, "trained_rows_per_second")                                                          \
    M(TOKENS, "tokens_per_second")                                                                 \
    M(RAW_BYTES, "raw_bytes_per_second")                                                           \
    M(PACKED_BYTES, "packed_bytes_per_second")                                                     \
    M(SLABS, "buffer_slabs")                                                                       \
    M(CAPACITY_SLABS, "buffer_capacity_slabs")                                                     \
    M(FILL, "buffer_fill_ratio")                                                                   \
    M(FULL_IN, "buffer_full_in_seconds")                                                           \
    M(AGE, "buffer_age_seconds")                                                                   \
    M(LAG_ROWS, "lag_rows")                                                                        \
    M(LAG_SECONDS, "lag_seconds")                                                                  \
    M(CREDIT_WAIT, "credit_wait_ratio")                                                            \
    M(STREAM_ROWS, "stream_rows")                                                                  \
    M(PLANNED_ROWS, "planned_rows")                                                                \
    M(TRAINED_ROWS, "trained_rows")                                                                \
    M(PLANNED_DRAWS, "planned_draws")                                                              \
    M(SHED_ROWS, "shed_rows")                                                                      \
    M(REJECTED_ROWS, "rejected_rows")                                                              \
    M(LOST_ROWS, "lost_rows")
#define TOP_MODEL_ID(ID, NAME) TOP_##ID,
enum top_number { TOP_MODEL_TABLE(TOP_MODEL_ID) TOP_NUMBERS };

struct top_ring { /* at i % TOP_MODEL_SAMPLES the i-th second's; NaN: none */
    float value[TOP_MODEL_SAMPLES];
};

struct top_process {
    char name[64];
    int kind; /* enum process_kind; -1: none that we know */
    enum roster_state state;
    double seconds;   /* in that state */
    double rate;      /* rows per second; of the broker frames */
    double cpu_ratio; /* of one core */
    double memory_bytes, restarts;
    struct top_ring rates;
};

struct top_sae {
    char name[136]; /* "main/topk" */
    double loss, fve, l0, dead_ratio;
    struct top_ring losses;
};

struct top_error {
    char process[64], text[TOP_MODEL_TEXT_BYTES];
    double seconds_ago;
};

struct top_model {
    char stream[128], bottleneck[32], advice[TOP_MODEL_TEXT_BYTES]; /* "": not known */
    double number[TOP_NUMBERS];
    struct top_ring ring[TOP_NUMBERS];
    struct top_process process[ROSTER_MAX];
    struct top_sae sae[TOP_MODEL_SAES];
    struct top_error error[TOP_MODEL_ERRORS];
    int processes, saes, errors, has_errors; /* has_errors: the broker tells them */
    int left_out;                            /* SAEs and processes that had no room */
    long samples;          /* seconds that are in the rings, those that were overwritten, too */
    double silent_seconds; /* since the broker last answered */
    int has_answered;      /* it has, once */
};

/* One on the heap, which knows nothing yet; free() it. NULL without memory. */
struct top_model *top_model_new(const char *stream);

/* A second later: take in what the broker says; NULL: it didn't answer. `config` as of
 * roster_read(). */
void top_model_take(struct top_model *model, const struct config *config, const json_t *status,
                    double seconds);

/* The last `count` columns of a ring, `per` seconds each, their mean, the newest last; NaN: none. */
void top_model_columns(const struct top_model *model, const struct top_ring *ring, int per,
                       int count, double *column);

#endif
