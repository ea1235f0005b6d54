/*
 * What a pipeline's broker takes at most, by its configuration: so many connections, and of each so
 * many messages of such a size. The broker keeps to it, and `sluice check` tells it.
 */
#ifndef SLUICE_WIRING_BOUNDS_H
#define SLUICE_WIRING_BOUNDS_H

#include "config/config.h"

enum {
    BOUNDS_READ_AHEAD = 4,   /* messages of a connection that wait in the broker */
    BOUNDS_ANSWERS = 256,    /* messages to a connection that does not read */
    BOUNDS_LEAST_SLABS = 64, /* of a buffer, and rows of a slab: STORE_LEAST_* */
    BOUNDS_LEAST_ROWS = 16,
    BOUNDS_STRANGERS = 16, /* connections beside those of the processes and their next lives */
};

/* A message from a producer: of a frame as large as a slab can be, or of a descriptor. */
uint64_t bounds_message_bytes(const struct config *config);
/* Connections at one side. */
uint32_t bounds_peers(const struct config *config);
/* Memory of a broker while every connection floods it, in all. */
uint64_t bounds_broker_bytes(const struct config *config);

#endif
