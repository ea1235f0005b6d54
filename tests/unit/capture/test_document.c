/*
 * proto/PROTOCOL.md against the code, both ways (run from the root of the tree): every type and
 * flag stands in its tables under the same name and number; whatever a golden message holds, and
 * whatever a producer sends, is among the fields that the table names for its type.
 */
#include "base/err.h"
#include "base/fileio.h"
#include "capture/producer.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const types[] = {"",         "HELLO",  "WELCOME", "DESCRIBE", "STATE",
                                    "END",      "REFUSE", "PING",    "BYE",      "ATTACH",
                                    "ATTACHED", "GONE",   "REPORT",  "ASK",      "TELL"};
enum { TYPES = sizeof types / sizeof types[0] };

static const struct {
    const char *name;
    uint32_t value;
} flags[] = {{"MEASURE", MESSAGE_MEASURE}, {"RESYNC", MESSAGE_RESYNC}, {"ENDED", MESSAGE_ENDED},
             {"STOP", MESSAGE_STOP},       {"RETRY", MESSAGE_RETRY},   {"SHED", MESSAGE_SHED}};
enum { FLAGS = sizeof flags / sizeof flags[0] };

static char *document;

static int read_document(void **unused)
{
    (void)unused;
    size_t bytes;
    return file_read("proto/PROTOCOL.md", 1 << 20, &document, &bytes) ? -1 : 0;
}

static int forget_document(void **unused)
{
    (void)unused;
    free(document);
    return 0;
}

/* The table of types, which lies between these. */
static const char *types_table(const char **end)
{
    const char *begin = strstr(document, "| type | | from | to |");
    assert_non_null(begin);
    *end = strstr(begin, "\n\n");
    assert_non_null(*end);
    return begin;
}

/* The fields that the table names for a type: the last cell of its row, and of those that go on
 * under it without a number. */
static void row_of(uint8_t type, char *out, size_t bytes)
{
    char begin[64];
    const char *end, *table = types_table(&end);
    snprintf(begin, sizeof begin, "\n| %u | %s |", type, types[type]);
    const char *row = strstr(table, begin);
    if (!row || row > end) fail_msg("PROTOCOL.md has no row \"%s\"", begin + 1);
    out[0] = 0;
    do {
        const char *cell = ++row;
        for (int i = 0; i < 4; i++) cell = strchr(cell + 1, '|');
        row = strchr(row, '\n');
        size_t used = strlen(out);
        assert_true(cell < row && used + (size_t)(row - cell) < bytes);
        snprintf(out + used, bytes - used, "%.*s", (int)(row - cell), cell);
    } while (row < end && !strncmp(row, "\n| | |", 6));
}

static int has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *p = strstr(text, word); p; p = strstr(p + 1, word)) {
        int before = p > text && (isalnum((unsigned char)p[-1]) || p[-1] == '_');
        int after = isalnum((unsigned char)p[length]) || p[length] == '_';
        if (!before && !after) return 1;
    }
    return 0;
}

static void expect(const char *row, const char *type, const char *field, int is_there)
{
    if (is_there && !has_word(row, field))
        fail_msg("%s holds %s, which PROTOCOL.md does not name for it", type, field);
}

/* Whatever is not zero in a message is named in its row. */
static void expect_named(const struct message *m)
{
    static const struct cursor no_cursor;
    static const struct frame_totals no_totals;
    char row[4096];
    row_of(m->type, row, sizeof row);
    const char *type = types[m->type];
    for (size_t i = 0; i < FLAGS; i++) expect(row, type, flags[i].name, m->flags & flags[i].value);
    expect(row, type, "session", m->session != 0);
    expect(row, type, "producer", m->producer != 0);
    expect(row, type, "share_count", m->share_count != 0);
    expect(row, type, "epoch", m->epoch != 0);
    expect(row, type, "code", m->code != 0);
    expect(row, type, "next_number", m->next_number != 0);
    expect(row, type, "credit", m->credit != 0);
    expect(row, type, "cursor", memcmp(&m->cursor, &no_cursor, sizeof no_cursor) != 0);
    expect(row, type, "totals", memcmp(&m->totals, &no_totals, sizeof no_totals) != 0);
    expect(row, type, "name", m->name[0] != 0);
    expect(row, type, "text", m->text_bytes != 0);
}

static void every_type_is_in_the_document(void **unused)
{
    (void)unused;
    char row[4096];
    uint8_t bytes[MESSAGE_HEADER_BYTES];
    struct message beyond = {.type = TYPES, .name = "x"};
    assert_int_equal(message_encode(&beyond, bytes), ERR_LIMIT); /* types[] has them all */
    for (uint8_t t = 1; t < TYPES; t++) {
        struct message m = {.type = t, .name = "x"};
        assert_int_equal(message_encode(&m, bytes), 0);
        row_of(t, row, sizeof row);
    }
}

/* And the document has no more of them than the code. */
static void every_row_is_in_the_code(void **unused)
{
    (void)unused;
    const char *end, *line = types_table(&end);
    unsigned numbered = 0, number;
    for (; line < end; line = strchr(line, '\n') + 1)
        if (sscanf(line, "| %u |", &number) == 1) {
            assert_true(number >= 1 && number < TYPES);
            numbered++;
        }
    assert_int_equal(numbered, TYPES - 1);
}

static void every_flag_is_in_the_document(void **unused)
{
    (void)unused;
    uint32_t all = 0;
    uint8_t bytes[MESSAGE_HEADER_BYTES];
    const char *table = strstr(document, "| flag | value | |");
    assert_non_null(table);
    for (size_t i = 0; i < FLAGS; i++) {
        char row[64];
        snprintf(row, sizeof row, "\n| %s | %u |", flags[i].name, flags[i].value);
        if (!strstr(table, row)) fail_msg("PROTOCOL.md has no row \"%s\"", row + 1);
        all |= flags[i].value;
    }
    for (uint32_t bit = 1; bit; bit <<= 1) {
        struct message m = {.type = MESSAGE_PING, .flags = bit};
        assert_int_equal(message_encode(&m, bytes), bit & all ? 0 : ERR_LIMIT);
    }
}

/* "3,145,728": out[16]. */
static void with_commas(uint32_t n, char *out)
{
    if (n >= 1000000)
        snprintf(out, 16, "%u,%03u,%03u", n / 1000000, n / 1000 % 1000, n % 1000);
    else if (n >= 1000)
        snprintf(out, 16, "%u,%03u", n / 1000, n % 1000);
    else
        snprintf(out, 16, "%u", n);
}

/* The bound on a type's text is what the document says, and only types whose row names a text have
 * one. */
static void every_bound_on_text_is_in_the_document(void **unused)
{
    (void)unused;
    char row[4096], number[16], cell[64];
    const char *table = strstr(document, "| type | text_bytes at most |");
    assert_non_null(table);
    const char *end = strstr(table, "\n\n"), *others = strstr(table, "\n| every other | 0 |\n");
    assert_true(end && others && others < end);
    for (uint8_t t = 1; t < TYPES; t++) {
        uint32_t most = message_max_text(t);
        row_of(t, row, sizeof row);
        assert_int_equal(has_word(row, "text"), most != 0);
        if (!most) continue;
        const char *line = strstr(table, types[t]);
        with_commas(most, number);
        snprintf(cell, sizeof cell, " | %s (", number);
        const char *found = line && line < end ? strstr(line, cell) : NULL;
        if (!found || found > strchr(line, '\n'))
            fail_msg("PROTOCOL.md does not say that %s has at most %s bytes of text", types[t],
                     number);
    }
    with_commas(ROW_MAX_WIDTH, number);
    snprintf(cell, sizeof cell, "all hooks together: 1 to %s |", number);
    assert_non_null(strstr(document, cell));
}

static void golden_messages_hold_what_is_named(void **unused)
{
    (void)unused;
    for (uint8_t t = 1; t < TYPES; t++) {
        char path[128];
        char *data;
        size_t bytes;
        struct message m;
        int n = snprintf(path, sizeof path, "tests/golden/message-v1-%s.bin", types[t]);
        for (int i = (int)strlen("tests/golden/message-v1-"); i < n; i++)
            path[i] = (char)tolower((unsigned char)path[i]);
        if (file_read(path, 1 << 20, &data, &bytes)) fail_msg("%s", err_text());
        assert_int_equal(message_decode((const uint8_t *)data, bytes, &m), 0);
        assert_int_equal(m.type, t);
        if (t == MESSAGE_GONE) m.session = 0; /* the file holds one, no broker sends it */
        expect_named(&m);
        free(data);
    }
}

/* What a producer says from HELLO to BYE. */
static void producer_sends_what_is_named(void **unused)
{
    (void)unused;
    struct producer_options o = {.stream = "s", .name = "p", .producer = 1, .share_count = 2};
    struct descriptor d = {.stream = "s", .dtype = DTYPE_F32, .width = 1, .hooks = 1};
    struct producer *p;
    struct producer_send send;
    unsigned said = 0;
    char *text;
    size_t bytes;
    d.share_count = 2;
    d.rows_per_slab = 16;
    strcpy(d.hook[0].name, "h");
    d.hook[0].width = 1;
    d.hook[0].scale = 1;
    assert_int_equal(descriptor_encode(&d, &text, &bytes), 0);
    assert_int_equal(producer_new(&o, &p), 0);
    assert_int_equal(producer_introduce(p, text, bytes), 0);
    struct message welcome = {.type = MESSAGE_WELCOME,
                              .flags = MESSAGE_MEASURE,
                              .stream = stream_key("s"),
                              .session = 9,
                              .producer = 1,
                              .epoch = 3,
                              .next_number = 1,
                              .text = text,
                              .text_bytes = (uint32_t)bytes};
    for (uint64_t step = 1; step < 12; step++) {
        uint64_t now = step * 1000000000;
        if (step == 2) producer_message(p, &welcome, now);
        if (step == 3) producer_described(p, text, bytes);
        if (step == 5) producer_decline(p);
        if (step == 6) producer_message(p, &welcome, now); /* it is heard of */
        if (step == 8) {
            float mean = 0;
            char *measured;
            size_t measured_bytes;
            d.measured = 1;
            d.mean = &mean;
            assert_int_equal(descriptor_encode(&d, &measured, &measured_bytes), 0);
            welcome.flags = 0;
            welcome.text = measured;
            welcome.text_bytes = (uint32_t)measured_bytes;
            welcome.next_number = 4;
            producer_message(p, &welcome, now);
            assert_int_equal(producer_order(p).task, PRODUCER_MAKE);
            struct producer_place place = {.totals = {.captured_rows = 5}, .waiting_rows = 5};
            producer_count(p, producer_order(p).generation, &place);
            free(measured);
        }
        if (step == 10) assert_int_equal(producer_end(p, producer_order(p).generation), 0);
        if (step == 11) producer_leave(p, now);
        for (int i = 0; i < 8 && producer_next(p, now, &send); i++) {
            expect_named(&send.message);
            said |= 1u << send.message.type;
            producer_sent(p, now, &send);
        }
    }
    assert_int_equal(said, 1u << MESSAGE_HELLO | 1u << MESSAGE_DESCRIBE | 1u << MESSAGE_END |
                               1u << MESSAGE_PING | 1u << MESSAGE_BYE);
    producer_free(p);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_in_the_document),
        cmocka_unit_test(every_row_is_in_the_code),
        cmocka_unit_test(every_flag_is_in_the_document),
        cmocka_unit_test(every_bound_on_text_is_in_the_document),
        cmocka_unit_test(golden_messages_hold_what_is_named),
        cmocka_unit_test(producer_sends_what_is_named),
    };
    return cmocka_run_group_tests(tests, read_document, forget_document);
}
