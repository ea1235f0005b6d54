/*
 * libFuzzer: whatever arrives as a frame. The first byte says what the fuzzer is spared from
 * guessing: bit 0 puts a good magic, version and checksum on the header, bit 1 good checksums of
 * the payload as sent, so that what lies behind the checks is reached as well; the rest is the
 * frame. A frame that is taken must come back from the codec as it was, sealed and unpacked again.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/bytes.h"
#include "proto/frame.h"
#include "proto/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER_SPARED = 1, PAYLOAD_SPARED = 2 };

static void need(int good)
{
    if (!good) abort();
}

static void spare(uint8_t what, uint8_t *frame, size_t size)
{
    if (size < FRAME_HEADER_BYTES || !(what & HEADER_SPARED)) return;
    memcpy(frame, "SLFR\1\0\0\1", 8);
    if (what & PAYLOAD_SPARED) {
        put_le32(frame + 60, (uint32_t)(size - FRAME_HEADER_BYTES));
        put_le64(frame + 184, XXH3_64bits(frame + FRAME_HEADER_BYTES, size - FRAME_HEADER_BYTES));
    }
    put_le64(frame + 248, XXH3_64bits(frame, 248));
}

static void read_all(const struct frame_header *h, const uint8_t *raw)
{
    float *row = malloc(h->width * sizeof *row);
    uint64_t sum = 0;
    for (uint32_t r = 0; r < h->rows; r++) {
        sum += rows_id(raw, r).sequence;
        rows_values(h->dtype, h->rows, h->width, raw, r, row);
    }
    int finite = rows_raw_finite(h->dtype, h->rows, h->width, raw);
    for (uint32_t d = 0; finite && d < h->width; d++) need(row[d] - row[d] == 0);
    (void)sum;
    free(row);
}

static void seal_again(const struct frame_header *h, const uint8_t *raw, uint8_t *scratch)
{
    struct frame_header again = *h;
    uint8_t *packed = malloc(frame_packed_bound(h->raw_bytes)), *back = malloc(h->raw_bytes);
    need(frame_seal(&again, raw, packed, scratch) == 0);
    need(again.raw_hash == h->raw_hash || h->codec == CODEC_NONE);
    need(frame_check_payload(&again, packed, again.packed_bytes) == 0);
    need(frame_unpack(&again, packed, back, scratch) == 0);
    need(memcmp(back, raw, h->raw_bytes) == 0);
    free(back);
    free(packed);
}

static void receive(const uint8_t *frame, size_t size)
{
    struct frame_header h;
    uint8_t header[FRAME_HEADER_BYTES];
    const uint8_t *payload = frame + FRAME_HEADER_BYTES;
    if (frame_decode(frame, size, &h)) return;
    frame_encode(&h, header);
    need(memcmp(header, frame, sizeof header) == 0);
    need(h.raw_bytes <= FRAME_MAX_RAW_BYTES && h.packed_bytes <= h.raw_bytes);
    if (frame_check_payload(&h, payload, size - FRAME_HEADER_BYTES)) return;
    uint8_t *raw = calloc(1, h.raw_bytes), *scratch = malloc(frame_scratch_bytes(h.raw_bytes));
    int taken = frame_unpack(&h, payload, raw, scratch) == 0;
    read_all(&h, raw);
    if (taken) seal_again(&h, raw, scratch);
    free(scratch);
    free(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    uint8_t *frame = malloc(size > 1 ? size - 1 : 1); /* a sanitizer sees a byte too far */
    memcpy(frame, data + 1, size - 1);
    spare(data[0], frame, size - 1);
    receive(frame, size - 1);
    free(frame);
    return 0;
}
