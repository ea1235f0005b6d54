#include "proto/frame.h"

#include "base/err.h"
#include "proto/bytes.h"
#include "proto/envelope.h"
#include "proto/planes.h"

#include <lz4.h>
#include <xxhash.h>

/* The header as PROTOCOL.md has it; what stands before and after these fields is the envelope's. */
_Static_assert((int)FRAME_HEADER_BYTES == (int)ENVELOPE_BYTES, "one length for both");
enum {
    AT_FLAGS = 8,
    AT_PRODUCER = 12,
    AT_STREAM = 16,
    AT_SESSION = 24,
    AT_NUMBER = 32,
    AT_EPOCH = 40,
    AT_ROWS = 44,
    AT_WIDTH = 48,
    AT_DTYPE = 52,
    AT_CODEC = 53,
    AT_RESERVED_16 = 54,
    AT_RAW_BYTES = 56,
    AT_PACKED_BYTES = 60,
    AT_BEGIN = 64,
    AT_END = 96,
    AT_TOTALS = 128,
    AT_CAPTURED_NS = 160,
    AT_IDENTITIES_HASH = 168,
    AT_RAW_HASH = 176,
    AT_PACKED_HASH = 184,
    AT_RESERVED = 192,
};

static size_t value_bytes(uint8_t dtype)
{
    switch (dtype) {
    case DTYPE_F32:
        return 4;
    case DTYPE_BF16:
        return 2;
    case DTYPE_INT8:
        return 1;
    default:
        return 0;
    }
}

/* Bytes of the payload that do not grow with the rows: int8's scales. */
static size_t scale_bytes(uint32_t width, uint8_t dtype)
{
    return dtype == DTYPE_INT8 ? 4 * (size_t)width : 0;
}

_Static_assert(ROW_ID_BYTES + 4 * ROW_MAX_WIDTH + 4 * ROW_MAX_WIDTH <= FRAME_MAX_RAW_BYTES,
               "a frame holds one row of any width, and its scales");

size_t frame_raw_bytes(uint32_t rows, uint32_t width, uint8_t dtype)
{
    if (rows == 0 || rows > FRAME_MAX_ROWS || width == 0 || width > ROW_MAX_WIDTH) return 0;
    if (value_bytes(dtype) == 0) return 0;
    uint64_t bytes = scale_bytes(width, dtype) +
                     (uint64_t)rows * (ROW_ID_BYTES + (uint64_t)width * value_bytes(dtype));
    return bytes > FRAME_MAX_RAW_BYTES ? 0 : (size_t)bytes;
}

uint32_t frame_rows_within(size_t limit_bytes, uint32_t width, uint8_t dtype)
{
    if (frame_raw_bytes(1, width, dtype) == 0) return 0;
    if (limit_bytes > FRAME_MAX_RAW_BYTES) limit_bytes = FRAME_MAX_RAW_BYTES;
    size_t fixed = scale_bytes(width, dtype);
    if (limit_bytes < fixed) return 0;
    size_t rows = (limit_bytes - fixed) / (ROW_ID_BYTES + width * value_bytes(dtype));
    return rows > FRAME_MAX_ROWS ? FRAME_MAX_ROWS : (uint32_t)rows;
}

void frame_encode(const struct frame_header *h, uint8_t *out)
{
    envelope_begin(&envelope_frame, out);
    put_le32(out + AT_PRODUCER, h->producer);
    put_le64(out + AT_STREAM, h->stream);
    put_le64(out + AT_SESSION, h->session);
    put_le64(out + AT_NUMBER, h->number);
    put_le32(out + AT_EPOCH, h->epoch);
    put_le32(out + AT_ROWS, h->rows);
    put_le32(out + AT_WIDTH, h->width);
    out[AT_DTYPE] = h->dtype;
    out[AT_CODEC] = h->codec;
    put_le32(out + AT_RAW_BYTES, h->raw_bytes);
    put_le32(out + AT_PACKED_BYTES, h->packed_bytes);
    put_cursor(out + AT_BEGIN, &h->begin);
    put_cursor(out + AT_END, &h->end);
    put_totals(out + AT_TOTALS, &h->totals);
    put_le64(out + AT_CAPTURED_NS, h->captured_ns);
    put_le64(out + AT_IDENTITIES_HASH, h->identities_hash);
    put_le64(out + AT_RAW_HASH, h->raw_hash);
    put_le64(out + AT_PACKED_HASH, h->packed_hash);
    envelope_seal(out);
}

static int check_types(const uint8_t *data)
{
    if (get_le32(data + AT_FLAGS) != 0)
        return err_set(ERR_VERSION, "frame with unknown flags 0x%x", get_le32(data + AT_FLAGS));
    if (value_bytes(data[AT_DTYPE]) == 0)
        return err_set(ERR_VERSION, "frame of unknown dtype %u", data[AT_DTYPE]);
    if (data[AT_CODEC] != CODEC_NONE && data[AT_CODEC] != CODEC_LZ4)
        return err_set(ERR_VERSION, "frame of unknown codec %u", data[AT_CODEC]);
    uint8_t reserved = data[AT_RESERVED_16] | data[AT_RESERVED_16 + 1];
    for (int i = AT_RESERVED; i < ENVELOPE_AT_HASH; i++) reserved |= data[i];
    if (reserved) return err_set(ERR_VERSION, "frame with reserved bytes that are not zero");
    return ERR_OK;
}

static void read_fields(const uint8_t *data, struct frame_header *h)
{
    h->producer = get_le32(data + AT_PRODUCER);
    h->stream = get_le64(data + AT_STREAM);
    h->session = get_le64(data + AT_SESSION);
    h->number = get_le64(data + AT_NUMBER);
    h->epoch = get_le32(data + AT_EPOCH);
    h->rows = get_le32(data + AT_ROWS);
    h->width = get_le32(data + AT_WIDTH);
    h->dtype = data[AT_DTYPE];
    h->codec = data[AT_CODEC];
    h->raw_bytes = get_le32(data + AT_RAW_BYTES);
    h->packed_bytes = get_le32(data + AT_PACKED_BYTES);
    get_cursor(data + AT_BEGIN, &h->begin);
    get_cursor(data + AT_END, &h->end);
    get_totals(data + AT_TOTALS, &h->totals);
    h->captured_ns = get_le64(data + AT_CAPTURED_NS);
    h->identities_hash = get_le64(data + AT_IDENTITIES_HASH);
    h->raw_hash = get_le64(data + AT_RAW_HASH);
    h->packed_hash = get_le64(data + AT_PACKED_HASH);
}

static int check_bounds(const struct frame_header *h)
{
    if (h->number == 0) return err_set(ERR_FORMAT, "frame with number 0; the first is 1");
    if (h->begin.reserved != 0 || h->end.reserved != 0)
        return err_set(ERR_VERSION, "frame whose cursors have reserved bytes that are not zero");
    size_t raw_bytes = frame_raw_bytes(h->rows, h->width, h->dtype);
    if (raw_bytes == 0)
        return err_set(ERR_LIMIT, "frame of %u rows of width %u is beyond bounds", h->rows,
                       h->width);
    if (h->raw_bytes != raw_bytes)
        return err_set(ERR_FORMAT, "frame of %u raw bytes, its rows take %zu", h->raw_bytes,
                       raw_bytes);
    if (h->codec == CODEC_NONE) {
        if (h->packed_bytes != h->raw_bytes || h->packed_hash != h->raw_hash)
            return err_set(ERR_FORMAT, "frame without codec whose payload is not its raw bytes");
    } else if (h->packed_bytes == 0 || h->packed_bytes >= h->raw_bytes) {
        return err_set(ERR_LIMIT, "frame packed to %u bytes of %u", h->packed_bytes, h->raw_bytes);
    }
    return ERR_OK;
}

int frame_decode(const uint8_t *data, size_t size, struct frame_header *h)
{
    int err = envelope_check(&envelope_frame, data, size);
    if (!err) err = check_types(data);
    if (err) return err;
    read_fields(data, h);
    return check_bounds(h);
}

int frame_check_payload(const struct frame_header *h, const void *payload, size_t size)
{
    if (size != h->packed_bytes)
        return err_set(ERR_FORMAT, "payload of %zu bytes, its header says %u", size,
                       h->packed_bytes);
    if (XXH3_64bits(payload, size) != h->packed_hash)
        return err_set(ERR_CHECKSUM, "payload of frame %llu does not match its checksum",
                       (unsigned long long)h->number);
    return ERR_OK;
}

static uint64_t identities_hash(const struct frame_header *h, const void *raw)
{
    return XXH3_64bits(raw, (size_t)h->rows * ROW_ID_BYTES);
}

int frame_unpack(const struct frame_header *h, const void *payload, void *raw, void *scratch)
{
    if (h->codec == CODEC_NONE) {
        memcpy(raw, payload, h->raw_bytes);
    } else {
        size_t bytes = planes_bytes(h->rows, h->width, h->dtype);
        int got = LZ4_decompress_safe(payload, scratch, (int)h->packed_bytes, (int)bytes);
        if (got < 0 || (size_t)got != bytes)
            return err_set(ERR_FORMAT, "payload of frame %llu is not an lz4 block of %zu bytes",
                           (unsigned long long)h->number, bytes);
        planes_join(h->rows, h->width, h->dtype, scratch, raw);
        if (XXH3_64bits(raw, h->raw_bytes) != h->raw_hash)
            return err_set(ERR_CHECKSUM, "frame %llu does not unpack to what was packed",
                           (unsigned long long)h->number);
    }
    if (identities_hash(h, raw) != h->identities_hash)
        return err_set(ERR_CHECKSUM, "identities of frame %llu do not match their checksum",
                       (unsigned long long)h->number);
    return ERR_OK;
}

/* lz4's worst case is a little above its input, but we keep only what is smaller. */
size_t frame_packed_bound(size_t raw_bytes)
{
    return raw_bytes;
}

/* planes_bytes() at most. */
size_t frame_scratch_bytes(size_t raw_bytes)
{
    return 2 * raw_bytes + 64;
}

int frame_seal(struct frame_header *h, const void *raw, void *packed, void *scratch)
{
    size_t raw_bytes = frame_raw_bytes(h->rows, h->width, h->dtype);
    if (raw_bytes == 0)
        return err_set(ERR_LIMIT, "frame of %u rows of width %u and dtype %u is beyond bounds",
                       h->rows, h->width, h->dtype);
    h->raw_bytes = (uint32_t)raw_bytes;
    h->identities_hash = identities_hash(h, raw);
    h->raw_hash = XXH3_64bits(raw, raw_bytes);
    if (h->codec == CODEC_LZ4) {
        planes_split(h->rows, h->width, h->dtype, raw, scratch);
        int got = LZ4_compress_default(
            scratch, packed, (int)planes_bytes(h->rows, h->width, h->dtype), (int)raw_bytes - 1);
        if (got > 0) {
            h->packed_bytes = (uint32_t)got;
            h->packed_hash = XXH3_64bits(packed, (size_t)got);
            return ERR_OK;
        }
        h->codec = CODEC_NONE;
    }
    if (packed != raw) memcpy(packed, raw, raw_bytes);
    h->packed_bytes = h->raw_bytes;
    h->packed_hash = h->raw_hash;
    return ERR_OK;
}
