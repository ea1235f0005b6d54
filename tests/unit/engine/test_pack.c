#include "tests/unit/engine/support.h"

#include "engine/pack.h"

enum { BOS = 1000, SEPARATOR = 1001 };

/* One token a byte, except '.' which has none, so that a document may be without tokens. */
static int tokenize_bytes(void *arg, const char *text, size_t size, const int32_t **tokens,
                          size_t *count)
{
    static int32_t all[4096];
    (void)arg;
    size_t n = 0;
    for (size_t i = 0; i < size && n < 4096; i++)
        if (text[i] != '.') all[n++] = text[i];
    *tokens = all;
    *count = n;
    return ERR_OK;
}

static struct pack_options options_of(uint32_t index, uint32_t count, uint32_t context, int32_t bos)
{
    return (struct pack_options){.tokenize = tokenize_bytes,
                                 .share_index = index,
                                 .share_count = count,
                                 .context_tokens = context,
                                 .bos = bos,
                                 .separator = SEPARATOR};
}

static struct corpus *open_corpus(const char *path)
{
    struct corpus *c;
    struct corpus_options options = {
        .listed = &path, .count = 1, .text_field = "text", .separator = "%"};
    assert_int_equal(corpus_open(&options, &c), ERR_OK);
    return c;
}

struct rig {
    struct corpus *corpus;
    struct pack *pack;
};

static struct rig open_rig(const char *path, const struct pack_options *options)
{
    struct rig r = {.corpus = open_corpus(path)};
    assert_int_equal(pack_open(r.corpus, options, &r.pack), ERR_OK);
    return r;
}

static void close_rig(struct rig *r)
{
    pack_close(r->pack);
    corpus_close(r->corpus);
}

/* The contexts that are left, as text: ^ for BOS, ; for the separator, | between contexts. */
static const char *contexts_of(struct pack *p)
{
    static char all[4096];
    size_t n = 0;
    struct pack_context c;
    for (;;) {
        assert_int_equal(pack_next(p, &c), ERR_OK);
        if (c.count == 0) break;
        for (uint32_t i = 0; i < c.count; i++)
            all[n++] = c.tokens[i] == BOS         ? '^'
                       : c.tokens[i] == SEPARATOR ? ';'
                                                  : (char)c.tokens[i];
        all[n++] = '|';
    }
    all[n] = '\0';
    return all;
}

static void expect(const char *path, struct pack_options options, const char *contexts)
{
    struct rig r = open_rig(path, &options);
    assert_string_equal(contexts_of(r.pack), contexts);
    close_rig(&r);
}

static void documents_are_packed_and_cut(void **state)
{
    (void)state;
    const char *path = write_text("c.jsonl", "{\"text\":\"abc\"}\n{\"text\":\"defghijklmno\"}\n"
                                             "{\"text\":\"...\"}\n{\"text\":\"p\"}\n");
    expect(path, options_of(0, 1, 6, -1), "abc;de|fghijk|lmno;p|;|");
    expect(path, options_of(0, 1, 6, BOS), "^abc;d|^efghi|^jklmn|^o;p;|");
    expect(path, options_of(0, 1, 100, BOS), "^abc;defghijklmno;p;|");
    expect(path, options_of(0, 2, 6, -1), "abc;|"); /* documents 0 and 2 */
    expect(path, options_of(1, 2, 6, -1), "defghi|jklmno|;p;|");
    expect(path, options_of(6, 7, 6, -1), ""); /* more shares than documents */
    struct pack_options none = options_of(0, 1, 8, -1);
    none.separator = -1;
    expect(path, none, "abcdefgh|ijklmnop|");
}

static void a_context_needs_room(void **state)
{
    (void)state;
    const char *path = write_text("c.txt", "abc");
    struct pack_options options = options_of(0, 1, 1, BOS);
    struct corpus *corpus = open_corpus(path);
    struct pack *pack;
    assert_int_equal(pack_open(corpus, &options, &pack), ERR_USAGE);
    corpus_close(corpus);
}

static const char *many_documents(void)
{
    static char text[4000];
    size_t n = 0;
    for (int i = 0; i < 40; i++) {
        for (int k = 0; k < (i * 7) % 31; k++) text[n++] = (char)('a' + (i + k) % 26);
        n += (size_t)sprintf(text + n, ".\n%%\n");
    }
    text[n] = '\0';
    return write_text("many.txt", text);
}

/* The promise that everything rests on: from any context's cursor, the same contexts follow. */
static void any_context_can_be_taken_up_again(void **state)
{
    (void)state;
    const char *path = many_documents();
    for (uint32_t share = 0; share < 3; share++) {
        struct pack_options options = options_of(share, 3, 9, share == 1 ? -1 : BOS);
        struct rig r = open_rig(path, &options);
        char whole[4096];
        struct cursor begin[200];
        size_t at[200], contexts = 0, length = 0;
        struct pack_context c;
        for (;;) {
            begin[contexts] = pack_cursor(r.pack);
            at[contexts++] = length;
            assert_int_equal(pack_next(r.pack, &c), ERR_OK);
            if (c.count == 0) break;
            assert_memory_equal(&c.begin, &begin[contexts - 1], sizeof c.begin);
            assert_int_equal(c.begin.sequence % 3, share);
            assert_int_equal(c.begin.sequence / 3, contexts - 1);
            length += c.count + 1;
        }
        assert_true(contexts > 10);
        assert_int_equal(pack_seek(r.pack, &(struct cursor){0}), ERR_OK);
        strcpy(whole, contexts_of(r.pack));
        for (size_t i = 0; i < contexts; i++) {
            struct rig fresh = open_rig(path, &options);
            assert_int_equal(pack_seek(fresh.pack, &begin[i]), ERR_OK);
            assert_string_equal(contexts_of(fresh.pack), whole + at[i]);
            close_rig(&fresh);
            assert_int_equal(pack_seek(r.pack, &begin[i]), ERR_OK); /* the used one as well */
            assert_string_equal(contexts_of(r.pack), whole + at[i]);
        }
        close_rig(&r);
    }
}

static void cursors_of_something_else_are_refused(void **state)
{
    (void)state;
    struct pack_options options = options_of(1, 2, 6, -1);
    struct rig r = open_rig(write_text("c.txt", "abc\n%\ndef\n%\nghi\n"), &options);
    const struct cursor wrong[] = {
        {.document = 0, .sequence = 1, .offset = 1}, /* documents of the other share */
        {.document = 1, .sequence = 2},              /* sequences of it */
        {.document = 1, .sequence = 1, .offset = 6}, /* "def\n" and a separator are five */
        {.document = 9, .sequence = 1, .offset = 1}, /* behind the end */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(pack_seek(r.pack, &wrong[i]), ERR_MISMATCH);
    close_rig(&r);
}

static void bad_text_is_skipped_and_counted_or_fails(void **state)
{
    (void)state;
    const char *path = write_text("c.txt", "abc\n%\n\xff\xfe\n%\nghi\n%\n\xff\n");
    struct pack_options options = options_of(0, 1, 100, -1);
    struct rig r = open_rig(path, &options);
    assert_string_equal(contexts_of(r.pack), "abc\n;ghi\n;|");
    assert_int_equal(pack_counters(r.pack).documents, 2);
    assert_int_equal(pack_counters(r.pack).bad_text, 2);
    assert_int_equal(pack_counters(r.pack).bad_text_bytes, 5);
    close_rig(&r);
    options.on_bad_text = BAD_TEXT_FAIL;
    r = open_rig(path, &options);
    struct pack_context c;
    assert_int_equal(pack_next(r.pack, &c), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "c.txt, line 3"));
    close_rig(&r);
}

static void the_count_is_what_the_shares_make(void **state)
{
    (void)state;
    const char *path = many_documents();
    for (uint32_t shares = 1; shares < 5; shares++) {
        uint64_t made = 0, counted;
        struct pack_options options;
        for (uint32_t i = 0; i < shares; i++) {
            options = options_of(i, shares, 9, shares == 2 ? -1 : BOS);
            struct rig r = open_rig(path, &options);
            for (struct pack_context c; pack_next(r.pack, &c) == ERR_OK && c.count > 0;)
                made += c.count;
            close_rig(&r);
        }
        struct corpus *corpus = open_corpus(path);
        assert_int_equal(pack_count(corpus, &options, &counted, NULL, NULL), ERR_OK);
        assert_int_equal(counted, made);
        corpus_close(corpus);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_packed_and_cut),
        cmocka_unit_test(a_context_needs_room),
        cmocka_unit_test(any_context_can_be_taken_up_again),
        cmocka_unit_test(cursors_of_something_else_are_refused),
        cmocka_unit_test(bad_text_is_skipped_and_counted_or_fails),
        cmocka_unit_test(the_count_is_what_the_shares_make),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
