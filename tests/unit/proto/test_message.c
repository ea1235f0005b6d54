/* Control messages: round trips, and that nothing changed on the way is ever taken for good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/err.h"
#include "proto/bytes.h"
#include "proto/message.h"

static const struct message full = {
    .type = MESSAGE_WELCOME,
    .flags = MESSAGE_MEASURE | MESSAGE_STOP,
    .stream = 0x1122334455667788u,
    .session = 0x99aabbccddeeff00u,
    .producer = 1,
    .share_count = 2,
    .epoch = 3,
    .code = 4,
    .next_number = 5,
    .credit = 6,
    .cursor = {.document = 7, .offset = 8, .sequence = 9, .position = 10},
    .totals = {.captured_rows = 11, .shed_rows = 12, .rejected_rows = 13, .filtered_rows = 14},
    .name = "sluice-capture.0",
    .text = "{\"version\":1}",
    .text_bytes = 13,
};

/* The block is of the exact size, so that a sanitizer sees a byte too far. */
static int refused(const uint8_t *data, size_t size)
{
    struct message m;
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, data, size);
    int err = message_decode(exact, size, &m);
    free(exact);
    return err;
}

static void every_type_comes_back_as_it_was(void **state)
{
    (void)state;
    for (uint8_t type = MESSAGE_HELLO; type <= MESSAGE_TELL; type++) {
        struct message m = full, back;
        m.type = type;
        if (!message_max_text(type)) m.text_bytes = 0;
        uint8_t bytes[512];
        size_t size = message_bytes(&m);
        assert_int_equal(size, 256 + m.text_bytes);
        assert_int_equal(message_encode(&m, bytes), ERR_OK);
        assert_int_equal(message_decode(bytes, size, &back), ERR_OK);
        assert_int_equal(back.type, type);
        assert_int_equal(back.flags, m.flags);
        assert_true(back.stream == m.stream && back.session == m.session);
        assert_int_equal(back.producer, 1);
        assert_int_equal(back.share_count, 2);
        assert_int_equal(back.epoch, 3);
        assert_int_equal(back.code, 4);
        assert_int_equal(back.next_number, 5);
        assert_int_equal(back.credit, 6);
        assert_memory_equal(&back.cursor, &m.cursor, sizeof m.cursor);
        assert_memory_equal(&back.totals, &m.totals, sizeof m.totals);
        assert_string_equal(back.name, m.name);
        assert_int_equal(back.text_bytes, m.text_bytes);
        if (!m.text_bytes) continue;
        assert_ptr_equal(back.text, bytes + 256);
        assert_memory_equal(back.text, m.text, 13);
    }
}

static void an_empty_text_is_no_text(void **state)
{
    (void)state;
    struct message m = {.type = MESSAGE_PING}, back;
    uint8_t bytes[MESSAGE_HEADER_BYTES];
    assert_int_equal(message_encode(&m, bytes), ERR_OK);
    assert_int_equal(message_decode(bytes, sizeof bytes, &back), ERR_OK);
    assert_null(back.text);
    assert_int_equal(back.text_bytes, 0);
}

static void every_truncation_and_extension_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[512] = {0};
    size_t size = message_bytes(&full);
    message_encode(&full, bytes);
    for (size_t cut = 0; cut < size; cut++) assert_int_not_equal(refused(bytes, cut), ERR_OK);
    assert_int_equal(refused(bytes, size + 1), ERR_FORMAT);
    assert_int_equal(refused(bytes, size), ERR_OK);
}

static void every_bit_flip_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t size = message_bytes(&full);
    message_encode(&full, bytes);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(refused(bytes, size), ERR_OK);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* Change bytes as a sender of our version, but with other ideas, would write them. */
static int with_le(size_t at, size_t bytes, uint64_t value)
{
    uint8_t data[512];
    message_encode(&full, data);
    for (size_t i = 0; i < bytes; i++) data[at + i] = (uint8_t)(value >> 8 * i);
    put_le64(data + 248, XXH3_64bits(data, 248));
    return refused(data, message_bytes(&full));
}

static void unknown_versions_types_and_flags_are_refused(void **state)
{
    (void)state;
    assert_int_equal(with_le(0, 1, 'S'), ERR_OK);
    assert_int_equal(with_le(2, 1, 'F'), ERR_FORMAT);
    assert_int_equal(with_le(4, 2, 0), ERR_VERSION);
    assert_int_equal(with_le(4, 2, 2), ERR_VERSION);
    assert_int_equal(with_le(6, 2, 264), ERR_FORMAT);
    assert_int_equal(with_le(8, 1, 0), ERR_VERSION);
    for (unsigned type = MESSAGE_TELL + 1; type < 256; type++)
        assert_int_equal(with_le(8, 1, type), ERR_VERSION);
    for (int bit = 6; bit < 32; bit++) assert_int_equal(with_le(12, 4, 1u << bit), ERR_VERSION);
}

static void reserved_bytes_must_be_zero(void **state)
{
    (void)state;
    for (size_t at = 0; at < 248; at++) {
        int reserved =
            (at >= 9 && at < 12) || (at >= 92 && at < 96) || (at >= 196 && at < 200) || at >= 208;
        if (reserved) assert_int_equal(with_le(at, 1, 1), ERR_VERSION);
    }
}

static void text_lengths_beyond_the_bound_or_the_message_are_refused(void **state)
{
    (void)state;
    assert_int_equal(with_le(192, 4, 12), ERR_FORMAT);
    assert_int_equal(with_le(192, 4, 14), ERR_FORMAT);
    assert_int_equal(with_le(192, 4, MESSAGE_MAX_TEXT_BYTES), ERR_FORMAT);
    assert_int_equal(with_le(192, 4, MESSAGE_MAX_TEXT_BYTES + 1), ERR_LIMIT);
    assert_int_equal(with_le(192, 4, 0xffffffffu), ERR_LIMIT);
    assert_int_equal(with_le(200, 8, 1), ERR_CHECKSUM);
    uint8_t bytes[MESSAGE_HEADER_BYTES];
    struct message m = full;
    m.text_bytes = MESSAGE_MAX_TEXT_BYTES + 1;
    assert_int_equal(message_encode(&m, bytes), ERR_LIMIT);
}

/* As PROTOCOL.md has them. */
static const uint32_t most_text[] = {
    [MESSAGE_HELLO] = 65536, [MESSAGE_WELCOME] = 3145728, [MESSAGE_DESCRIBE] = 3145728,
    [MESSAGE_STATE] = 0,     [MESSAGE_END] = 0,           [MESSAGE_REFUSE] = 4096,
    [MESSAGE_PING] = 0,      [MESSAGE_BYE] = 0,           [MESSAGE_ATTACH] = 0,
    [MESSAGE_ATTACHED] = 0,  [MESSAGE_GONE] = 0,          [MESSAGE_REPORT] = 65536,
};

/* A message of this type with so much text, as a sender without bounds would write it. */
static uint8_t *unbounded(uint8_t type, uint32_t text_bytes)
{
    struct message m = {.type = type, .name = "x"};
    uint8_t *bytes = calloc(1, MESSAGE_HEADER_BYTES + (size_t)text_bytes);
    assert_non_null(bytes);
    assert_int_equal(message_encode(&m, bytes), ERR_OK);
    memset(bytes + MESSAGE_HEADER_BYTES, 'x', text_bytes);
    put_le32(bytes + 192, text_bytes);
    put_le64(bytes + 200, XXH3_64bits(bytes + MESSAGE_HEADER_BYTES, text_bytes));
    put_le64(bytes + 248, XXH3_64bits(bytes, 248));
    return bytes;
}

static void each_type_has_a_bound_of_its_own(void **state)
{
    (void)state;
    char *text = calloc(1, MESSAGE_MAX_TEXT_BYTES + 1);
    uint8_t *out = malloc(MESSAGE_HEADER_BYTES + MESSAGE_MAX_TEXT_BYTES + 1);
    assert_true(text && out);
    for (uint8_t type = MESSAGE_HELLO; type <= MESSAGE_REPORT; type++) {
        uint32_t most = most_text[type];
        struct message m = {.type = type, .name = "x", .text = text, .text_bytes = most}, back;
        assert_int_equal(message_max_text(type), most);
        assert_int_equal(message_encode(&m, out), ERR_OK);
        assert_int_equal(message_decode(out, message_bytes(&m), &back), ERR_OK);
        m.text_bytes++;
        assert_int_equal(message_encode(&m, out), ERR_LIMIT);
        uint8_t *bytes = unbounded(type, most + 1);
        assert_int_equal(refused(bytes, message_bytes(&m)), ERR_LIMIT);
        free(bytes);
    }
    assert_int_equal(message_max_text(0), 0);
    assert_int_equal(message_max_text(MESSAGE_REPORT + 1), 0);
    free(text);
    free(out);
}

static void names_keep_their_rule(void **state)
{
    (void)state;
    char longest[MESSAGE_NAME_BYTES] = "", full_field[MESSAGE_NAME_BYTES];
    memset(longest, 'a', sizeof longest - 1);
    memset(full_field, 'a', sizeof full_field);
    assert_true(message_name_ok(longest));
    assert_false(message_name_ok(full_field));
    assert_true(message_name_ok("AZaz09._-"));
    assert_false(message_name_ok(""));
    assert_false(message_name_ok("a/b"));
    assert_false(message_name_ok("a b"));
    assert_false(message_name_ok("caf\xc3\xa9"));

    uint8_t bytes[512];
    static const uint8_t named[] = {MESSAGE_HELLO, MESSAGE_ATTACH, MESSAGE_REPORT};
    for (size_t i = 0; i < sizeof named; i++) {
        struct message m = full;
        m.type = named[i];
        m.name[0] = 0;
        assert_int_equal(message_encode(&m, bytes), ERR_LIMIT);
    }
    struct message m = full;
    memcpy(m.name, full_field, sizeof full_field);
    assert_int_equal(message_encode(&m, bytes), ERR_LIMIT);
    m = full;
    m.type = 0;
    assert_int_equal(message_encode(&m, bytes), ERR_LIMIT);
    m = full;
    m.flags = 64;
    assert_int_equal(message_encode(&m, bytes), ERR_LIMIT);
}

static void bad_names_on_the_wire_are_refused(void **state)
{
    (void)state;
    assert_int_equal(with_le(128, 1, '/'), ERR_FORMAT);
    assert_int_equal(with_le(128, 1, 0), ERR_FORMAT);        /* letters after the end */
    assert_int_equal(with_le(128 + 63, 1, 'a'), ERR_FORMAT); /* likewise */
    uint8_t bytes[MESSAGE_HEADER_BYTES];
    struct message m = {.type = MESSAGE_HELLO, .name = "x"};
    message_encode(&m, bytes);
    bytes[128] = 0; /* none, where the type needs one */
    put_le64(bytes + 248, XXH3_64bits(bytes, 248));
    assert_int_equal(refused(bytes, sizeof bytes), ERR_FORMAT);
    memset(bytes + 128, 'a', 64); /* without an end */
    put_le64(bytes + 248, XXH3_64bits(bytes, 248));
    assert_int_equal(refused(bytes, sizeof bytes), ERR_FORMAT);
}

static void frames_are_told_apart_from_messages(void **state)
{
    (void)state;
    uint8_t bytes[512], frame[FRAME_HEADER_BYTES];
    message_encode(&full, bytes);
    struct frame_header h = {.number = 1, .rows = 1, .width = 1, .dtype = DTYPE_F32};
    frame_encode(&h, frame);
    assert_true(message_is_frame(frame, sizeof frame));
    assert_false(message_is_frame(frame, 3));
    assert_false(message_is_frame(bytes, message_bytes(&full)));
    assert_int_equal(refused(frame, sizeof frame), ERR_FORMAT);
    assert_int_equal(frame_decode(bytes, message_bytes(&full), &h), ERR_FORMAT);
}

static void the_key_of_a_stream_never_changes(void **state)
{
    (void)state;
    assert_true(stream_key("") == 0x2d06800538d394c2u);
    assert_true(stream_key("smollm2-l15") == XXH3_64bits("smollm2-l15", 11));
    assert_true(stream_key("a") != stream_key("b"));
}

/* What PROTOCOL.md says about numbers: a peer of another build relies on them. */
static void numbers_on_the_wire_never_change(void **state)
{
    (void)state;
    static const int codes[] = {ERR_OK,       ERR_USAGE,   ERR_NOMEM,  ERR_IO,       ERR_NOSPC,
                                ERR_NOTFOUND, ERR_EXISTS,  ERR_FORMAT, ERR_CHECKSUM, ERR_VERSION,
                                ERR_MISMATCH, ERR_LIMIT,   ERR_FENCED, ERR_STATE,    ERR_AGAIN,
                                ERR_CORRUPT,  ERR_INTERNAL};
    static const int types[] = {MESSAGE_HELLO,  MESSAGE_WELCOME,  MESSAGE_DESCRIBE, MESSAGE_STATE,
                                MESSAGE_END,    MESSAGE_REFUSE,   MESSAGE_PING,     MESSAGE_BYE,
                                MESSAGE_ATTACH, MESSAGE_ATTACHED, MESSAGE_GONE,     MESSAGE_REPORT};
    static const int flags[] = {MESSAGE_MEASURE, MESSAGE_RESYNC, MESSAGE_ENDED,
                                MESSAGE_STOP,    MESSAGE_RETRY,  MESSAGE_SHED};
    for (int i = 0; i < 17; i++) assert_int_equal(codes[i], i);
    for (int i = 0; i < 12; i++) assert_int_equal(types[i], i + 1);
    for (int i = 0; i < 6; i++) assert_int_equal(flags[i], 1 << i);
    assert_int_equal(DTYPE_F32, 1);
    assert_int_equal(DTYPE_BF16, 2);
    assert_int_equal(DTYPE_INT8, 3);
    assert_int_equal(CODEC_NONE, 0);
    assert_int_equal(CODEC_LZ4, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_comes_back_as_it_was),
        cmocka_unit_test(an_empty_text_is_no_text),
        cmocka_unit_test(every_truncation_and_extension_is_refused),
        cmocka_unit_test(every_bit_flip_is_refused),
        cmocka_unit_test(unknown_versions_types_and_flags_are_refused),
        cmocka_unit_test(reserved_bytes_must_be_zero),
        cmocka_unit_test(text_lengths_beyond_the_bound_or_the_message_are_refused),
        cmocka_unit_test(each_type_has_a_bound_of_its_own),
        cmocka_unit_test(names_keep_their_rule),
        cmocka_unit_test(bad_names_on_the_wire_are_refused),
        cmocka_unit_test(frames_are_told_apart_from_messages),
        cmocka_unit_test(the_key_of_a_stream_never_changes),
        cmocka_unit_test(numbers_on_the_wire_never_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
