/*
 * What limits a pipeline, in a sentence that ends in what to do about it. It names keys of the
 * configuration only where a change of them helps: no more threads than there are processors.
 * No sockets, no clock.
 */
#ifndef SLUICE_BROKER_ADVICE_H
#define SLUICE_BROKER_ADVICE_H

#include "broker/overview.h"
#include "config/config.h"

#include <stddef.h>

enum { ADVICE_BYTES = 512 };

/* What of the configuration the advice depends on. */
struct advice_setup {
    enum config_engine engine;
    enum config_policy policy;
    uint32_t processors; /* that this host has for us */
    uint32_t capture_threads, trainer_threads;
    uint32_t reuse, saes;
    uint64_t min_rows;      /* 0: half of the buffer */
    int is_fast_disk_asked; /* sink.durability: power */
};

struct advice_setup advice_setup_of(const struct config *config);

/* The sentence for a bottleneck as status_bottleneck() names it (NULL: it is not known) into
 * out[bytes]: "" where there is nothing to say. */
void advice_write(const struct advice_setup *setup, const struct overview *overview,
                  const char *bottleneck, char *out, size_t bytes);

#endif
