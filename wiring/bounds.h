/*
 * What a pipeline's processes take at most, by its configuration. Of the broker: so many connections,
 * and of each so many messages of such a size. They keep to it, and `sluice check` tells it.
 */
#ifndef SLUICE_WIRING_BOUNDS_H
#define SLUICE_WIRING_BOUNDS_H

#include "config/config.h"

enum {
    BOUNDS_READ_AHEAD = 4,   /* messages of a connection that wait in the broker */
    BOUNDS_ANSWERS = 16,     /* messages to a connection that does not read */
    BOUNDS_LEAST_SLABS = 64, /* of a buffer, and rows of a slab: STORE_LEAST_* */
    BOUNDS_LEAST_ROWS = 16,
    BOUNDS_SINKS = 8, /* connections at the back: a sink, its next life, and some */
    BOUNDS_MEASURED_BYTES = 256 << 20, /* of the rows that a capture measures, and of one batch */
    BOUNDS_STRANGERS = 16, /* connections beside those of the processes and their next lives */
    BOUNDS_HISTORY_BYTES = 32 << 20, /* of the file in which the broker keeps what happened */
    BOUNDS_CURVES_BYTES = 24 << 20, /* of an autoencoder, both kinds, after a month (test_curves) */
};

/* A frame as large as a slab can be. */
uint64_t bounds_frame_bytes(const struct config *config);
/* A message from a producer: of a frame as large as a slab can be, or of a descriptor. */
uint64_t bounds_message_bytes(const struct config *config);
/* Connections at the front. */
uint32_t bounds_peers(const struct config *config);
/* Memory of a process, in all but pages of mapped files, whatever its peers send: of the broker
 * while every connection floods it, with rows of `width` values; of the sink, with slabs of
 * `slab_bytes`; of a capture beside the model and what the engine computes in, with the rows that it
 * measures and keeps till they are streamed. */
uint64_t bounds_broker_bytes(const struct config *config, uint32_t width);
uint64_t bounds_sink_bytes(const struct config *config, uint64_t slab_bytes);
uint64_t bounds_capture_bytes(const struct config *config, uint32_t width, uint64_t slab_bytes);

#endif
