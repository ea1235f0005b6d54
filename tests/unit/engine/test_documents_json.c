/* JSON as people have it: lines, values, arrays; what is in the field and what stands beside it. */
#include "tests/unit/engine/cut.h"

#define ONE "{\"text\": \"one\"}"
#define TWO "{\"text\": \"two\"}"

static void lines_are_told_whatever_comes_first(void **state)
{
    (void)state;
    expect_cut(ONE "\n" TWO "\n", "one|two|");
    expect_cut("\xef\xbb\xbf" ONE "\n" TWO "\n", "one|two|");
    expect_cut("\n\n" ONE "\n" TWO, "one|two|");
    expect_cut(" \t" ONE "\n" TWO "\n", "one|two|");
    expect_cut("\xef\xbb\xbf\n \r\n" ONE "\r\n\r\n" TWO "\r\n", "one|two|");
    expect_cut(ONE " \n" TWO " \n \n", "one|two|");
    expect_cut(ONE "\n\xef\xbb\xbf" TWO "\n", "one|two|"); /* files joined by cat */
    expect_cut(ONE, "one|");
}

static void values_may_be_broken_over_lines(void **state)
{
    (void)state;
    expect_cut("{\n  \"text\": \"one\"\n}\n{\n  \"text\": \"two\"\n}\n", "one|two|");
    expect_cut("{\r\n\t\"text\"\r\n:\"one\"}{\"text\"\n: \"two\"}", "one|two|");
    expect_cut(ONE TWO, "one|two|");
    expect_cut(ONE " " TWO "\n", "one|two|");
    expect_cut(ONE ",\n" TWO "\n", "one|two|");
    expect_cut("{\"text\":\n\"one\"}\n[1]\n" TWO, "one|!ftwo|");
}

static void arrays_are_read_item_by_item(void **state)
{
    (void)state;
    expect_cut("[" ONE "," TWO "]", "one|two|");
    expect_cut("[\n  " ONE ",\n  " TWO "\n]\n", "one|two|");
    expect_cut("\xef\xbb\xbf [ " ONE " , " TWO " ] ", "one|two|");
    expect_cut("[\n{\n\"text\": \"one\"\n},\n{\n\"text\": \"two\"\n}\n]", "one|two|");
    expect_cut("[\"one\", \"two\"]", "one|two|");
    expect_cut("[" ONE "]\n[" TWO "]\n", "one|two|"); /* arrays joined by cat */
    expect_cut("[" ONE "]", "one|");
    expect_cut("[" ONE ", null, 3, " TWO ",]", "one|!f!ftwo|");
    expect_cut("[]", "");
    expect_cut("[\n]\n", "");
}

static void what_only_looks_like_json_is_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[1] Smith, J.\n[2] Jones, K.\n",
        "[1]\nA note.\n",
        "[1]\n[2]\n",
        "[[File:a.png]] and more\n",
        "[Verse 1]\nla la la\n",
        "[\"quoted\"] and then\n",
        "[] to do\n",
        "{ int x; }\n",
        "{\"a\": 1} is JSON\n",
        "{\"a\": \n",
        "\"Yes\", she said.\n\"No.\"\n",
        "\"text\": \"one\"\n",
        "12\n13\n",
        "{% raw %}\n",
        "a line\nanother\n" ONE "\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char expected[200];
        snprintf(expected, sizeof expected, "%s|", texts[i]);
        expect_cut(texts[i], expected);
    }
}

static void damaged_lines_are_bad_documents(void **state)
{
    (void)state;
    expect_cut("\"te\": \"cut in front\"}\n" ONE "\n" TWO "\n", "!sone|two|");
    expect_cut("{\"text\": \"not closed\n" ONE "\n" TWO "\n", "!sone|two|");
    expect_cut(ONE "\n{\"text\": \"tw", "one|!s");
    expect_cut(ONE "\n{'text': 'two'}\nthree\n", "one|!s!s");
    expect_cut(ONE "\n{\"text\": \"two\",}\n", "one|!s");
    expect_cut(ONE "\n{\"text\": \"\\x\"}\n{\"text\": \"\\u12\"}\n", "one|!s!s");
    expect_cut("{\"text\": \"one\",}\n{\"text\": \"two\",}\n", "!s!s");
    expect_cut("[1, 2]\n[3, 4]\n", "!f!f");
    struct documents_options named = cut_options;
    named.named = NAMED_JSON_LINES;
    expect_bytes(&named, "one\ntwo\n", 8, "!s!s");
    named.named = NAMED_JSON;
    expect_bytes(&named, "\"one\"", 5, "one|");
    expect_bytes(&named, "\"one\" and", 9, "\"one\" and|");
    expect_bytes(&named, "one\n", 4, "one\n|");
}

static void damaged_arrays_are_errors(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "[" ONE "," TWO,                        /* not closed */
        "[" ONE ",",                            /* cut behind a comma */
        "[" ONE ",{\"text\": \"tw",             /* cut inside an item */
        "[" ONE,                                /* cut behind an item */
        "[" ONE " " TWO "]",                    /* no comma */
        "[" ONE ",{\"text\" \"two\"}]",         /* broken */
        "[" ONE "]\nmore",                      /* something behind */
        "[{\"text\": \"one",                    /* cut inside the first */
        "{\n\"text\": \"one\"}\n{\"text\": \"", /* values, the same */
        "{\n\"text\": \"one\"}\n}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        expect_refused(&cut_options, wrong[i], strlen(wrong[i]), "a test, line ");
}

static void nothing_beside_the_text_matters(void **state)
{
    (void)state;
    static const char *const beside[] = {
        "14205389432042271719",
        "-99999999999999999999999999999999999999999999",
        "1e999",
        "-1E-999",
        "0.1234567890123456789012345678901234567890",
        "NaN",
        "Infinity",
        "-Infinity",
        "[NaN, {\"a\": -Infinity}, 1e400]",
        "\"\\ud800\"",
        "\"\\udfff\\u0000\"",
        "\"\xff\xfe\"",
        "\"\\q\"",
        "{\"text\": \"inner\"}",
        "{}",
        "[]",
        "\"} ] , { \\\" \"",
        "true",
        "null",
    };
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        char line[400];
        snprintf(line, sizeof line,
                 ONE "\n{\"x\": %s, \"text\": \"two\", \"x\": %s}\n{\"\\ud800%zu\": %s, \"text\": "
                     "\"three\"}\n",
                 beside[i], beside[i], i, beside[i]);
        expect_cut(line, "one|two|three|");
        snprintf(line, sizeof line, "[{\"x\": %s, \"text\":\"one\"},\n" TWO "]", beside[i]);
        expect_cut(line, "one|two|");
    }
    expect_cut("{\"text\": \"no\", \"text\": \"one\"}\n", "one|"); /* the last one, as in Python */
}

static void nesting_may_be_as_deep_as_it_likes(void **state)
{
    (void)state;
    enum { DEEP = 300000 };
    char *line = malloc(2 * DEEP + 100), *at = line;
    at += sprintf(at, "{\"x\": ");
    memset(at, '[', DEEP);
    memset(at + DEEP, ']', DEEP);
    strcpy(at + 2 * DEEP, ", \"text\": \"one\"}\n");
    char *got = cut_stream(&cut_options, line, strlen(line), 4096);
    assert_string_equal(got, "one|");
    free(got);
    memmove(line, "{\"text\": ", 9); /* the same where the text should be */
    sprintf(line, "{\"text\":");
    memset(line + 8, '[', DEEP);
    memset(line + 8 + DEEP, ']', DEEP);
    strcpy(line + 8 + 2 * DEEP, "}\n" TWO "\n");
    got = cut_stream(&cut_options, line, strlen(line), 4096);
    assert_string_equal(got, "!ftwo|");
    free(got);
    free(line);
}

static void lone_surrogates_in_the_text_are_replaced(void **state)
{
    (void)state;
    expect_cut("{\"text\": \"a\\ud800b\"}\n{\"text\": \"a\\udc00\\ud83d\\ude00\"}\n" ONE "\n",
               "~a\xef\xbf\xbd"
               "b|~a\xef\xbf\xbd\xf0\x9f\x98\x80|one|");
    expect_cut("{\"text\": \"a\xed\xa0\x80z\"}\n" ONE "\n", "~a\xef\xbf\xbdz|one|");
    expect_cut("{\"text\": \"a\xff\"}\n" ONE "\n", "!eone|");
    expect_cut("{\"text\": \"a\\ud83d\\u0041\"}\n", "~a\xef\xbf\xbd"
                                                    "A|");
}

static void fields_may_lie_deeper(void **state)
{
    (void)state;
    struct documents_options o = cut_options;
    o.text_field = "data.text";
    static const char lines[] = "{\"data\": {\"text\": \"one\"}}\n"
                                "{\"data.text\": \"two\"}\n"
                                "{\"data\": {\"text\": \"no\"}, \"data.text\": \"three\"}\n"
                                "{\"data.text\": \"3b\", \"data\": {\"text\": \"no\"}}\n"
                                "{\"data\": [{\"text\": \"four\"}, {\"text\": \"five\"}]}\n"
                                "{\"data\": {\"text\": null}}\n"
                                "{\"data\": 3}\n"
                                "{\"text\": \"no\"}\n"
                                "{\"d\\u0061ta\": {\"te\\u0078t\": \"six\"}}\n";
    expect_bytes(&o, lines, strlen(lines), "one|two|three|3b|four|five|!f!f!fsix|");
    o.text_field = "a.b.c.d";
    static const char dots[] = "{\"a.b\": {\"c.d\": \"one\"}}\n{\"a\": {\"b\": {\"c\": {\"d\": "
                               "\"two\"}}}}\n{\"a\": {\"b.c.d\": \"three\"}}\n";
    expect_bytes(&o, dots, strlen(dots), "one|two|three|");
    o.text_field = "data.text"; /* one object that holds an array */
    static const char object[] =
        "{\"version\": 1,\n \"data\": [\n {\"text\": \"one\"},\n {\"text\": "
        "\"two\"}\n]}\n";
    expect_bytes(&o, object, strlen(object), "one|two|");
}

static void lists_of_texts_are_documents_each(void **state)
{
    (void)state;
    expect_cut("{\"text\": [\"one\", \"two\"]}\n{\"text\": [[\"three\"], [\"four\"]]}\n",
               "one|two|three|four|");
    expect_cut("{\"text\": [\"one\", null, \" \", 4, \"two\"]}\n{\"text\": []}\n",
               "one|!f!ftwo|!f");
}

static void conversations_have_roles_and_texts(void **state)
{
    (void)state;
    struct documents_options o = cut_options;
    o.text_field = "messages";
    static const char lines[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, "
        "{\"content\": \"yo\", \"role\": \"assistant\", \"id\": 1e999}]}\n"
        "{\"messages\": [{\"from\": \"human\", \"value\": \"hi\"}, {\"from\": \"gpt\", \"value\": "
        "\"\"}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"a\"}, "
        "{\"type\": \"text\", \"text\": \"\\ud800\"}]}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": null}]}\n"
        "{\"messages\": [{\"role\": \"user\"}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \" \"}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\"}]}\n";
    expect_bytes(&o, lines, strlen(lines),
                 "user=hi/assistant=yo|user=hi/assistant=|~user=a\xef\xbf\xbd|!f!f!f!f");
}

static void token_ids_are_checked(void **state)
{
    (void)state;
    struct documents_options o = cut_options;
    o.tokens_field = "ids";
    o.vocabulary = 100;
    static const char lines[] = "{\"ids\": [0, 1, 99]}\n"
                                "{\"ids\": [0, 100]}\n"
                                "{\"ids\": [-1]}\n"
                                "{\"ids\": [1.5]}\n"
                                "{\"ids\": [18446744073709551617]}\n"
                                "{\"ids\": [4294967297]}\n"
                                "{\"ids\": [\"a\"]}\n"
                                "{\"ids\": [true]}\n"
                                "{\"ids\": []}\n"
                                "{\"ids\": 3}\n"
                                "{\"text\": \"one\"}\n"
                                "{\"ids\": [[1, 2], [3]], \"text\": NaN}\n";
    expect_bytes(&o, lines, strlen(lines), "0,1,99|!f!f!f!f!f!f!f!f!f!f1,2|3|");
    o.vocabulary = 0;
    expect_bytes(&o, "{\"ids\": [2147483647, 2147483648]}\n", 34, "!f");
    expect_refused(&o, "plain text", 10, "tokens_field");
    expect_refused(&o, "ids,text\n1,2\n", 13, "tokens_field");
}

static void long_values_are_bad_and_passed_over(void **state)
{
    (void)state;
    size_t size = DOCUMENT_LINE_BYTES;
    char *text = malloc(size + 200);
    int n = sprintf(text, "[" ONE ",{\"text\": \"");
    memset(text + n, '[', size);
    strcpy(text + n + size, "\\\"\"}," TWO "]");
    char *got = cut_stream(&cut_options, text, strlen(text), 100000);
    assert_string_equal(got, "one|!ltwo|");
    free(got);
    n = sprintf(text, "{\n\"x\": \""); /* longer than that, and nothing in front says the field */
    memset(text + n, 'x', size);
    strcpy(text + n + size, "\",\n\"text\": \"one\"}\n" TWO);
    got = cut_stream(&cut_options, text, strlen(text), 100000);
    assert_string_equal(got, "!ltwo|");
    free(got);
    free(text);
}

/* Escapes by the million used to be looked at anew for each; this ends at once or never. */
static void many_escapes_cost_no_more(void **state)
{
    (void)state;
    enum { PAIRS = 4 << 20 };
    char *text = malloc(2 * PAIRS + 100);
    int n = sprintf(text, "{\"text\": \"");
    for (size_t i = 0; i < PAIRS; i++) memcpy(text + n + 2 * i, "\\n", 2);
    strcpy(text + n + 2 * PAIRS, "x\"}\n" TWO "\n");
    char *got = cut_stream(&cut_options, text, strlen(text), 1 << 20);
    assert_int_equal(strlen(got), PAIRS + 2 + 4);
    free(got);
    free(text);
}

static void python_dictionaries_are_refused(void **state)
{
    (void)state;
    expect_refused(&cut_options, "{'text': 'one'}\n", 16, "json.dumps");
    expect_refused(&cut_options, "[{'id': 1, 'text': 'one'}]", 26, "json.dumps");
}

static void what_stands_between_values_is_passed(void **state)
{
    (void)state;
    static const char nul[] = "{\"text\": \"one\"}\0{\"text\": \"two\"}";
    expect_cut("\x1e{\"text\": \"one\"}\n\x1e{\"text\": \"two\"}\n", "one|two|");
    expect_bytes(&cut_options, nul, sizeof nul, "one|two|");
}

static void objects_behind_something_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "data: {\"text\": \"one\"}\n\ndata: {\"text\": \"two\"}\n",
        "0\t{\"text\": \"one\"}\n1\t{\"text\": \"two\"}\n",
        "window.data = [ {\"text\": \"one\"}, \n {\"text\": \"two\"} ]\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        expect_refused(&cut_options, texts[i], strlen(texts[i]), "in front of them");
    expect_refused(&cut_options, "{'content': 'a', 'id': 1}\n{'content': 'b', 'id': 2}\n", 52,
                   "json.dumps");
    expect_cut("f(x) = {1}\ng(x) = {2}\n", "f(x) = {1}\ng(x) = {2}\n|");
}

static void a_long_line_behind_a_comment_is_json(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    char *text = malloc(SIZE + 100), *got;
    int n = sprintf(text, "# comment\n{\"text\": \"");
    memset(text + n, 'a', SIZE);
    strcpy(text + n + SIZE, "\"}\n");
    got = cut_stream(&cut_options, text, strlen(text), 4096);
    assert_memory_equal(got, "!saaa", 5);
    assert_null(strchr(got, '{'));
    free(got);
    free(text);
}

static void a_long_list_of_texts_is_whole(void **state)
{
    (void)state;
    enum { COUNT = 70000 };
    char *text = malloc(COUNT * 6 + 100), *got;
    size_t n = (size_t)sprintf(text, "{\"text\": [\"a\"");
    for (size_t i = 1; i < COUNT; i++) n += (size_t)sprintf(text + n, ",\"a\"");
    n += (size_t)sprintf(text + n, "]}\n");
    got = cut_stream(&cut_options, text, n, 4096);
    assert_int_equal(strlen(got), 2 * COUNT);
    free(got);
    n = (size_t)sprintf(text, "{\"text\": [\"a\"");
    for (size_t i = 1; i < COUNT; i++) n += (size_t)sprintf(text + n, ",null");
    n += (size_t)sprintf(text + n, "]}\n");
    got = cut_stream(&cut_options, text, n, 100000);
    assert_int_equal(strlen(got), 2 * COUNT); /* each is counted */
    free(got);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_told_whatever_comes_first),
        cmocka_unit_test(values_may_be_broken_over_lines),
        cmocka_unit_test(arrays_are_read_item_by_item),
        cmocka_unit_test(what_only_looks_like_json_is_text),
        cmocka_unit_test(damaged_lines_are_bad_documents),
        cmocka_unit_test(damaged_arrays_are_errors),
        cmocka_unit_test(nothing_beside_the_text_matters),
        cmocka_unit_test(nesting_may_be_as_deep_as_it_likes),
        cmocka_unit_test(lone_surrogates_in_the_text_are_replaced),
        cmocka_unit_test(fields_may_lie_deeper),
        cmocka_unit_test(lists_of_texts_are_documents_each),
        cmocka_unit_test(conversations_have_roles_and_texts),
        cmocka_unit_test(token_ids_are_checked),
        cmocka_unit_test(long_values_are_bad_and_passed_over),
        cmocka_unit_test(many_escapes_cost_no_more),
        cmocka_unit_test(python_dictionaries_are_refused),
        cmocka_unit_test(what_stands_between_values_is_passed),
        cmocka_unit_test(objects_behind_something_are_refused),
        cmocka_unit_test(a_long_line_behind_a_comment_is_json),
        cmocka_unit_test(a_long_list_of_texts_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
