/* Documents of a stream as one string, for tests of the forms that documents.h lists. */
#ifndef SLUICE_TESTS_ENGINE_CUT_H
#define SLUICE_TESTS_ENGINE_CUT_H

#include "tests/unit/engine/support.h"

#include "engine/documents.h"

/* A stream that gives `step` bytes at a time, so that every document straddles reads. */
struct cut_stream {
    const char *text;
    size_t size, at, step;
};

__attribute__((unused)) static int cut_read(void *arg, void *out, size_t size, size_t *got)
{
    struct cut_stream *s = arg;
    size_t n = s->size - s->at;
    if (n > s->step) n = s->step;
    if (n > size) n = size;
    memcpy(out, s->text + s->at, n);
    s->at += n;
    *got = n;
    return ERR_OK;
}

struct cut_text {
    char *text;
    size_t used, room;
};

__attribute__((format(printf, 2, 3), unused)) static void cut_add(struct cut_text *t,
                                                                  const char *format, ...)
{
    va_list args;
    char *piece;
    va_start(args, format);
    int n = vasprintf(&piece, format, args);
    va_end(args);
    assert_true(n >= 0);
    if (t->used + (size_t)n + 1 > t->room)
        t->text = realloc(t->text, t->room = 2 * (t->used + (size_t)n + 1));
    memcpy(t->text + t->used, piece, (size_t)n + 1);
    t->used += (size_t)n;
    free(piece);
}

__attribute__((unused)) static void cut_one(struct cut_text *t, const struct document *d)
{
    if (d->replaced) cut_add(t, "~");
    if (d->kind == DOCUMENT_TEXT) cut_add(t, "%.*s", (int)d->size, d->text);
    for (size_t i = 0; d->kind == DOCUMENT_TOKENS && i < d->count; i++)
        cut_add(t, "%s%d", i ? "," : "", d->tokens[i]);
    for (size_t i = 0; d->kind == DOCUMENT_CHAT && i < d->count; i++)
        cut_add(t, "%s%s=%s", i ? "/" : "", d->messages[i].role, d->messages[i].content);
    if (d->kind == DOCUMENT_BAD) {
        assert_non_null(d->reason);
        cut_add(t, "!%c", "esfl"[d->skip]);
        return;
    }
    cut_add(t, "|");
}

/* Documents: text|, role=content/role=content|, 1,2,3|, ~ in front where a surrogate was replaced,
 * !e !s !f !l for bad ones (encoding, syntax, field, length), and "ERROR n: text" at the end where
 * there was one. The caller frees the answer. */
__attribute__((unused)) static char *cut_stream(const struct documents_options *options,
                                                const char *text, size_t size, size_t step)
{
    struct cut_stream s = {text, size, 0, step};
    struct cut_text out = {calloc(1, 64), 0, 64};
    struct documents *d;
    struct document one;
    uint64_t line = 0;
    assert_int_equal(documents_open(options, cut_read, &s, &d), ERR_OK);
    for (;;) {
        int result = documents_next(d, &one);
        if (result != ERR_OK) {
            cut_add(&out, "ERROR %d: %s", result, err_text());
            break;
        }
        if (one.kind == DOCUMENT_END) break;
        assert_true(one.line >= line);
        line = one.line;
        cut_one(&out, &one);
    }
    documents_close(d);
    return out.text;
}

/* The same for any pieces that the bytes come in. */
__attribute__((unused)) static void expect_bytes(const struct documents_options *options,
                                                 const char *text, size_t size,
                                                 const char *expected)
{
    static const size_t steps[] = {1, 2, 3, 7, 64, 4096, 1 << 20};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char *got = cut_stream(options, text, size, steps[i]);
        if (strcmp(got, expected) != 0)
            print_error("in pieces of %zu: %.60s\n gave %.300s\n  not %.300s\n", steps[i], text,
                        got, expected);
        assert_string_equal(got, expected);
        free(got);
    }
}

static struct documents_options cut_options = {.name = "a test", .text_field = "text"};

__attribute__((unused)) static void expect_cut(const char *text, const char *expected)
{
    expect_bytes(&cut_options, text, strlen(text), expected);
}

/* An error that says something. */
__attribute__((unused)) static void expect_refused(const struct documents_options *options,
                                                   const char *text, size_t size, const char *says)
{
    char *got = cut_stream(options, text, size, 4096), *error = strstr(got, "ERROR 1: ");
    if (!error || !strstr(error, says)) print_error("'%s' is not in: %.400s\n", says, got);
    assert_non_null(error);
    assert_non_null(strstr(error, says));
    free(got);
}

#endif
