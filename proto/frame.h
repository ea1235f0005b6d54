/*
 * A frame: many rows of one stream from one producer, with a number. PROTOCOL.md is the byte-exact
 * document; this file follows it.
 *
 *     header (FRAME_HEADER_BYTES, little-endian) | payload (packed_bytes)
 *
 * The payload, unpacked ("raw"), is: row identities (rows x 16 bytes), then, for int8 only, one
 * float32 scale per dimension (width x 4 bytes), then the activations (rows x width values of
 * dtype).
 */
#ifndef SLUICE_PROTO_FRAME_H
#define SLUICE_PROTO_FRAME_H

#include "base/row.h"

#include <stddef.h>
#include <stdint.h>

enum codec { CODEC_NONE = 0, CODEC_LZ4 = 1 };

enum {
    FRAME_HEADER_BYTES = 256,
    FRAME_MAX_RAW_BYTES = 64 << 20, /* bound on raw and packed lengths */
    FRAME_MAX_ROWS = 1 << 20,
};

struct frame_totals {       /* running totals of the producer's epoch, this frame included */
    uint64_t captured_rows; /* that passed the filters */
    uint64_t shed_rows;     /* dropped by the shed policy */
    uint64_t rejected_rows; /* not finite */
    uint64_t filtered_rows; /* left out by the filters (special tokens, attention sinks) */
};

struct frame_header {
    uint64_t stream;   /* hash of the stream's name and run (message.h: stream_key) */
    uint64_t session;  /* the session it is sent in */
    uint64_t number;   /* 1, 2, 3, ... for each producer, across its epochs */
    uint32_t producer; /* index of the producer in the stream's share, 0-based */
    uint32_t epoch;
    struct cursor begin; /* of the frame's first row */
    struct cursor end;   /* of the row after the frame's last */
    struct frame_totals totals;
    uint32_t rows;
    uint32_t width; /* values per row, over all hooks */
    uint8_t dtype;  /* enum dtype */
    uint8_t codec;  /* enum codec */
    uint32_t raw_bytes;
    uint32_t packed_bytes;
    uint64_t captured_ns;     /* CLOCK_REALTIME when the frame's last row was captured */
    uint64_t identities_hash; /* XXH3-64 of the raw identities */
    uint64_t raw_hash;        /* XXH3-64 of the raw payload: becomes the slab's checksum */
    uint64_t packed_hash;     /* XXH3-64 of the payload as sent */
};

/* Raw payload bytes of a frame; 0 where the combination is out of bounds or the dtype unknown. */
size_t frame_raw_bytes(uint32_t rows, uint32_t width, uint8_t dtype);

/* Most rows whose raw payload fits in `limit_bytes`; 0 if not one does. */
uint32_t frame_rows_within(size_t limit_bytes, uint32_t width, uint8_t dtype);

/* Write the header, its checksum included, into out[FRAME_HEADER_BYTES]. The caller has filled in
 * the hashes (frame_seal does that). Never fails. */
void frame_encode(const struct frame_header *h, uint8_t *out);

/* Read and check a header out of `size` bytes: magic, version, checksum first; then every length
 * and enumeration against its bound and against each other. The payload is not touched.
 * ERR_FORMAT, ERR_CHECKSUM, ERR_VERSION, ERR_LIMIT. */
int frame_decode(const uint8_t *data, size_t size, struct frame_header *h);

/* Check that `payload` is the one that `h` was sealed with. ERR_CHECKSUM. */
int frame_check_payload(const struct frame_header *h, const void *payload, size_t size);

/* Unpack a payload that frame_check_payload() has passed into raw[h->raw_bytes]. For CODEC_NONE
 * that is a plain copy, since the raw checksum is the payload's. `scratch` holds
 * frame_scratch_bytes() (NULL will do for CODEC_NONE). Checks what comes out, and the identities in
 * it, against the header's checksums. ERR_CHECKSUM, ERR_FORMAT; raw[] is garbage then. */
int frame_unpack(const struct frame_header *h, const void *payload, void *raw, void *scratch);

/* Pack the raw payload of h->rows rows into packed (room for frame_packed_bound(raw bytes)) with
 * h->codec, and fill in raw_bytes, packed_bytes and all three payload hashes. With CODEC_NONE
 * `packed` may equal `raw`. Where lz4 does not shrink a frame, the codec of that frame becomes
 * CODEC_NONE. `scratch` holds frame_scratch_bytes(raw bytes), NULL will do for CODEC_NONE.
 * ERR_LIMIT: rows, width and dtype are beyond bounds. */
int frame_seal(struct frame_header *h, const void *raw, void *packed, void *scratch);
/* Bytes that frame_seal() may write to `packed`, and that it and frame_unpack() need as scratch. */
size_t frame_packed_bound(size_t raw_bytes);
size_t frame_scratch_bytes(size_t raw_bytes);

#endif
