/* Keys and the allow-list: made, read, refused where they are not what they should be. */
#include "runtime/keys.h"

#include "base/err.h"
#include "base/fileio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[128], list[128];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/sluice-keys-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/client.key", folder);
    snprintf(list, sizeof list, "%s/allow", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(folder);
}

static void put(const char *file, const char *text)
{
    assert_int_equal(file_replace(file, text, strlen(text)), ERR_OK);
}

static void said(const char *part)
{
    if (!strstr(err_text(), part)) fail_msg("'%s' is not in: %s", part, err_text());
}

static void pairs_come_back(void **state)
{
    (void)state;
    struct keys_pair a, b;
    char public_key[KEYS_TEXT_BYTES], public_path[128];
    struct stat st;
    assert_int_equal(keys_make(&a), ERR_OK);
    assert_int_equal(keys_write_pair(path, "x", &a), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(keys_read_pair(path, &b), ERR_OK);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(keys_write_pair(path, "x", &a), ERR_EXISTS);
    snprintf(public_path, sizeof public_path, "%s/broker.pub", folder);
    assert_int_equal(keys_write_public(public_path, "x", a.public_key), ERR_OK);
    assert_int_equal(keys_read_public(public_path, public_key), ERR_OK);
    assert_string_equal(public_key, a.public_key);
    assert_int_equal(keys_read_pair(public_path, &b), ERR_FORMAT);
    assert_int_equal(keys_read_public(path, public_key), ERR_FORMAT);
}

static void no_key_that_others_may_have(void **state)
{
    (void)state;
    struct keys_pair a, b;
    char link[128], text[512];
    keys_make(&a);
    assert_int_equal(keys_read_pair(path, &b), ERR_NOTFOUND);
    said("keygen");
    keys_write_pair(path, "x", &a);
    chmod(path, 0640);
    assert_int_equal(keys_read_pair(path, &b), ERR_USAGE);
    said("chmod 600");
    chmod(path, 0600);
    snprintf(link, sizeof link, "%s/link.key", folder);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(keys_read_pair(link, &b), ERR_USAGE);
    assert_int_equal(keys_read_pair(folder, &b), ERR_USAGE);
    /* A secret of another pair. */
    keys_make(&b);
    snprintf(text, sizeof text, "sluice-key 1\nname x\npublic %s\nsecret %s\n", a.public_key,
             b.secret);
    put(path, text);
    assert_int_equal(keys_read_pair(path, &b), ERR_FORMAT);
    said("no pair");
    if (strstr(err_text(), "secret ")) fail_msg("a secret in an error: %s", err_text());
    if (geteuid() != 0) return;
    keys_write_public(link, "x", a.public_key);
    unlink(link);
    keys_write_public(link, "x", a.public_key);
    assert_int_equal(chown(link, 65534, 65534), 0);
    assert_int_equal(keys_read_public(link, text), ERR_USAGE);
    said("another user");
}

static void lists_say_who_may_what(void **state)
{
    (void)state;
    struct keys_pair a, b;
    struct keys_allow *allow;
    const char *name;
    keys_make(&a);
    keys_make(&b);
    assert_int_equal(keys_allow_open(list, &allow), ERR_NOTFOUND);
    assert_int_equal(keys_allow_add(list, "a", KEYS_PRODUCE | KEYS_STATUS, a.public_key), ERR_OK);
    assert_int_equal(keys_allow_add(list, "b", KEYS_SINK, b.public_key), ERR_OK);
    assert_int_equal(keys_allow_add(list, "b", KEYS_SINK, b.public_key), ERR_EXISTS);
    assert_int_equal(keys_allow_open(list, &allow), ERR_OK);
    assert_int_equal(keys_allow_count(allow), 2);
    assert_int_equal(keys_allow_roles(allow, a.public_key, &name), KEYS_PRODUCE | KEYS_STATUS);
    assert_string_equal(name, "a");
    assert_int_equal(keys_allow_roles(allow, b.public_key, NULL), KEYS_SINK);
    assert_int_equal(keys_allow_roles(allow, a.secret, &name), 0);
    assert_string_equal(name, "");
    keys_allow_close(allow);
}

static void a_list_that_changes(void **state)
{
    (void)state;
    struct keys_pair a;
    struct keys_allow *allow;
    int code;
    keys_make(&a);
    keys_allow_add(list, "a", KEYS_ALL, a.public_key);
    assert_int_equal(keys_allow_open(list, &allow), ERR_OK);
    assert_int_equal(keys_allow_refresh(allow, &code), 0);
    assert_int_equal(code, ERR_OK);
    put(list, "# nobody\n");
    assert_int_equal(keys_allow_refresh(allow, &code), 1);
    assert_int_equal(keys_allow_roles(allow, a.public_key, NULL), 0);
    put(list, "nonsense\n"); /* the one of before holds on, and it is told once */
    assert_int_equal(keys_allow_refresh(allow, &code), 0);
    assert_int_equal(code, ERR_FORMAT);
    assert_int_equal(keys_allow_refresh(allow, &code), 0);
    assert_int_equal(code, ERR_OK);
    unlink(list);
    keys_allow_refresh(allow, &code);
    assert_int_equal(code, ERR_NOTFOUND);
    keys_allow_add(list, "a", KEYS_REPORT, a.public_key);
    assert_int_equal(keys_allow_refresh(allow, &code), 1);
    assert_int_equal(keys_allow_roles(allow, a.public_key, NULL), KEYS_REPORT);
    keys_allow_close(allow);
}

static void broken_lists_name_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *line, *why;
    } wrong[] = {
        {"a produce", "NAME ROLES KEY"},   {"a produce KEY more", "NAME ROLES KEY"},
        {"a fly KEY", "not a role"},       {"a , KEY", "not a role"},
        {"a/b produce KEY", "not a name"}, {"a produce short", "no public key"},
        {"first sink OTHER", "twice"},     {"a sink KEY0", "twice"},
    };
    struct keys_pair first, other;
    struct keys_allow *allow;
    keys_make(&first);
    keys_make(&other);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[512], line[128];
        const char *key = strstr(wrong[i].line, "KEY");
        const char *again = strstr(wrong[i].line, "KEY0");
        size_t head = key ? (size_t)(key - wrong[i].line) : strlen(wrong[i].line);
        if (strstr(wrong[i].line, "OTHER")) head = strlen("first sink ");
        int has_key = key || strstr(wrong[i].line, "OTHER");
        snprintf(line, sizeof line, "%.*s%s%s", (int)head, wrong[i].line,
                 has_key ? (again ? first.public_key : other.public_key) : "",
                 strstr(wrong[i].line, "more") ? " more" : "");
        snprintf(text, sizeof text, "\n# first\nfirst report %s\n%s\n", first.public_key, line);
        put(list, text);
        assert_int_equal(keys_allow_open(list, &allow), ERR_FORMAT);
        said(":4: ");
        said(wrong[i].why);
    }
    put(list, "\n");
    chmod(list, 0622);
    assert_int_equal(keys_allow_open(list, &allow), ERR_USAGE);
}

/* What is added is read again, or refused: a list that is too long would shut all out. */
static void a_list_is_not_made_too_long(void **state)
{
    (void)state;
    struct keys_pair a;
    struct keys_allow *allow;
    static char comments[(64 << 10) - 20];
    char name[16];
    int result = ERR_OK;
    for (int i = 0; i < KEYS_MAX_CLIENTS && result == ERR_OK; i++) {
        keys_make(&a);
        snprintf(name, sizeof name, "c%d", i);
        result = keys_allow_add(list, name, KEYS_REPORT, a.public_key);
    }
    assert_int_equal(result, ERR_OK);
    assert_int_equal(keys_allow_add(list, "other", KEYS_REPORT, a.public_key), ERR_EXISTS);
    keys_make(&a);
    assert_int_equal(keys_allow_add(list, "more", KEYS_REPORT, a.public_key), ERR_LIMIT);
    assert_int_equal(keys_allow_open(list, &allow), ERR_OK);
    assert_int_equal(keys_allow_count(allow), KEYS_MAX_CLIENTS);
    keys_allow_close(allow);
    memset(comments, '#', sizeof comments - 1);
    put(list, comments);
    assert_int_equal(keys_allow_add(list, "more", KEYS_REPORT, a.public_key), ERR_LIMIT);
    assert_int_equal(file_replace(list, "# a\0\n", 5), ERR_OK);
    assert_int_equal(keys_allow_add(list, "more", KEYS_REPORT, a.public_key), ERR_FORMAT);
    said("zero byte");
}

/* Whoever mistakes the columns, or the file, finds no key in the log. */
static void no_error_tells_a_key(void **state)
{
    (void)state;
    static const char *const lines[] = {"%s produce %s", "a %s produce",  "a produce %s more", "%s",
                                        "secret %s",     "name secret %s"};
    struct keys_pair a;
    struct keys_allow *allow;
    keys_make(&a);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[512];
        snprintf(text, sizeof text, lines[i], a.secret, a.public_key);
        put(list, text);
        int result = keys_allow_open(list, &allow);
        if (result == ERR_OK) { /* what looks like a public key is taken for one */
            keys_allow_close(allow);
            continue;
        }
        assert_int_equal(result, ERR_FORMAT);
        if (strstr(err_text(), a.secret)) fail_msg("a secret in an error: %s", err_text());
    }
}

static void roles_have_names(void **state)
{
    (void)state;
    uint32_t roles;
    char text[64];
    assert_int_equal(keys_roles_parse("produce,sink,report,status", &roles), ERR_OK);
    assert_int_equal(roles, KEYS_ALL);
    keys_roles_text(KEYS_REPORT | KEYS_PRODUCE, text);
    assert_string_equal(text, "produce,report");
    assert_int_equal(keys_roles_parse("", &roles), ERR_USAGE);
    assert_int_equal(keys_roles_parse("all", &roles), ERR_USAGE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(pairs_come_back),      T(no_key_that_others_may_have), T(lists_say_who_may_what),
        T(a_list_that_changes),  T(broken_lists_name_the_line),  T(roles_have_names),
        T(no_error_tells_a_key), T(a_list_is_not_made_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
