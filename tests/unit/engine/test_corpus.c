#include "tests/unit/engine/support.h"

#include "engine/corpus.h"
#include "engine/fingerprint.h"
#include "engine/llama_file.h"

#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

/* ---- helpers ---- */

static int try_files(const char *const *files, uint32_t count, struct corpus **c)
{
    struct corpus_options options = {
        .listed = files, .count = count, .text_field = "text", .separator = "%"};
    return corpus_open(&options, c);
}

static struct corpus *open_files(const char *const *files, uint32_t count)
{
    struct corpus *c;
    int result = try_files(files, count, &c);
    if (result != ERR_OK) print_error("%s\n", err_text());
    assert_int_equal(result, ERR_OK);
    return c;
}

/* Documents from where the corpus is, each as "number:text|". */
static const char *rest(struct corpus *c)
{
    static char all[4096];
    struct corpus_document d;
    size_t used = 0;
    all[0] = '\0';
    for (;;) {
        assert_int_equal(corpus_next(c, &d), ERR_OK);
        if (d.document.kind == DOCUMENT_END) return all;
        used += (size_t)snprintf(all + used, sizeof all - used, "%d:%.*s|", (int)d.index,
                                 (int)d.document.size, d.document.text ? d.document.text : "!");
    }
}

static int open_error(const char *pattern)
{
    struct corpus *c;
    int result = try_files(&pattern, 1, &c);
    if (result == ERR_OK) corpus_close(c);
    return result;
}

static const char *write_gzip(const char *name, const char *text, int members)
{
    char path[256];
    snprintf(path, sizeof path, "%s", in_folder(name));
    for (int i = 0; i < members; i++) {
        gzFile f = gzopen(path, i ? "ab" : "wb");
        gzwrite(f, text, (unsigned)strlen(text));
        gzclose(f);
    }
    return in_folder(name);
}

static uint64_t fingerprint(const char *path)
{
    struct corpus *c = open_files(&path, 1);
    uint64_t hash;
    assert_int_equal(corpus_fingerprint(c, &hash), ERR_OK);
    corpus_close(c);
    return hash;
}

/* ---- tests ---- */

static void files_and_patterns_are_numbered_in_order(void **state)
{
    (void)state;
    write_text("b.txt", "two\n%\nthree\n");
    write_text("a.txt", "one\n");
    write_text("z.md", "zero\n");
    char pattern[256];
    snprintf(pattern, sizeof pattern, "%s/*.txt", folder);
    const char *files[] = {in_folder("z.md"), pattern};
    struct corpus *c = open_files(files, 2);
    assert_string_equal(rest(c), "0:zero\n|1:one\n|2:two\n|3:three\n|");
    assert_true(corpus_rereadable(c));
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(corpus_seek(c, i), ERR_OK);
        const char *expected = "0:zero\n|1:one\n|2:two\n|3:three\n|";
        for (uint64_t skip = 0; skip < i; skip++) expected = strchr(expected, '|') + 1;
        assert_string_equal(rest(c), expected);
    }
    corpus_close(c);
    c = open_files(files, 2); /* seeking ahead of what was read */
    assert_int_equal(corpus_seek(c, 3), ERR_OK);
    assert_string_equal(rest(c), "3:three\n|");
    corpus_close(c);
}

static void gzip_and_zstd_are_told_by_their_bytes(void **state)
{
    (void)state;
    const char *path = write_gzip("misnamed.txt", "one\n%\ntwo\n%\n", 1);
    struct corpus *c = open_files(&path, 1);
    assert_string_equal(rest(c), "0:one\n|1:two\n|");
    corpus_close(c);
    path = write_gzip("members.gz", "one\n%\n", 3);
    c = open_files(&path, 1);
    assert_string_equal(rest(c), "0:one\n|1:one\n|2:one\n|");
    corpus_close(c);
    char packed[200];
    const char text[] = "{\"text\": \"one\"}\n{\"text\": \"two\"}\n";
    size_t n = ZSTD_compress(packed, sizeof packed, text, sizeof text - 1, 3);
    n += ZSTD_compress(packed + n, sizeof packed - n, text, sizeof text - 1, 3); /* two frames */
    path = write_file("x.jsonl.zst", packed, n);
    c = open_files(&path, 1);
    assert_string_equal(rest(c), "0:one|1:two|2:one|3:two|");
    corpus_close(c);
}

static void compressed_files_that_end_early_are_errors(void **state)
{
    (void)state;
    char *long_text = make_text(1, 20000), *data;
    size_t size, packed_size = ZSTD_compressBound(strlen(long_text));
    char *packed = malloc(packed_size);
    packed_size = ZSTD_compress(packed, packed_size, long_text, strlen(long_text), 3);
    write_gzip("whole.gz", long_text, 1);
    assert_int_equal(file_read(in_folder("whole.gz"), 1 << 20, &data, &size), ERR_OK);
    const char *cut[] = {write_file("cut.gz", data, size - 9),
                         write_file("cut.zst", packed, packed_size - 9)};
    for (int i = 0; i < 2; i++) {
        struct corpus *c;
        struct corpus_document d;
        int result = try_files(&cut[i], 1, &c);
        if (result == ERR_OK) {
            do result = corpus_next(c, &d);
            while (result == ERR_OK && d.document.kind != DOCUMENT_END);
            corpus_close(c);
        }
        assert_int_equal(result, ERR_FORMAT);
        assert_non_null(strstr(err_text(), "cut."));
    }
    data[size / 2] ^= 0x55;
    const char *flipped = write_file("flipped.gz", data, size);
    struct corpus *c;
    struct corpus_document d;
    int result = try_files(&flipped, 1, &c);
    if (result == ERR_OK) {
        do result = corpus_next(c, &d);
        while (result == ERR_OK && d.document.kind != DOCUMENT_END);
        corpus_close(c);
    }
    assert_int_equal(result, ERR_FORMAT);
    free(data);
    free(packed);
    free(long_text);
}

static void what_cannot_be_read_is_an_error_at_once(void **state)
{
    (void)state;
    char pattern[256];
    snprintf(pattern, sizeof pattern, "%s/nothing-*", folder);
    assert_int_equal(open_error(in_folder("missing.txt")), ERR_NOTFOUND);
    assert_int_equal(open_error(pattern), ERR_USAGE);
    assert_non_null(strstr(err_text(), "nothing-*"));
    assert_int_equal(open_error(folder), ERR_USAGE);
    assert_non_null(strstr(err_text(), "HINT"));
    assert_int_equal(open_error(write_text("empty.txt", "")), ERR_FORMAT);
    assert_int_equal(open_error(write_text("blank.txt", " \n\n\t")), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "empty"));
    struct corpus *c;
    assert_int_equal(try_files(NULL, 0, &c), ERR_USAGE);
}

/* ---- what became of the documents ---- */

static void the_field_may_be_missing_in_some_documents(void **state)
{
    (void)state;
    const char *path =
        write_text("some.jsonl", "{\"text\": null}\n{\"x\": 1}\n{\"text\": \"two\"}\n"
                                 "not JSON\n{\"text\": \"\\ud800\"}\n");
    struct corpus *c = open_files(&path, 1);
    assert_string_equal(rest(c), "0:!|1:!|2:two|3:!|4:\xef\xbf\xbd|");
    const struct engine_documents *n = corpus_counts(c);
    assert_int_equal(n->read, 5);
    assert_int_equal(n->skipped[ENGINE_SKIP_FIELD], 2);
    assert_int_equal(n->skipped[ENGINE_SKIP_SYNTAX], 1);
    assert_int_equal(n->replaced, 1);
    assert_non_null(strstr(n->first_skipped, "some.jsonl, line 1: no string in the text field"));
    corpus_close(c);
    path = write_text("array.json", "[{\"text\": \"one\"}, 3]");
    c = open_files(&path, 1);
    rest(c);
    assert_non_null(strstr(corpus_counts(c)->first_skipped, "array.json, line 1, record 2: "));
    corpus_close(c);
}

static void a_field_that_nobody_has_is_an_error_that_lists_fields(void **state)
{
    (void)state;
    const char *line = "{\"content\": \"one\", \"n\": 1, \"title\": \"x\", \"meta\": {\"lang\": "
                       "\"en\"}, \"messages\": [{\"role\": \"user\"}]}\n";
    assert_int_equal(open_error(write_text("few.jsonl", line)), ERR_USAGE);
    assert_non_null(strstr(err_text(), "few.jsonl, line 1"));
    assert_non_null(strstr(err_text(), "content, title, meta.lang, messages"));
    assert_non_null(strstr(err_text(), "'text'"));
    char *many = calloc(1, 150 * 200), *at = many;
    for (int i = 0; i < 99; i++) at += sprintf(at, "%s", line);
    const char *path = write_text("many.jsonl", many); /* all 99 of them */
    assert_int_equal(open_error(path), ERR_USAGE);
    sprintf(at, "{\"text\": \"one\"}\n");
    path = write_text("many.jsonl", many); /* the hundredth has it */
    struct corpus *c = open_files(&path, 1);
    assert_int_equal(corpus_seek(c, 99), ERR_OK);
    assert_string_equal(rest(c), "99:one|");
    corpus_close(c);
    sprintf(at, "%s{\"text\": \"one\"}\n", line);
    assert_int_equal(open_error(write_text("many.jsonl", many)), ERR_USAGE);
    free(many);
}

/* In whatever way a position is reached, what is counted there is the same. */
static void counts_depend_on_the_position_only(void **state)
{
    (void)state;
    const char *files[] = {
        write_text("1.jsonl", "{\"text\": [\"a\", null, \"b\"]}\n{\"text\": \"c\"}\nbad\n"),
        write_text("2.json", "[{\"text\": \"\\ud800d\"}, {}, {\"text\": \"e\"}]"),
        write_text("3.txt", "f\n%\n\xff\n%\ng\n")};
    struct corpus *c = open_files(files, 3), *fresh;
    struct engine_documents at[16];
    struct corpus_document d;
    size_t n = 0;
    do {
        at[n++] = *corpus_counts(c);
        assert_int_equal(corpus_next(c, &d), ERR_OK);
    } while (d.document.kind != DOCUMENT_END);
    assert_int_equal(n, 12);
    assert_int_equal(at[11].read, 11);
    assert_int_equal(at[11].skipped[ENGINE_SKIP_FIELD], 2);
    assert_int_equal(at[11].skipped[ENGINE_SKIP_ENCODING], 1);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(corpus_seek(c, i), ERR_OK); /* starts of files are known */
        assert_memory_equal(corpus_counts(c), &at[i], sizeof at[i]);
        fresh = open_files(files, 3);
        assert_int_equal(corpus_seek(fresh, i), ERR_OK);
        assert_memory_equal(corpus_counts(fresh), &at[i], sizeof at[i]);
        corpus_close(fresh);
    }
    corpus_close(c);
}

static void a_file_that_is_not_read_is_told_at_once(void **state)
{
    (void)state;
    const char *files[] = {write_text("good.txt", "one\n"),
                           write_text("page.txt", "<html><body>404</body></html>\n")};
    struct corpus *c;
    assert_int_equal(try_files(files, 2, &c), ERR_USAGE);
    assert_non_null(strstr(err_text(), "page.txt looks like a saved web page"));
    assert_int_equal(open_error(write_gzip("a.tar.gz", "not a tar at all", 1)), ERR_OK);
    char tar[1024] = "a.txt";
    strcpy(tar + 257, "ustar");
    gzFile f = gzopen(in_folder("b.tar.gz"), "wb");
    gzwrite(f, tar, sizeof tar);
    gzclose(f);
    assert_int_equal(open_error(in_folder("b.tar.gz")), ERR_USAGE);
    assert_non_null(strstr(err_text(), "a tar archive"));
    struct corpus_options options = {.listed = files, .count = 1, .separator = "a\nb"};
    assert_int_equal(corpus_open(&options, &c), ERR_USAGE);
    assert_non_null(strstr(err_text(), "document_separator"));
}

static uint64_t fingerprint_of(const struct corpus_options *options)
{
    struct corpus *c;
    uint64_t hash;
    assert_int_equal(corpus_open(options, &c), ERR_OK);
    assert_int_equal(corpus_fingerprint(c, &hash), ERR_OK);
    corpus_close(c);
    return hash;
}

static void the_fingerprint_covers_how_files_are_cut(void **state)
{
    (void)state;
    const char *path = write_text("one.jsonl", "{\"text\": \"a\", \"ids\": [1], \"b\": \"c\"}\n");
    struct corpus_options options = {.listed = &path, .count = 1, .text_field = "text"}, other;
    uint64_t first = fingerprint_of(&options);
    assert_int_equal(fingerprint_of(&options), first);
    other = options;
    other.text_field = "b";
    assert_true(fingerprint_of(&other) != first);
    other = options;
    other.tokens_field = "ids";
    assert_true(fingerprint_of(&other) != first);
    other = options;
    other.separator = "%";
    assert_true(fingerprint_of(&other) != first);
}

static void the_fingerprint_is_of_what_is_inside(void **state)
{
    (void)state;
    uint64_t one = fingerprint(write_text("one.txt", "some text"));
    assert_int_equal(fingerprint(write_text("moved.txt", "some text")), one);
    assert_true(fingerprint(write_text("one.txt", "some texT")) != one);
    assert_true(fingerprint(write_text("one.txt", "some text ")) != one);
    assert_true(fingerprint(write_text("one.jsonl", "{\"text\": \"a\"}")) !=
                fingerprint(write_text("one.txt", "{\"text\": \"a\"}")));
}

static int files_read;

static void count_reading(void *arg, const char *file, uint64_t bytes, uint64_t of_bytes)
{
    if (!file) return;
    assert_string_equal(file, arg);
    assert_true(bytes == strlen("weights") && of_bytes == bytes);
    files_read++;
}

/* It may take minutes. */
static void a_model_that_has_to_be_read_is_told(void **state)
{
    (void)state;
    char path[256], cache[256];
    uint64_t first, again;
    snprintf(path, sizeof path, "%s", write_text("read.gguf", "weights"));
    snprintf(cache, sizeof cache, "%s", in_folder("cache"));
    struct engine_watch watch = {.reading = count_reading, .arg = path};
    assert_int_equal(llama_file_fingerprint(path, cache, &watch, &first), ERR_OK);
    assert_int_equal(files_read, 1);
    assert_int_equal(llama_file_fingerprint(path, cache, &watch, &again), ERR_OK);
    assert_int_equal(files_read, 1); /* what is known is not read */
    assert_true(first == again);
}

static void a_fingerprint_is_remembered_until_the_file_changes(void **state)
{
    (void)state;
    const char *path = write_text("model", "weights"), *cache = in_folder("cache");
    uint64_t first, again, changed;
    assert_int_equal(fingerprint_file(path, FINGERPRINT_WHOLE, cache, &first), ERR_OK);
    assert_int_equal(fingerprint_file(path, FINGERPRINT_WHOLE, cache, &again), ERR_OK);
    assert_int_equal(first, again);
    path = write_text("model", "weightS");
    assert_int_equal(fingerprint_file(path, FINGERPRINT_WHOLE, cache, &changed), ERR_OK);
    assert_true(changed != first);
    assert_int_equal(fingerprint_file(in_folder("none"), FINGERPRINT_WHOLE, NULL, &first),
                     ERR_NOTFOUND);
}

static void large_files_are_sampled(void **state)
{
    (void)state;
    size_t size = FINGERPRINT_WHOLE_BYTES + 12345;
    char *data = calloc(1, size);
    uint64_t whole, changed, at_end;
    char path[256];
    snprintf(path, sizeof path, "%s", write_file("large", data, size));
    assert_int_equal(fingerprint_file(path, FINGERPRINT_SAMPLED, NULL, &whole), ERR_OK);
    data[size - 1] = 1;
    write_file("large", data, size);
    assert_int_equal(fingerprint_file(path, FINGERPRINT_SAMPLED, NULL, &at_end), ERR_OK);
    assert_true(at_end != whole);
    data[5] = 1;
    write_file("large", data, size);
    assert_int_equal(fingerprint_file(path, FINGERPRINT_SAMPLED, NULL, &changed), ERR_OK);
    assert_true(changed != at_end);
    free(data);
}

/* The line and the reason are there, however long the path is. */
static void a_long_path_is_cut_in_front(void **state)
{
    (void)state;
    char name[200] = "";
    struct corpus_document d;
    memset(name, 'd', 180);
    const char *outer = in_folder(name);
    assert_int_equal(mkdir(outer, 0700), 0);
    char path[512];
    snprintf(path, sizeof path, "%s/%.60s.jsonl", outer, name);
    FILE *f = fopen(path, "w");
    fputs("{\"text\": \"one\"}\nbroken\n", f);
    fclose(f);
    const char *list[1] = {path};
    struct corpus *c = open_files(list, 1);
    while (corpus_next(c, &d) == ERR_OK && d.document.kind != DOCUMENT_END) continue;
    const char *told = corpus_counts(c)->first_skipped;
    assert_int_equal(strncmp(told, "...d", 4), 0);
    assert_non_null(strstr(told, "d.jsonl, line 2: not a line of JSON"));
    corpus_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_long_path_is_cut_in_front, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(files_and_patterns_are_numbered_in_order, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(gzip_and_zstd_are_told_by_their_bytes, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(compressed_files_that_end_early_are_errors, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_an_error_at_once, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(the_field_may_be_missing_in_some_documents, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_field_that_nobody_has_is_an_error_that_lists_fields,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(counts_depend_on_the_position_only, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_file_that_is_not_read_is_told_at_once, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(the_fingerprint_covers_how_files_are_cut, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(the_fingerprint_is_of_what_is_inside, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_model_that_has_to_be_read_is_told, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_fingerprint_is_remembered_until_the_file_changes,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(large_files_are_sampled, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
