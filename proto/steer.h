/*
 * What a tap steers by: one file, made by `sluice tap set --steer` out of an SAE, read by the tap in
 * somebody's program. It holds what is needed and no more, so that no SAE is opened there, no JSON
 * parsed and no BLAS loaded.
 *
 * A clamp holds feature i at the value c, the error kept: x + (c - f_i(x)) d_i, with d_i the direction
 * (inspect/clamp.h). f_i(x) goes by the rule, with y = w_i . x + b_i (what an SAE takes off x is in b):
 *   STEER_LARGEST  y where it is above 0 and among the k largest of the row (ties to the lower index)
 *   STEER_ABOVE    y where it is above the feature's threshold
 *   STEER_GATED    max(0, scale_i y + magnitude_i) where y is above 0
 * An addition holds nothing: x + c d_i.
 */
#ifndef SLUICE_PROTO_STEER_H
#define SLUICE_PROTO_STEER_H

#include "base/row.h"

#include <stddef.h>
#include <stdint.h>

enum { STEER_VERSION = 1, STEER_MOST = 64, STEER_MOST_FEATURES = 1 << 24 };
#define STEER_MAGIC     "SLUICEST"
#define STEER_MAX_BYTES (UINT64_C(1) << 38)

enum steer_rule { STEER_ADD, STEER_LARGEST, STEER_ABOVE, STEER_GATED };

struct steer_clamp {
    uint32_t feature;
    uint32_t encoder; /* which encoder row is its own */
    float value;      /* that it is held at, or that is added */
    float times;      /* of its largest activation, for people; NaN: it was told as a value */
};

/* At the beginning of the file; floats follow: w (encoders, width), b (encoders), threshold (encoders),
 * scale (encoders), magnitude (encoders), directions (clamps, width). */
struct steer_facts {
    char magic[8];
    uint32_t version;
    uint32_t rule; /* enum steer_rule */
    uint32_t width, encoders, clamps, k;
    uint32_t steers_special,
        steers_first;    /* tokens that the SAE was not trained on are steered, too */
    double limit;        /* rows with a larger norm are left as they are; 0: no limit */
    uint64_t setting;    /* a hash of all of it; never 0 */
    char hook[64];       /* resid_post.15 */
    char node[64];       /* llama.cpp's name: l_out-15 */
    char sae[256];       /* for people */
    char features[1024]; /* as they were told: "123=4x,77=-2x" */
    struct steer_clamp clamp[STEER_MOST];
};

/* Where its arrays lie in memory. */
struct steer_table {
    struct steer_facts *facts;
    float *w, *b, *threshold, *scale, *magnitude, *directions;
};

/* Bytes of a table of these facts. */
uint64_t steer_bytes(const struct steer_facts *facts);
/* Find the arrays of the table at `data`, whose facts are in order. */
void steer_lay(void *data, struct steer_table *table);
/* Whether `data` (aligned as from malloc) is a table, and lay it. ERR_FORMAT, ERR_VERSION. */
int steer_check(void *data, size_t bytes, struct steer_table *table);

#endif
