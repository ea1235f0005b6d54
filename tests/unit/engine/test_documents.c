#include "tests/unit/engine/support.h"

#include "engine/documents.h"
#include "engine/utf8.h"

/* A stream that gives `step` bytes at a time, so that every document straddles reads. */
struct stream {
    const char *text;
    size_t size, at, step;
};

static int read_stream(void *arg, void *out, size_t size, size_t *got)
{
    struct stream *s = arg;
    size_t n = s->size - s->at;
    if (n > s->step) n = s->step;
    if (n > size) n = size;
    memcpy(out, s->text + s->at, n);
    s->at += n;
    *got = n;
    return ERR_OK;
}

/* All documents of a text, each ended by '|', a bad one as '!'. The caller frees the answer. */
static char *cut_bytes(const char *text, size_t size, size_t step, int json)
{
    struct stream s = {text, size, 0, step};
    struct documents *d;
    struct document one;
    char *all = calloc(1, 2 * size + 16), *at = all;
    struct documents_options options = {.name = "a test",
                                        .named = json ? NAMED_JSON_LINES : NAMED_NOTHING,
                                        .text_field = "text",
                                        .separator = "%"};
    assert_int_equal(documents_open(&options, read_stream, &s, &d), ERR_OK);
    for (;;) {
        assert_int_equal(documents_next(d, &one), ERR_OK);
        if (one.kind == DOCUMENT_END) break;
        if (one.kind == DOCUMENT_BAD) {
            *at++ = '!';
            assert_non_null(one.reason);
            continue;
        }
        memcpy(at, one.text, one.size);
        at += one.size;
        *at++ = '|';
    }
    assert_int_equal(documents_next(d, &one), ERR_OK);
    assert_int_equal(one.kind, DOCUMENT_END);
    documents_close(d);
    return all;
}

static void expect(const char *text, int json, const char *documents)
{
    for (size_t step = 1; step < 10; step++) {
        char *got = cut_bytes(text, strlen(text), step, json);
        assert_string_equal(got, documents);
        free(got);
    }
}

static void a_text_is_one_document(void **state)
{
    (void)state;
    expect("one\n\ntwo\n", 0, "one\n\ntwo\n|");
    expect("no newline at the end", 0, "no newline at the end|");
    expect("", 0, "");
    expect(" \n\t\n", 0, "");
}

static void a_line_of_percent_separates(void **state)
{
    (void)state;
    expect("one\n%\ntwo\nlines\n%\n", 0, "one\n|two\nlines\n|");
    expect("one\n%\r\ntwo\n%", 0, "one\n|two\n|");
    expect("%\n%\none\n%\n \n%\n", 0, "one\n|");
    expect("100 %\n%d\n% \n", 0, "100 %\n%d\n% \n|");
}

static void long_texts_are_cut_at_lines(void **state)
{
    (void)state;
    size_t size = 3 * DOCUMENT_TEXT_BYTES;
    char *text = malloc(size);
    for (size_t i = 0; i < size; i++) text[i] = i % 80 == 79 ? '\n' : 'x';
    for (size_t step = 1000; step <= 1000000; step *= 31) {
        char *cut = cut_bytes(text, size, step, 0), *at = cut;
        size_t documents = 0, bytes = 0;
        for (char *end; (end = strchr(at, '|')); at = end + 1, documents++) {
            assert_true(end - at <= DOCUMENT_TEXT_BYTES);
            assert_true(end[-1] == '\n' || bytes + (size_t)(end - at) == size);
            bytes += (size_t)(end - at);
        }
        assert_int_equal(documents, 4); /* three would only do if lines ended just there */
        assert_int_equal(bytes, size);
        free(cut);
    }
    free(text);
}

static void a_cut_never_splits_a_character(void **state)
{
    (void)state;
    size_t size = 2 * DOCUMENT_TEXT_BYTES;
    char *text = malloc(size + 3);
    for (size_t i = 0; i < size; i += 3) memcpy(text + i, "\xe2\x82\xac", 3);
    char *cut = cut_bytes(text, size / 3 * 3, 4096, 0);
    assert_null(strchr(cut, '!'));
    free(cut);
    free(text);
}

static void json_lines_give_their_field(void **state)
{
    (void)state;
    expect("{\"text\": \"one\"}\n{\"id\": 1, \"text\": \"t\\u0077o\"}\n", 0, "one|two|");
    expect("\n{\"text\": \"one\"}\n\n{\"text\": \"  \"}\n{\"text\": \"two\"}", 1, "one|two|");
    /* Not JSON, no string, not an object, not UTF-8. */
    expect("{\"text\": \"one\"}\n{\"text\": \"tw\n{\"text\": 2}\n[]\n{\"text\": \"\xff\"}\n", 0,
           "one|!!!!");
}

static void a_text_that_begins_with_a_brace_is_text(void **state)
{
    (void)state;
    expect("{ int x; }\n", 0, "{ int x; }\n|");
    expect("{\"a\": \n", 0, "{\"a\": \n|");
}

static void a_line_too_long_is_bad_and_passed_over(void **state)
{
    (void)state;
    size_t size = DOCUMENT_LINE_BYTES + 1000;
    char *text = malloc(size + 100);
    int n = sprintf(text, "{\"text\": \"one\"}\n{\"text\": \"");
    memset(text + n, 'x', size);
    strcpy(text + n + size, "\"}\n{\"text\": \"two\"}\n");
    char *cut = cut_bytes(text, strlen(text), 100000, 0);
    assert_string_equal(cut, "one|!two|");
    free(cut);
    free(text);
}

static void bad_utf8_is_told(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80",         "\xc0\xaf",         "\xc1\xbf",
                                      "\xe0\x9f\xbf", "\xed\xa0\x80",     "\xf0\x8f\xbf\xbf",
                                      "\xf5\x80",     "\xf4\x90\x80\x80", "\xe2\x82",
                                      "\xc3",         "abcdefgh\xff",     "\xe2\x28\xa1"};
    static const char *const good[] = {"plain",        "\xc2\x80",
                                       "\xe2\x82\xac", "\xf4\x8f\xbf\xbf",
                                       "\xed\x9f\xbf", "abcdefgh\xc3\xa9 and on"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(utf8_valid(bad[i], strlen(bad[i])));
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(utf8_valid(good[i], strlen(good[i])));
    assert_true(utf8_valid("nul\0inside", 10));
    expect("one\n%\n\xff\n%\ntwo\n", 0, "one\n|!two\n|");
}

static void names_that_promise_a_form(void **state)
{
    (void)state;
    assert_int_equal(documents_named("a.jsonl"), NAMED_JSON_LINES);
    assert_int_equal(documents_named("dir.txt/a.ndjson.gz"), NAMED_JSON_LINES);
    assert_int_equal(documents_named("a.jsonl.zst"), NAMED_JSON_LINES);
    assert_int_equal(documents_named("a.JSON.xz"), NAMED_JSON);
    assert_int_equal(documents_named("a.csv.bz2"), NAMED_CSV);
    assert_int_equal(documents_named("a.tsv"), NAMED_TSV);
    assert_int_equal(documents_named("jsonl"), NAMED_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_one_document),
        cmocka_unit_test(a_line_of_percent_separates),
        cmocka_unit_test(long_texts_are_cut_at_lines),
        cmocka_unit_test(a_cut_never_splits_a_character),
        cmocka_unit_test(json_lines_give_their_field),
        cmocka_unit_test(a_text_that_begins_with_a_brace_is_text),
        cmocka_unit_test(a_line_too_long_is_bad_and_passed_over),
        cmocka_unit_test(bad_utf8_is_told),
        cmocka_unit_test(names_that_promise_a_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
