/* Texts of lines "key: value". */
#include "proto/lines.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In memory that ends with the text, so that a byte read behind it is seen. */
static int read_text(const char *text, struct lines *lines, char **kept)
{
    size_t bytes = strlen(text);
    *kept = malloc(bytes ? bytes : 1);
    memcpy(*kept, text, bytes);
    return lines_read(*kept, bytes, lines);
}

static void what_is_written_is_read(void **state)
{
    char text[256];
    struct lines lines;
    struct lines_out out = {.text = text, .room = sizeof text};
    (void)state;
    lines_put(&out, "name", "two words: and a colon");
    lines_put(&out, "empty", "");
    lines_put(&out, "controls", "a\nb\tc\x7f");
    lines_printf(&out, "number", "%d", 42);
    assert_int_equal(lines_end(&out), ERR_OK);
    assert_int_equal(lines_whole(text, out.bytes), out.bytes);
    assert_int_equal(lines_whole(text, out.bytes - 1), 0);
    assert_int_equal(lines_read(text, out.bytes, &lines), ERR_OK);
    assert_int_equal(lines.count, 4);
    assert_string_equal(lines_get(&lines, "name"), "two words: and a colon");
    assert_string_equal(lines_get(&lines, "empty"), "");
    assert_string_equal(lines_get(&lines, "controls"), "a b c ");
    assert_string_equal(lines_get(&lines, "number"), "42");
    assert_null(lines_get(&lines, "other"));
}

static void what_has_no_room_is_told(void **state)
{
    char text[16], long_value[600];
    (void)state;
    for (size_t room = 0; room < 9; room++) { /* "ab: cd\n\n" has 8 bytes */
        struct lines_out out = {.text = text, .room = room};
        memset(text, '#', sizeof text);
        lines_put(&out, "ab", "cd");
        assert_int_equal(lines_end(&out), room < 8 ? ERR_LIMIT : ERR_OK);
        assert_int_equal(text[room], '#');
    }
    memset(long_value, 'x', sizeof long_value);
    long_value[sizeof long_value - 1] = '\0';
    char large[2048];
    struct lines_out out = {.text = large, .room = sizeof large};
    lines_printf(&out, "key", "%s", long_value);
    assert_int_equal(lines_end(&out), ERR_LIMIT); /* not cut without a word */
}

static void what_is_no_text_is_refused(void **state)
{
    static const char *const all[] = {
        "",
        "a",
        "a: b",
        "a: b\n",
        "a:b\n\n",
        "A: b\n\n",
        ": b\n\n",
        "a\n\n",
        "a: \x01\n\n",
        "a: b\n\nmore",
        "a: b\r\n\n",
        "a: b\na: c\n\n",
        "a: b\n\n\n",
        "a2345678901234567890123456789012x: b\n\n", /* a key of 33 */
    };
    struct lines lines;
    char *kept;
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (read_text(all[i], &lines, &kept) == ERR_OK) fail_msg("\"%s\" was read", all[i]);
        free(kept);
    }
    assert_int_equal(read_text("\n", &lines, &kept), ERR_OK);
    assert_int_equal(lines.count, 0);
    free(kept);
    char nul[] = "a: b\0c\n\n";
    assert_int_equal(lines_read(nul, sizeof nul - 1, &lines), ERR_FORMAT);
}

static void lines_are_bounded(void **state)
{
    char text[16 * LINES_MAX + 16] = "", *kept;
    struct lines lines;
    (void)state;
    for (int i = 0; i < LINES_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "k%d: v\n", i);
    size_t bytes = strlen(text);
    strcpy(text + bytes, "\n");
    assert_int_equal(read_text(text, &lines, &kept), ERR_OK);
    assert_int_equal(lines.count, LINES_MAX);
    free(kept);
    strcpy(text + bytes, "more: v\n\n");
    assert_int_equal(read_text(text, &lines, &kept), ERR_LIMIT);
    free(kept);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_has_no_room_is_told),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(lines_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
