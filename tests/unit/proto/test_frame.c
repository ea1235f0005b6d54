/* Frames: round trips, bounds, and that nothing changed on the way is ever taken for good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/err.h"
#include "base/rng.h"
#include "proto/bytes.h"
#include "proto/frame.h"
#include "proto/rows.h"

static const uint8_t dtypes[] = {DTYPE_F32, DTYPE_BF16, DTYPE_INT8};
static const uint8_t codecs[] = {CODEC_NONE, CODEC_LZ4};

struct made { /* a frame as it would be sent */
    struct frame_header header;
    uint8_t *raw;
    uint8_t *bytes; /* header and payload */
    size_t size;
};

static struct rng rng;

/* Rows that lz4 can do something with: small normal values about a mean for each dimension. */
static void make(struct made *m, uint32_t rows, uint32_t width, uint8_t dtype, uint8_t codec)
{
    struct row_id *ids = malloc(rows * sizeof *ids);
    float *values = malloc((size_t)rows * width * sizeof *values);
    for (uint32_t r = 0; r < rows; r++) {
        ids[r] = (struct row_id){7 + r / 3, r % 3, (uint32_t)rng_below(&rng, 50000)};
        for (uint32_t d = 0; d < width; d++)
            values[(size_t)r * width + d] = (float)(d % 5 + rng_normal(&rng));
    }
    memset(m, 0, sizeof *m);
    m->header = (struct frame_header){
        .stream = 0x1122334455667788u,
        .session = 42,
        .number = 9,
        .producer = 3,
        .epoch = 2,
        .begin = {.document = 1, .offset = 2, .sequence = 7, .position = 4},
        .end = {.document = 5, .offset = 6, .sequence = 8, .position = 1},
        .totals = {.captured_rows = 10, .shed_rows = 20, .rejected_rows = 30, .filtered_rows = 40},
        .rows = rows,
        .width = width,
        .dtype = dtype,
        .codec = codec,
        .captured_ns = 1234567890123456789u,
    };
    size_t raw_bytes = frame_raw_bytes(rows, width, dtype);
    m->raw = malloc(raw_bytes);
    m->bytes = malloc(FRAME_HEADER_BYTES + frame_packed_bound(raw_bytes));
    void *scratch = malloc(frame_scratch_bytes(raw_bytes));
    rows_to_raw(dtype, rows, width, ids, values, m->raw);
    assert_int_equal(frame_seal(&m->header, m->raw, m->bytes + FRAME_HEADER_BYTES, scratch),
                     ERR_OK);
    frame_encode(&m->header, m->bytes);
    m->size = FRAME_HEADER_BYTES + (size_t)m->header.packed_bytes;
    free(scratch);
    free(values);
    free(ids);
}

static void drop(struct made *m)
{
    free(m->raw);
    free(m->bytes);
}

/* What a receiver does. The blocks are of the exact size, so that a sanitizer sees a byte too
 * far. */
static int receive(const uint8_t *data, size_t size, struct frame_header *h, uint8_t **raw)
{
    *raw = NULL;
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, data, size);
    int err = frame_decode(exact, size, h);
    if (!err) err = frame_check_payload(h, exact + FRAME_HEADER_BYTES, size - FRAME_HEADER_BYTES);
    if (!err) {
        void *scratch = malloc(frame_scratch_bytes(h->raw_bytes));
        *raw = malloc(h->raw_bytes);
        err = frame_unpack(h, exact + FRAME_HEADER_BYTES, *raw, scratch);
        free(scratch);
    }
    free(exact);
    return err;
}

static void assert_same(const struct frame_header *a, const struct frame_header *b)
{
    uint8_t one[FRAME_HEADER_BYTES], other[FRAME_HEADER_BYTES];
    frame_encode(a, one);
    frame_encode(b, other);
    assert_memory_equal(one, other, sizeof one);
}

static int refused(const uint8_t *data, size_t size)
{
    struct frame_header h;
    uint8_t *raw;
    int err = receive(data, size, &h, &raw);
    free(raw);
    return err;
}

static void round_trips_of_every_dtype_codec_and_odd_shape(void **state)
{
    (void)state;
    static const uint32_t shapes[][2] = {{1, 1},  {1, 576}, {2, 3},    {7, 8},    {64, 1},
                                         {65, 9}, {13, 65}, {224, 64}, {3, 1025}, {100, 577}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (size_t t = 0; t < sizeof dtypes; t++)
            for (size_t c = 0; c < sizeof codecs; c++) {
                struct made m;
                struct frame_header h;
                uint8_t *raw;
                make(&m, shapes[s][0], shapes[s][1], dtypes[t], codecs[c]);
                assert_int_equal(receive(m.bytes, m.size, &h, &raw), ERR_OK);
                assert_same(&h, &m.header);
                assert_memory_equal(raw, m.raw, h.raw_bytes);
                free(raw);
                drop(&m);
            }
}

static void sealing_in_place_without_codec(void **state)
{
    (void)state;
    struct made m;
    make(&m, 5, 6, DTYPE_BF16, CODEC_NONE);
    struct frame_header h = m.header;
    h.raw_bytes = h.packed_bytes = 0;
    h.raw_hash = h.packed_hash = h.identities_hash = 0;
    assert_int_equal(frame_seal(&h, m.raw, m.raw, NULL), ERR_OK);
    assert_same(&h, &m.header);
    assert_int_equal(frame_unpack(&h, m.raw, m.bytes, NULL), ERR_OK);
    assert_memory_equal(m.bytes, m.raw, h.raw_bytes);
    drop(&m);
}

static void lz4_shrinks_normal_bf16_rows_by_a_quarter_and_more(void **state)
{
    (void)state;
    struct made m;
    make(&m, 224, 576, DTYPE_BF16, CODEC_LZ4);
    assert_int_equal(m.header.codec, CODEC_LZ4);
    assert_true(m.header.packed_bytes < m.header.raw_bytes * 3 / 4);
    drop(&m);
    make(&m, 100, 576, DTYPE_F32, CODEC_LZ4);
    assert_true(m.header.packed_bytes < m.header.raw_bytes * 9 / 10);
    drop(&m);
}

static void what_does_not_shrink_goes_without_codec(void **state)
{
    (void)state;
    struct made m;
    make(&m, 1, 576, DTYPE_F32, CODEC_LZ4);
    assert_int_equal(m.header.codec, CODEC_NONE);
    assert_int_equal(m.header.packed_bytes, m.header.raw_bytes);
    drop(&m);
}

static void every_truncation_and_extension_is_refused(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof dtypes; t++)
        for (size_t c = 0; c < sizeof codecs; c++) {
            struct made m;
            make(&m, 24, 16, dtypes[t], codecs[c]);
            for (size_t size = 0; size < m.size; size++)
                assert_int_not_equal(refused(m.bytes, size), ERR_OK);
            uint8_t *longer = calloc(1, m.size + 1);
            memcpy(longer, m.bytes, m.size);
            assert_int_equal(refused(longer, m.size + 1), ERR_FORMAT);
            free(longer);
            drop(&m);
        }
}

static void every_bit_flip_is_refused(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof dtypes; t++)
        for (size_t c = 0; c < sizeof codecs; c++) {
            struct made m;
            make(&m, 24, 16, dtypes[t], codecs[c]);
            for (size_t bit = 0; bit < 8 * m.size; bit++) {
                m.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_int_not_equal(refused(m.bytes, m.size), ERR_OK);
                m.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            }
            assert_int_equal(refused(m.bytes, m.size), ERR_OK);
            drop(&m);
        }
}

/* A packer that is wrong, but sends what it says: the checksum of the payload as sent is good. */
static void an_lz4_payload_that_unpacks_to_other_bytes_is_refused(void **state)
{
    (void)state;
    struct made m;
    make(&m, 24, 16, DTYPE_BF16, CODEC_LZ4);
    assert_int_equal(m.header.codec, CODEC_LZ4);
    uint8_t *payload = m.bytes + FRAME_HEADER_BYTES;
    uint8_t *raw = malloc(m.header.raw_bytes);
    void *scratch = malloc(frame_scratch_bytes(m.header.raw_bytes));
    size_t wrong = 0;
    for (size_t bit = 0; bit < 8 * (size_t)m.header.packed_bytes; bit++) {
        payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int err = frame_unpack(&m.header, payload, raw, scratch);
        if (err == ERR_CHECKSUM) wrong++;
        if (!err) assert_memory_equal(raw, m.raw, m.header.raw_bytes);
        payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(wrong > m.header.packed_bytes); /* most flips decode: lz4 itself sees nothing */
    free(scratch);
    free(raw);
    drop(&m);
}

static void identities_that_are_not_those_of_the_header_are_refused(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof codecs; c++) {
        struct made m;
        make(&m, 24, 16, DTYPE_BF16, codecs[c]);
        m.header.identities_hash ^= 1;
        frame_encode(&m.header, m.bytes);
        assert_int_equal(refused(m.bytes, m.size), ERR_CHECKSUM);
        drop(&m);
    }
}

/* Change bytes of a header as a sender of our version, but with other ideas, would write them. */
static int with_le(const struct made *m, size_t at, size_t bytes, uint64_t value)
{
    uint8_t header[FRAME_HEADER_BYTES];
    struct frame_header h;
    memcpy(header, m->bytes, sizeof header);
    for (size_t i = 0; i < bytes; i++) header[at + i] = (uint8_t)(value >> 8 * i);
    put_le64(header + 248, XXH3_64bits(header, 248));
    return frame_decode(header, sizeof header, &h);
}

static void unknown_versions_types_and_flags_are_refused(void **state)
{
    (void)state;
    struct made m;
    make(&m, 24, 16, DTYPE_BF16, CODEC_LZ4);
    assert_int_equal(with_le(&m, 0, 1, 'S'), ERR_OK);
    assert_int_equal(with_le(&m, 0, 1, 's'), ERR_FORMAT);
    assert_int_equal(with_le(&m, 4, 2, 0), ERR_VERSION);
    assert_int_equal(with_le(&m, 4, 2, 2), ERR_VERSION);
    assert_int_equal(with_le(&m, 6, 2, 264), ERR_FORMAT);
    for (int bit = 0; bit < 32; bit++) assert_int_equal(with_le(&m, 8, 4, 1u << bit), ERR_VERSION);
    for (unsigned dtype = 0; dtype < 256; dtype++)
        if (dtype < DTYPE_F32 || dtype > DTYPE_INT8)
            assert_int_equal(with_le(&m, 52, 1, dtype), ERR_VERSION);
    for (unsigned codec = CODEC_LZ4 + 1; codec < 256; codec++)
        assert_int_equal(with_le(&m, 53, 1, codec), ERR_VERSION);
    drop(&m);
}

static void reserved_bytes_must_be_zero(void **state)
{
    (void)state;
    struct made m;
    make(&m, 24, 16, DTYPE_BF16, CODEC_LZ4);
    for (size_t at = 0; at < FRAME_HEADER_BYTES - 8; at++) {
        int reserved =
            (at >= 54 && at < 56) || (at >= 92 && at < 96) || (at >= 124 && at < 128) || at >= 192;
        if (reserved) assert_int_equal(with_le(&m, at, 1, 1), ERR_VERSION);
    }
    drop(&m);
}

/* Refused by the header alone, before anyone could allocate by it. */
static void lengths_beyond_bounds_or_at_odds_are_refused(void **state)
{
    (void)state;
    struct made m;
    make(&m, 24, 16, DTYPE_BF16, CODEC_LZ4);
    assert_int_equal(with_le(&m, 32, 8, 0), ERR_FORMAT); /* number */
    static const uint64_t rows[] = {0, FRAME_MAX_ROWS + 1, 0xffffffffu};
    static const uint64_t widths[] = {0, ROW_MAX_WIDTH + 1, 0xffffffffu};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(with_le(&m, 44, 4, rows[i]), ERR_LIMIT);
        assert_int_equal(with_le(&m, 48, 4, widths[i]), ERR_LIMIT);
    }
    assert_int_equal(with_le(&m, 44, 4, 25), ERR_FORMAT);
    assert_int_equal(with_le(&m, 48, 4, 17), ERR_FORMAT);
    uint32_t raw = m.header.raw_bytes;
    static const int by[] = {-1, 1};
    for (int i = 0; i < 2; i++)
        assert_int_equal(with_le(&m, 56, 4, raw + (uint32_t)by[i]), ERR_FORMAT);
    assert_int_equal(with_le(&m, 56, 4, 0xffffffffu), ERR_FORMAT);
    assert_int_equal(with_le(&m, 60, 4, 0), ERR_LIMIT);
    assert_int_equal(with_le(&m, 60, 4, raw), ERR_LIMIT);
    assert_int_equal(with_le(&m, 60, 4, 0xffffffffu), ERR_LIMIT);
    drop(&m);
    make(&m, 24, 16, DTYPE_BF16, CODEC_NONE);
    assert_int_equal(with_le(&m, 60, 4, raw - 1), ERR_FORMAT);
    assert_int_equal(with_le(&m, 60, 4, raw + 1), ERR_FORMAT);
    assert_int_equal(with_le(&m, 184, 8, m.header.packed_hash ^ 1), ERR_FORMAT);
    drop(&m);
}

static void a_payload_of_another_length_is_refused(void **state)
{
    (void)state;
    struct made m;
    make(&m, 24, 16, DTYPE_BF16, CODEC_NONE);
    const uint8_t *payload = m.bytes + FRAME_HEADER_BYTES;
    uint32_t size = m.header.packed_bytes;
    assert_int_equal(frame_check_payload(&m.header, payload, size), ERR_OK);
    assert_int_equal(frame_check_payload(&m.header, payload, size - 1), ERR_FORMAT);
    assert_int_equal(frame_check_payload(&m.header, payload, 0), ERR_FORMAT);
    drop(&m);
}

/* A block that would grow to 16 MiB, under a header of a few hundred bytes: nothing is written past
 * what the header's rows take. One that ends too soon is refused as well. */
static void a_bomb_unpacks_to_nothing(void **state)
{
    (void)state;
    struct made m;
    make(&m, 24, 16, DTYPE_BF16, CODEC_LZ4);
    size_t scratch_bytes = frame_scratch_bytes(m.header.raw_bytes);
    uint8_t *zeros = calloc(1, 16 << 20), *packed = malloc(1 << 20), *raw = malloc(1 << 20);
    uint8_t *scratch = malloc(scratch_bytes + 64);
    memset(scratch + scratch_bytes, 0x5a, 64);
    for (int size = 16 << 20; size >= 1; size /= 2) {
        int got = LZ4_compress_default((char *)zeros, (char *)packed, size, 1 << 20);
        assert_true(got > 0);
        m.header.packed_bytes = (uint32_t)got;
        m.header.packed_hash = XXH3_64bits(packed, (size_t)got);
        assert_int_equal(frame_unpack(&m.header, packed, raw, scratch), ERR_FORMAT);
        for (int i = 0; i < 64; i++) assert_int_equal(scratch[scratch_bytes + (size_t)i], 0x5a);
    }
    free(zeros);
    free(packed);
    free(raw);
    free(scratch);
    drop(&m);
}

static void raw_bytes_of_a_frame(void **state)
{
    (void)state;
    assert_int_equal(frame_raw_bytes(224, 576, DTYPE_BF16), 224 * (16 + 1152));
    assert_int_equal(frame_raw_bytes(10, 7, DTYPE_F32), 10 * (16 + 28));
    assert_int_equal(frame_raw_bytes(10, 7, DTYPE_INT8), 28 + 10 * (16 + 7));
    assert_int_equal(frame_raw_bytes(0, 7, DTYPE_F32), 0);
    assert_int_equal(frame_raw_bytes(1, 0, DTYPE_F32), 0);
    assert_int_equal(frame_raw_bytes(1, 1, 0), 0);
    assert_int_equal(frame_raw_bytes(1, 1, 4), 0);
    assert_int_equal(frame_raw_bytes(FRAME_MAX_ROWS, 1, DTYPE_INT8), 17 * FRAME_MAX_ROWS + 4);
    assert_int_equal(frame_raw_bytes(FRAME_MAX_ROWS + 1, 1, DTYPE_INT8), 0);
    assert_int_equal(frame_raw_bytes(1, ROW_MAX_WIDTH + 1, DTYPE_INT8), 0);
    assert_int_equal(frame_raw_bytes(FRAME_MAX_ROWS, ROW_MAX_WIDTH, DTYPE_F32), 0);
    assert_true(frame_raw_bytes(127, ROW_MAX_WIDTH, DTYPE_F32) != 0);
    assert_int_equal(frame_raw_bytes(128, ROW_MAX_WIDTH, DTYPE_F32), 0);
}

static void rows_within_is_the_largest_count_that_fits(void **state)
{
    (void)state;
    static const uint32_t widths[] = {1, 7, 576, 4096, ROW_MAX_WIDTH};
    static const size_t limits[] = {0,       1,       100,      4096 - 16 - 128, 262000,
                                    1 << 20, 1 << 26, 1u << 27, SIZE_MAX};
    for (size_t t = 0; t < sizeof dtypes; t++)
        for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++)
            for (size_t l = 0; l < sizeof limits / sizeof limits[0]; l++) {
                uint32_t rows = frame_rows_within(limits[l], widths[w], dtypes[t]);
                size_t more = frame_raw_bytes(rows + 1, widths[w], dtypes[t]);
                if (rows > 0) {
                    assert_true(frame_raw_bytes(rows, widths[w], dtypes[t]) != 0);
                    assert_true(frame_raw_bytes(rows, widths[w], dtypes[t]) <= limits[l]);
                }
                assert_true(more == 0 || more > limits[l]);
            }
    assert_int_equal(frame_rows_within(1 << 20, 576, 0), 0);
    assert_int_equal(frame_rows_within(1 << 20, 0, DTYPE_F32), 0);
}

static void sealing_out_of_bounds_is_refused(void **state)
{
    (void)state;
    struct frame_header h = {.rows = FRAME_MAX_ROWS, .width = 4096, .dtype = DTYPE_F32};
    assert_int_equal(frame_seal(&h, NULL, NULL, NULL), ERR_LIMIT);
}

int main(void)
{
    rng_seed(&rng, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips_of_every_dtype_codec_and_odd_shape),
        cmocka_unit_test(sealing_in_place_without_codec),
        cmocka_unit_test(lz4_shrinks_normal_bf16_rows_by_a_quarter_and_more),
        cmocka_unit_test(what_does_not_shrink_goes_without_codec),
        cmocka_unit_test(every_truncation_and_extension_is_refused),
        cmocka_unit_test(every_bit_flip_is_refused),
        cmocka_unit_test(an_lz4_payload_that_unpacks_to_other_bytes_is_refused),
        cmocka_unit_test(identities_that_are_not_those_of_the_header_are_refused),
        cmocka_unit_test(unknown_versions_types_and_flags_are_refused),
        cmocka_unit_test(reserved_bytes_must_be_zero),
        cmocka_unit_test(lengths_beyond_bounds_or_at_odds_are_refused),
        cmocka_unit_test(a_payload_of_another_length_is_refused),
        cmocka_unit_test(a_bomb_unpacks_to_nothing),
        cmocka_unit_test(raw_bytes_of_a_frame),
        cmocka_unit_test(rows_within_is_the_largest_count_that_fits),
        cmocka_unit_test(sealing_out_of_bounds_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
