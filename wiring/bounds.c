#include "wiring/bounds.h"

#include "proto/message.h"

enum {
    USUAL_SLAB_BYTES = 256 << 10,
    IDENTITY_BYTES = 64,
    HELD_ROW_BYTES = 128, /* its identity and its place in the corpus */
    PROCESS_BYTES = 24 << 20
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Of a slab: as configured, else what buffer/store_size.c may choose. */
static uint64_t slab_bytes(const struct config *c)
{
    if (c->sink.slab_bytes) return c->sink.slab_bytes;
    uint64_t widest =
        (uint64_t)BOUNDS_LEAST_ROWS * (ROW_MAX_WIDTH * sizeof(float) + IDENTITY_BYTES);
    return most(USUAL_SLAB_BYTES, least(c->sink.size_bytes / BOUNDS_LEAST_SLABS, widest));
}

uint64_t bounds_frame_bytes(const struct config *c)
{
    return MESSAGE_HEADER_BYTES + slab_bytes(c);
}

uint64_t bounds_message_bytes(const struct config *c)
{
    return MESSAGE_HEADER_BYTES + most(slab_bytes(c), MESSAGE_MAX_TEXT_BYTES);
}

uint32_t bounds_peers(const struct config *c)
{
    return 2 * (c->capture.producers + c->trainer.consumers.count) + BOUNDS_STRANGERS;
}

/* A WELCOME's descriptor: a number for each value of a row, beside hooks and names. */
static uint64_t descriptor_bytes(uint32_t width)
{
    return least(MESSAGE_MAX_TEXT_BYTES, MESSAGE_MAX_HELLO_BYTES + (uint64_t)20 * width);
}

/* What credit lets all producers have under way, acked or not. */
static uint64_t window_bytes(const struct config *c, uint64_t slab)
{
    uint64_t frames = (uint64_t)c->capture.producers * c->sink.window_slabs;
    return frames * (slab + MESSAGE_HEADER_BYTES);
}

uint64_t bounds_broker_bytes(const struct config *c, uint32_t width)
{
    uint64_t peers = bounds_peers(c);
    /* Beside what was read ahead, ZeroMQ reads one more and one is being looked at. */
    uint64_t in = peers * (BOUNDS_READ_AHEAD + 1) * bounds_message_bytes(c);
    uint64_t back = BOUNDS_SINKS * (BOUNDS_READ_AHEAD + 1) *
                    ((uint64_t)MESSAGE_HEADER_BYTES + MESSAGE_MAX_TEXT_BYTES);
    uint64_t out = peers * BOUNDS_ANSWERS * most(MESSAGE_MAX_TELL_BYTES, descriptor_bytes(width));
    return PROCESS_BYTES + in + out + window_bytes(c, slab_bytes(c)) + back +
           2 * MESSAGE_MAX_TELL_BYTES + MESSAGE_KEPT_REPORTS_BYTES;
}

uint64_t bounds_sink_bytes(const struct config *c, uint64_t slab)
{
    /* What the broker lets through of a producer: a HELLO, a DESCRIBE and some PINGs each second,
     * until a silent sink is taken off after 15 seconds. */
    uint64_t said = 15 * (bounds_peers(c) * (uint64_t)MESSAGE_MAX_HELLO_BYTES +
                          c->capture.producers * (uint64_t)MESSAGE_MAX_TEXT_BYTES);
    return PROCESS_BYTES + window_bytes(c, slab) + said + 2 * slab;
}

/* Contexts are known in advance where a model reads them; elsewhere a sequence has any length. */
static uint64_t measured_bytes(const struct config *c, uint32_t width)
{
    uint64_t contexts = (uint64_t)c->capture.measure_contexts + c->capture.batch_contexts;
    uint64_t row = (uint64_t)width * sizeof(float) + HELD_ROW_BYTES;
    if (c->capture.engine != CONFIG_LLAMA) return BOUNDS_MEASURED_BYTES;
    return least(BOUNDS_MEASURED_BYTES, contexts * c->capture.context_tokens * row);
}

uint64_t bounds_capture_bytes(const struct config *c, uint32_t width, uint64_t slab)
{
    return PROCESS_BYTES + measured_bytes(c, width) + c->capture.retained_bytes + 4 * slab +
           MESSAGE_MAX_TEXT_BYTES;
}
