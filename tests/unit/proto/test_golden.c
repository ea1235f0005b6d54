/*
 * Bytes of every version of the protocol, kept for ever in tests/golden/. What is made here must be
 * those bytes, and those bytes must be read as what is described here.
 *
 *   test_golden                compare (run from the root of the tree)
 *   test_golden --write DIR    write the files of this version; for a new version only, with new
 *                              names: a file that is there already is never changed
 *
 * lz4 may pack the same bytes differently in another release of its library. So of an lz4 payload
 * the golden bytes are unpacked, and the planes in them are compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fileio.h"
#include "proto/bytes.h"
#include "proto/frame.h"
#include "proto/message.h"
#include "proto/planes.h"
#include "proto/rows.h"

enum { ROWS = 24, WIDTH = 19, MAX_BYTES = 8192 };

static const struct {
    const char *name;
    uint8_t dtype, codec;
} frames[] = {
    {"frame-v1-f32-none", DTYPE_F32, CODEC_NONE},   {"frame-v1-f32-lz4", DTYPE_F32, CODEC_LZ4},
    {"frame-v1-bf16-none", DTYPE_BF16, CODEC_NONE}, {"frame-v1-bf16-lz4", DTYPE_BF16, CODEC_LZ4},
    {"frame-v1-int8-none", DTYPE_INT8, CODEC_NONE}, {"frame-v1-int8-lz4", DTYPE_INT8, CODEC_LZ4},
};

#define STREAM  0x0123456789abcdefu
#define SESSION 0xfedcba9876543210u
#define TEXT(t) .text = (t), .text_bytes = sizeof(t) - 1

static const struct {
    const char *name;
    struct message m;
} messages[] = {
    {"message-v1-hello",
     {.type = MESSAGE_HELLO,
      .flags = MESSAGE_SHED,
      .stream = STREAM,
      .producer = 1,
      .share_count = 2,
      .epoch = 3,
      .name = "capture.1",
      TEXT("{\"version\":1}")}},
    {"message-v1-welcome",
     {.type = MESSAGE_WELCOME,
      .flags = MESSAGE_MEASURE | MESSAGE_STOP,
      .stream = STREAM,
      .session = SESSION,
      .producer = 1,
      .epoch = 4,
      .next_number = 1000,
      .credit = 1064,
      .cursor = {.document = 5, .offset = 6, .sequence = 7, .position = 8},
      TEXT("{\"version\":1}")}},
    {"message-v1-describe",
     {.type = MESSAGE_DESCRIBE, .stream = STREAM, .session = SESSION, TEXT("{\"version\":1}")}},
    {"message-v1-state",
     {.type = MESSAGE_STATE,
      .flags = MESSAGE_RESYNC | MESSAGE_ENDED,
      .stream = STREAM,
      .session = SESSION,
      .producer = 1,
      .next_number = 1001,
      .credit = 1065,
      .cursor = {.document = 9, .offset = 10, .sequence = 11, .position = 12}}},
    {"message-v1-end",
     {.type = MESSAGE_END,
      .stream = STREAM,
      .session = SESSION,
      .producer = 1,
      .next_number = 2001,
      .totals = {.captured_rows = 1, .shed_rows = 2, .rejected_rows = 3, .filtered_rows = 4}}},
    {"message-v1-refuse",
     {.type = MESSAGE_REFUSE,
      .flags = MESSAGE_RETRY,
      .stream = STREAM,
      .session = SESSION,
      .code = ERR_STATE,
      TEXT("the session is over; HINT: say HELLO again")}},
    {"message-v1-ping",
     {.type = MESSAGE_PING,
      .stream = STREAM,
      .session = SESSION,
      .totals = {.captured_rows = 5, .shed_rows = 6, .rejected_rows = 7, .filtered_rows = 8}}},
    {"message-v1-bye",
     {.type = MESSAGE_BYE,
      .stream = STREAM,
      .session = SESSION,
      .totals = {.captured_rows = 5, .shed_rows = 6, .rejected_rows = 7, .filtered_rows = 8}}},
    {"message-v1-attach", {.type = MESSAGE_ATTACH, .stream = STREAM, .name = "sink"}},
    {"message-v1-attached", {.type = MESSAGE_ATTACHED, .stream = STREAM, .session = SESSION}},
    {"message-v1-gone", {.type = MESSAGE_GONE, .stream = STREAM, .session = SESSION}},
    {"message-v1-ask", {.type = MESSAGE_ASK}},
    {"message-v1-tell", {.type = MESSAGE_TELL, TEXT("{\"processes\":[]}")}},
    {"message-v1-report", {.type = MESSAGE_REPORT, .name = "trainer", TEXT("{\"up\":1}")}},
};

enum { FRAMES = sizeof frames / sizeof frames[0], MESSAGES = sizeof messages / sizeof messages[0] };

/* Rows that can be written down in a sentence: value (r, d) is ((31 r + 17 d) mod 64 - 32) / 8,
 * twice that in odd dimensions; dimension 18 is 0. Row r is token 1000 + 37 r, position r mod 10 of
 * sequence 5 + r / 10. */
static void make_frame(size_t i, struct frame_header *h, uint8_t *raw, uint8_t *bytes)
{
    struct row_id ids[ROWS];
    float values[ROWS * WIDTH];
    uint8_t scratch[MAX_BYTES * 4];
    for (uint32_t r = 0; r < ROWS; r++) {
        ids[r] = (struct row_id){5 + r / 10, r % 10, 1000 + 37 * r};
        for (uint32_t d = 0; d < WIDTH; d++) {
            float v = (float)((int)((31 * r + 17 * d) % 64) - 32) / 8;
            values[r * WIDTH + d] = d == 18 ? 0 : d % 2 ? 2 * v : v;
        }
    }
    *h = (struct frame_header){
        .stream = STREAM,
        .session = SESSION,
        .number = 1000,
        .producer = 1,
        .epoch = 4,
        .begin = {.document = 5, .offset = 6, .sequence = 5, .position = 0},
        .end = {.document = 7, .offset = 8, .sequence = 7, .position = 4},
        .totals = {.captured_rows = 1, .shed_rows = 2, .rejected_rows = 3, .filtered_rows = 4},
        .rows = ROWS,
        .width = WIDTH,
        .dtype = frames[i].dtype,
        .codec = frames[i].codec,
        .captured_ns = 1700000000123456789u,
    };
    rows_to_raw(h->dtype, ROWS, WIDTH, ids, values, raw);
    assert_int_equal(frame_seal(h, raw, bytes + FRAME_HEADER_BYTES, scratch), ERR_OK);
    frame_encode(h, bytes);
}

static uint8_t *golden(const char *name, size_t *size)
{
    char path[256], *data;
    snprintf(path, sizeof path, "tests/golden/%s.bin", name);
    if (file_read(path, MAX_BYTES, &data, size)) fail_msg("%s", err_text());
    return (uint8_t *)data;
}

static void golden_frames_are_read_as_described(void **state)
{
    (void)state;
    for (size_t i = 0; i < FRAMES; i++) {
        struct frame_header want, h;
        uint8_t raw[MAX_BYTES] __attribute__((aligned(4))), bytes[2 * MAX_BYTES], again[256];
        uint8_t out[MAX_BYTES] __attribute__((aligned(4))), scratch[4 * MAX_BYTES];
        size_t size;
        make_frame(i, &want, raw, bytes);
        uint8_t *data = golden(frames[i].name, &size);
        assert_int_equal(frame_decode(data, size, &h), ERR_OK);
        assert_int_equal(
            frame_check_payload(&h, data + FRAME_HEADER_BYTES, size - FRAME_HEADER_BYTES), ERR_OK);
        assert_int_equal(frame_unpack(&h, data + FRAME_HEADER_BYTES, out, scratch), ERR_OK);
        assert_memory_equal(out, raw, want.raw_bytes);
        assert_int_equal(h.codec, frames[i].codec);
        frame_encode(&h,
                     again); /* field by field: what is read is written back as the same bytes */
        assert_memory_equal(again, data, FRAME_HEADER_BYTES);
        want.packed_bytes = h.packed_bytes; /* lz4's own */
        want.packed_hash = h.packed_hash;
        frame_encode(&want, again);
        assert_memory_equal(again, data, FRAME_HEADER_BYTES);
        free(data);
    }
}

static void frames_are_made_as_the_golden_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < FRAMES; i++) {
        struct frame_header h;
        uint8_t raw[MAX_BYTES] __attribute__((aligned(4))), bytes[2 * MAX_BYTES];
        size_t size;
        make_frame(i, &h, raw, bytes);
        uint8_t *data = golden(frames[i].name, &size);
        if (h.codec == CODEC_NONE) {
            assert_int_equal(size, FRAME_HEADER_BYTES + h.packed_bytes);
            assert_memory_equal(bytes, data, size);
        } else {
            uint8_t planes[MAX_BYTES], theirs[MAX_BYTES];
            size_t n = planes_bytes(ROWS, WIDTH, h.dtype);
            planes_split(ROWS, WIDTH, h.dtype, raw, planes);
            int got = LZ4_decompress_safe((char *)data + FRAME_HEADER_BYTES, (char *)theirs,
                                          (int)size - FRAME_HEADER_BYTES, sizeof theirs);
            assert_int_equal(got, n);
            assert_memory_equal(planes, theirs, n);
        }
        free(data);
    }
}

static void messages_are_made_as_the_golden_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < MESSAGES; i++) {
        uint8_t bytes[MAX_BYTES];
        size_t size, n = message_bytes(&messages[i].m);
        assert_int_equal(message_encode(&messages[i].m, bytes), ERR_OK);
        uint8_t *data = golden(messages[i].name, &size);
        assert_int_equal(n, size);
        assert_memory_equal(bytes, data, size);
        free(data);
    }
}

static void golden_messages_are_read_as_described(void **state)
{
    (void)state;
    for (size_t i = 0; i < MESSAGES; i++) {
        const struct message *want = &messages[i].m;
        struct message m;
        size_t size;
        uint8_t *data = golden(messages[i].name, &size);
        assert_int_equal(message_decode(data, size, &m), ERR_OK);
        assert_int_equal(m.type, want->type);
        assert_int_equal(m.flags, want->flags);
        assert_true(m.stream == want->stream && m.session == want->session);
        assert_int_equal(m.producer, want->producer);
        assert_int_equal(m.share_count, want->share_count);
        assert_int_equal(m.epoch, want->epoch);
        assert_int_equal(m.code, want->code);
        assert_int_equal(m.next_number, want->next_number);
        assert_int_equal(m.credit, want->credit);
        assert_memory_equal(&m.cursor, &want->cursor, sizeof m.cursor);
        assert_memory_equal(&m.totals, &want->totals, sizeof m.totals);
        assert_string_equal(m.name, want->name);
        assert_int_equal(m.text_bytes, want->text_bytes);
        if (m.text_bytes) assert_memory_equal(m.text, want->text, m.text_bytes);
        free(data);
    }
}

static int write_new(const char *dir, const char *name, const uint8_t *data, size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.bin", dir, name);
    FILE *f = fopen(path, "wbx");
    if (!f) {
        printf("%s is there, left as it is\n", path);
        return 0;
    }
    int bad = fwrite(data, 1, size, f) != size;
    return fclose(f) || bad;
}

static int write_all(const char *dir)
{
    int bad = 0;
    uint8_t raw[MAX_BYTES] __attribute__((aligned(4))), bytes[2 * MAX_BYTES];
    for (size_t i = 0; i < FRAMES; i++) {
        struct frame_header h;
        make_frame(i, &h, raw, bytes);
        bad |= h.codec != frames[i].codec;
        bad |= write_new(dir, frames[i].name, bytes, FRAME_HEADER_BYTES + (size_t)h.packed_bytes);
    }
    for (size_t i = 0; i < MESSAGES; i++) {
        bad |= message_encode(&messages[i].m, bytes);
        bad |= write_new(dir, messages[i].name, bytes, message_bytes(&messages[i].m));
    }
    return bad;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write") == 0) return write_all(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_frames_are_read_as_described),
        cmocka_unit_test(frames_are_made_as_the_golden_ones),
        cmocka_unit_test(messages_are_made_as_the_golden_ones),
        cmocka_unit_test(golden_messages_are_read_as_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
