/* What `sluice tap set --steer` tells, as a table for the tap. */
#ifndef SLUICE_CLI_TAP_STEER_H
#define SLUICE_CLI_TAP_STEER_H

#include "runtime/options.h"

#include <stddef.h>

/* Of --steer FEATURES, "off": a table in a file of this user's alone, its path in path[bytes]; "": nothing is
 * to be steered, or nothing was told of it. The caller removes the file. Errors as below, and of the disk. */
int tap_steer_write(const struct options *options, char *path, size_t bytes);

/* The options of both commands. */
#define TAP_STEER_OPTIONS                                                                          \
    {"steer", "FEATURES",                                                                          \
     "hold features of --sae at a value in all requests: FEATURE=TIMESx, as 123=4x, or a "         \
     "value, as 123=30, divided by commas; off: no more"},                                         \
        {"sae", "SAE",                                                                             \
         "the autoencoder: a run, or a folder as SAELens or sparsify save one; RUN#NAME"},         \
        {"index", "DIR...",                                                                        \
         "its feature index, which tells the largest activations (sluice inspect)"},               \
        {"max", "LIST", "largest activations: FEATURE=ACTIVATION, divided by commas"},             \
        {"additive", NULL, "add the value in place of holding the feature at it"},                 \
        {"every-token", NULL,                                                                      \
         "steer position 0, special tokens and rows beyond the norm limit, too"},                  \
    {                                                                                              \
        "keep-steered", NULL,                                                                      \
            "capture sequences that are steered; else they are left out and counted"               \
    }

#endif
