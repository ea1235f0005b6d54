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

static struct pack_options alone(uint32_t index, uint32_t count, uint32_t context, int32_t bos)
{
    struct pack_options options = options_of(index, count, context, bos);
    options.one_document = 1;
    return options;
}

/* A separator never fills a context of its own. */
static void a_context_may_hold_one_document(void **state)
{
    (void)state;
    const char *path = write_text("c.jsonl", "{\"text\":\"abc\"}\n{\"text\":\"defghijklmno\"}\n"
                                             "{\"text\":\"...\"}\n{\"text\":\"p\"}\n");
    expect(path, alone(0, 1, 6, -1), "abc;|defghi|jklmno|p;|");
    expect(path, alone(0, 1, 6, BOS), "^abc;|^defgh|^ijklm|^no;|^p;|");
    expect(path, alone(0, 1, 100, BOS), "^abc;|^defghijklmno;|^p;|");
    expect(path, alone(1, 2, 6, -1), "defghi|jklmno|p;|");
    struct pack_options none = alone(0, 1, 3, -1);
    none.separator = -1;
    expect(path, none, "abc|def|ghi|jkl|mno|p|");
}

/* Ids are taken as they are; one that ends with the separator has it already. */
static void token_ids_are_packed_as_they_are(void **state)
{
    (void)state;
    const char *path = write_text("ids.jsonl", "{\"ids\":[97,98]}\n{\"ids\":[99,1001]}\n"
                                               "{\"ids\":[1002]}\n{\"ids\":[100]}\n");
    struct corpus_options options = {.listed = &path,
                                     .count = 1,
                                     .text_field = "text",
                                     .tokens_field = "ids",
                                     .vocabulary = 1002};
    struct pack_options packing = options_of(0, 1, 4, -1);
    for (int i = 0; i < 2; i++, packing.one_document = 1) {
        struct rig r;
        uint64_t counted;
        assert_int_equal(corpus_open(&options, &r.corpus), ERR_OK);
        assert_int_equal(pack_open(r.corpus, &packing, &r.pack), ERR_OK);
        assert_string_equal(contexts_of(r.pack), i ? "ab;|c;|d;|" : "ab;c|;d;|");
        assert_int_equal(pack_documents(r.pack)->read, 4);
        assert_int_equal(pack_documents(r.pack)->skipped[ENGINE_SKIP_FIELD], 1);
        assert_int_equal(corpus_seek(r.corpus, 0), ERR_OK);
        assert_int_equal(pack_count(r.corpus, &packing, &counted, NULL, NULL), ERR_OK);
        assert_int_equal(counted, 7);
        close_rig(&r);
    }
}

static int tokenize_messages(void *arg, const struct document_message *messages, size_t n,
                             const int32_t **tokens, size_t *count)
{
    static char all[100];
    (void)arg;
    all[0] = '\0';
    for (size_t i = 0; i < n; i++) strcat(strcat(all, messages[i].role), messages[i].content);
    return tokenize_bytes(arg, all, strlen(all), tokens, count);
}

static void conversations_go_through_their_own_tokenizer(void **state)
{
    (void)state;
    const char *path = write_text("chat.jsonl", "{\"text\": [{\"role\":\"u\",\"content\":\"hi\"},"
                                                "{\"role\":\"a\",\"content\":\"yo\"}]}\n");
    struct pack_options options = options_of(0, 1, 100, -1);
    options.tokenize_chat = tokenize_messages;
    expect(path, options, "uhiayo;|");
}

/* All shares see all documents, so that any of them can tell of the whole. */
static void documents_are_counted_over_all_shares(void **state)
{
    (void)state;
    const char *path = write_text("c.txt", "abc\n%\n\xff\xfe\n%\nghi\n%\n\xff\n%\njkl\n");
    struct pack_context c;
    for (uint32_t share = 0; share < 7; share++) {
        struct pack_options options = options_of(share, 7, 100, -1);
        struct rig r = open_rig(path, &options);
        while (pack_next(r.pack, &c) == ERR_OK && c.count > 0) {
        }
        const struct engine_documents *d = pack_documents(r.pack);
        assert_int_equal(d->read, 5);
        assert_int_equal(d->skipped[ENGINE_SKIP_ENCODING], 2);
        assert_non_null(strstr(d->first_skipped, "c.txt, line 3: not valid UTF-8"));
        close_rig(&r);
    }
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
    for (uint32_t turn = 0; turn < 6; turn++) {
        uint32_t share = turn % 3;
        struct pack_options options = options_of(share, 3, 9, share == 1 ? -1 : BOS);
        options.one_document = turn >= 3;
        struct engine_documents documents[200];
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
            documents[contexts - 1] = *pack_documents(r.pack);
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
            assert_int_equal(pack_seek(fresh.pack, &begin[i]), ERR_OK);
            assert_int_equal(pack_next(fresh.pack, &c), ERR_OK);
            if (c.count > 0)
                assert_memory_equal(pack_documents(fresh.pack), &documents[i], sizeof documents[i]);
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
    for (uint32_t turn = 0; turn < 8; turn++) {
        uint64_t made = 0, counted;
        struct pack_options options;
        uint32_t shares = 1 + turn % 4;
        for (uint32_t i = 0; i < shares; i++) {
            options = options_of(i, shares, 9, shares == 2 ? -1 : BOS);
            options.one_document = turn >= 4;
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

/* The whole corpus may be counted amid a document, as a producer does that has measured: it uses
 * the same tokenizer. */
static void counting_amid_a_document_changes_nothing(void **state)
{
    (void)state;
    const char *path = write_text("amid.txt", "abcdefghijklmnop\n%\nqrstuvwxyz\n%\nABCDEFG");
    struct pack_options options = options_of(0, 1, 6, BOS);
    char whole[200] = "", counted[200] = "";
    for (int counts = 0; counts < 2; counts++) {
        struct rig r = open_rig(path, &options);
        char *all = counts ? counted : whole;
        for (;;) {
            struct pack_context c;
            assert_int_equal(pack_next(r.pack, &c), ERR_OK);
            if (c.count == 0) break;
            for (uint32_t i = 0; i < c.count; i++) {
                size_t used = strlen(all);
                all[used] = c.tokens[i] == BOS         ? '^'
                            : c.tokens[i] == SEPARATOR ? ';'
                                                       : (char)c.tokens[i];
            }
            uint64_t tokens;
            struct corpus *other = open_corpus(path);
            if (counts) assert_int_equal(pack_count(other, &options, &tokens, NULL, NULL), ERR_OK);
            corpus_close(other);
        }
        close_rig(&r);
    }
    assert_true(strlen(whole) > 35);
    assert_string_equal(counted, whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_packed_and_cut),
        cmocka_unit_test(counting_amid_a_document_changes_nothing),
        cmocka_unit_test(a_context_may_hold_one_document),
        cmocka_unit_test(token_ids_are_packed_as_they_are),
        cmocka_unit_test(conversations_go_through_their_own_tokenizer),
        cmocka_unit_test(documents_are_counted_over_all_shares),
        cmocka_unit_test(a_context_needs_room),
        cmocka_unit_test(any_context_can_be_taken_up_again),
        cmocka_unit_test(cursors_of_something_else_are_refused),
        cmocka_unit_test(bad_text_is_skipped_and_counted_or_fails),
        cmocka_unit_test(the_count_is_what_the_shares_make),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
