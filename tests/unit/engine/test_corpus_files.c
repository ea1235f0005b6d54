/* What files, patterns and folders stand for. */
#include "tests/unit/engine/support.h"

#include "engine/corpus_files.h"
#include "engine/corpus_names.h"

#include <sys/stat.h>

static void make(const char *name)
{
    char path[512], *slash;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    if (name[strlen(name) - 1] != '/') write_text(name, "text\n");
}

static int set_up(void **state)
{
    static const char *const names[] = {"data/a.jsonl",
                                        "data/b.txt.gz",
                                        "data/README.md",
                                        "data/LICENSE",
                                        "data/.gitattributes",
                                        "data/pic.png",
                                        "data/dataset_info.json",
                                        "data/sub/c.jsonl",
                                        "data/sub/deep/d.JSON",
                                        "data/.cache/e.jsonl",
                                        "data/sub/README.txt",
                                        "data/prepare.py",
                                        "words/one",
                                        "words/two.md",
                                        "words/README",
                                        "empty/"};
    if (make_folder(state) != 0) return -1;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) make(names[i]);
    return 0;
}

static struct corpus_files files;

static int find(const char *first, const char *second)
{
    static char paths[2][512];
    const char *listed[2] = {paths[0], paths[1]};
    corpus_files_free(&files);
    files = (struct corpus_files){0};
    snprintf(paths[0], sizeof paths[0], "%s/%s", folder, first);
    snprintf(paths[1], sizeof paths[1], "%s/%s", folder, second ? second : "");
    return corpus_files_find(&files, listed, second ? 2 : 1);
}

/* What is found, below the test's folder, in order. */
static void expect(const char *listed, const char *expected)
{
    char all[1000] = "";
    int result = find(listed, NULL);
    if (result != ERR_OK) print_error("%s\n", err_text());
    assert_int_equal(result, ERR_OK);
    for (size_t i = 0; i < files.count; i++)
        sprintf(all + strlen(all), "%s%s", i ? " " : "", files.items[i].path + strlen(folder) + 1);
    assert_string_equal(all, expected);
}

static void expect_error(const char *first, const char *second, int code, const char *says)
{
    assert_int_equal(find(first, second), code);
    if (!strstr(err_text(), says)) print_error("'%s' is not in: %s\n", says, err_text());
    assert_non_null(strstr(err_text(), says));
}

static void a_double_star_is_any_depth(void **state)
{
    (void)state;
    expect("data/**/*.jsonl", "data/a.jsonl data/sub/c.jsonl");
    expect("**/*.jsonl", "data/a.jsonl data/sub/c.jsonl");
    expect("data/**/deep/*", "data/sub/deep/d.JSON");
    expect("data/**/sub/**/d.*", "data/sub/deep/d.JSON");
    expect("data/**/**/c.jsonl", "data/sub/c.jsonl");
    expect("*/**/[ab].{jsonl,txt.gz}", "data/a.jsonl data/b.txt.gz");
    expect("data/*.jsonl", "data/a.jsonl");
    expect("data/.cache/*.jsonl", "data/.cache/e.jsonl");
    expect_error("data/**/*.none", NULL, ERR_USAGE, "no file matches");
    assert_true(corpus_names_match("a/**/b", "a/b"));
    assert_true(corpus_names_match("**/b/*", "b/a/b/c"));
    assert_false(corpus_names_match("a/**/b", "a/b/c"));
    assert_false(corpus_names_match("**/b", "a/.x/b"));
    assert_false(corpus_names_match("a/*/b", "a/b"));
}

static void a_folder_is_the_corpora_in_it(void **state)
{
    (void)state;
    expect("data", "data/a.jsonl data/b.txt.gz data/sub/c.jsonl data/sub/deep/d.JSON");
    assert_non_null(strstr(files.note, "4 files taken; left out: "));
    assert_non_null(strstr(files.note, "README.md"));
    assert_non_null(strstr(files.note, " more"));
    expect("data/", "data/a.jsonl data/b.txt.gz data/sub/c.jsonl data/sub/deep/d.JSON");
    expect("data/**", "data/a.jsonl data/b.txt.gz data/sub/c.jsonl data/sub/deep/d.JSON");
    expect("data/*", "data/a.jsonl data/b.txt.gz");
    expect("words", "words/one words/two.md"); /* nothing has an ending of data */
    assert_non_null(strstr(files.note, "left out: README"));
    expect("data/README.md", "data/README.md"); /* whoever names it means it */
    expect("data/*.md", "data/README.md");
    expect_error("empty", NULL, ERR_USAGE, "holds no file");
    expect_error("nowhere", NULL, ERR_NOTFOUND, "nowhere");
    expect_error("nowhere/*.txt", NULL, ERR_USAGE, "no file matches");
    expect_error("data/a.jsonl/*.txt", NULL, ERR_USAGE, "no file matches");
    expect_error("nowhere/**/*.txt", NULL, ERR_USAGE, "no file matches");
}

static void a_file_twice_is_an_error(void **state)
{
    (void)state;
    char from[512], to[512];
    expect_error("data/a.jsonl", "data/a.jsonl", ERR_USAGE, "listed twice");
    expect_error("data/*.jsonl", "data/a.jsonl", ERR_USAGE, "listed twice");
    expect_error("data", "data/sub/c.jsonl", ERR_USAGE, "listed twice");
    snprintf(from, sizeof from, "%s/data/a.jsonl", folder);
    snprintf(to, sizeof to, "%s/words/link", folder);
    assert_int_equal(symlink(from, to), 0);
    expect_error("data/a.jsonl", "words/link", ERR_USAGE, "are the same file");
    assert_non_null(strstr(err_text(), "trainer.reuse"));
    unlink(to);
    assert_int_equal(link(from, to), 0);
    expect_error("data/a.jsonl", "words/link", ERR_USAGE, "are the same file");
    unlink(to);
    corpus_files_free(&files);
    files = (struct corpus_files){0};
    static const char *const dashes[] = {"-", "-"};
    assert_int_equal(corpus_files_find(&files, dashes, 2), ERR_USAGE);
}

static void links_are_followed_and_end(void **state)
{
    (void)state;
    char to[512];
    snprintf(to, sizeof to, "%s/data/sub/up", folder);
    assert_int_equal(symlink("..", to), 0);
    expect("data/**/*.jsonl", "data/a.jsonl data/sub/c.jsonl");
    expect("data", "data/a.jsonl data/b.txt.gz data/sub/c.jsonl data/sub/deep/d.JSON");
    unlink(to);
    assert_int_equal(symlink("../../words", to), 0);
    expect("data/**/o*", "data/sub/up/one");
    unlink(to);
    assert_int_equal(symlink("nothing.jsonl", to), 0);
    expect("data/**/*.jsonl", "data/a.jsonl data/sub/c.jsonl");
    unlink(to);
    snprintf(to, sizeof to, "%s/data/gone.jsonl", folder);
    assert_int_equal(symlink("nothing.jsonl", to), 0);
    expect_error("data", NULL, ERR_NOTFOUND, "gone.jsonl"); /* of a folder it is told */
    expect_error("data/**/*.jsonl", NULL, ERR_NOTFOUND, "gone.jsonl");
    expect_error("data/*.jsonl", NULL, ERR_NOTFOUND, "gone.jsonl");
    expect("data/**/*.JSON", "data/sub/deep/d.JSON"); /* not meant by this */
    unlink(to);
}

/* Root reads everything: the test is somebody else where it can be. */
static void what_may_not_be_read_is_named(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s/words/locked", folder);
    chmod(folder, 0755);
    chmod(in_folder("words"), 0755);
    assert_int_equal(mkdir(path, 0), 0);
    int was_root = geteuid() == 0 && seteuid(65534) == 0;
    expect_error("words/**/*.txt", NULL, ERR_IO, "words/locked: Permission denied");
    expect_error("words/*/*.txt", NULL, ERR_IO, "words/locked, a folder of");
    expect_error("words/*/*.txt", NULL, ERR_IO, "Permission denied");
    if (was_root) assert_int_equal(seteuid(0), 0);
    chmod(path, 0444); /* its names can be read, not what they stand for */
    snprintf(path, sizeof path, "%s/words/locked/a.txt", folder);
    if (was_root) fclose(fopen(path, "w"));
    was_root = was_root && seteuid(65534) == 0;
    if (was_root) expect_error("words/**/*.txt", NULL, ERR_USAGE, "words/locked/a.txt");
    if (was_root) assert_int_equal(seteuid(0), 0);
    unlink(path);
    snprintf(path, sizeof path, "%s/words/locked", folder);
    assert_int_equal(rmdir(path), 0);
}

static void hidden_folders_are_entered_where_they_are_named(void **state)
{
    (void)state;
    expect("**/.cache/*.jsonl", "data/.cache/e.jsonl");
    expect("data/**/.c*/*.jsonl", "data/.cache/e.jsonl");
}

/* Folders that the note has no room for are counted. */
static void the_note_says_how_many_more(void **state)
{
    (void)state;
    enum { COUNT = 24 };
    static char paths[COUNT][512];
    const char *listed[COUNT];
    for (int i = 0; i < COUNT; i++) {
        char name[64];
        snprintf(name, sizeof name, "many-folders-%02d/a.txt", i);
        make(name);
        snprintf(name, sizeof name, "many-folders-%02d/README", i);
        make(name);
        snprintf(paths[i], sizeof paths[i], "%s/many-folders-%02d", folder, i);
        listed[i] = paths[i];
    }
    corpus_files_free(&files);
    files = (struct corpus_files){0};
    assert_int_equal(corpus_files_find(&files, listed, COUNT), ERR_OK);
    const char *more = strstr(files.note, "; and ");
    assert_non_null(more);
    int told = 0, counted = atoi(more + 6);
    for (const char *at = files.note; (at = strstr(at, "left out: README")); at++) told++;
    assert_int_equal(told + counted, COUNT);
    assert_non_null(strstr(more, "more left files out"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_double_star_is_any_depth),
        cmocka_unit_test(a_folder_is_the_corpora_in_it),
        cmocka_unit_test(a_file_twice_is_an_error),
        cmocka_unit_test(links_are_followed_and_end),
        cmocka_unit_test(what_may_not_be_read_is_named),
        cmocka_unit_test(hidden_folders_are_entered_where_they_are_named),
        cmocka_unit_test(the_note_says_how_many_more),
    };
    int failed = cmocka_run_group_tests(tests, set_up, remove_folder);
    corpus_files_free(&files);
    return failed;
}
