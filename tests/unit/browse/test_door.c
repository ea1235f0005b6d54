/* Who may come in to a feature browser, without a server. */
#include "browse/door.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the above first */
#include <cmocka.h>

static struct door door;

static int open_door(void **state)
{
    (void)state;
    return door_open(&door, "127.0.0.1:8080");
}

static enum door_verdict judge(struct door_visit visit)
{
    const char *why = NULL;
    enum door_verdict verdict = door_judge(&door, &visit, &why);
    if (verdict == DOOR_SHUT) assert_non_null(why);
    return verdict;
}

/* A visit that is let in, of which a test changes one thing. */
static struct door_visit good(void)
{
    return (struct door_visit){
        .method = "GET", .path = "/index.json", .host = "127.0.0.1:8080", .cookie = door.token};
}

static void tokens_are_by_chance(void **state)
{
    struct door other;
    (void)state;
    assert_int_equal(door_open(&other, "127.0.0.1:8081"), ERR_OK);
    assert_int_equal(strlen(other.token), 32);
    assert_int_equal(strspn(other.token, "0123456789abcdef"), 32);
    assert_string_not_equal(other.token, door.token);
    assert_string_not_equal(other.cookie_name, door.cookie_name);
}

static void the_cookie_lets_in(void **state)
{
    char almost[TOKEN_BYTES];
    struct door_visit v = good();
    (void)state;
    assert_int_equal(judge(v), DOOR_OPEN);
    strcpy(almost, door.token);
    almost[31] = almost[31] == '0' ? '1' : '0';
    v.cookie = almost;
    assert_int_equal(judge(v), DOOR_SHUT);
    almost[31] = '\0';
    assert_int_equal(judge(v), DOOR_SHUT);
    v.cookie = "";
    assert_int_equal(judge(v), DOOR_SHUT);
    v.cookie = NULL;
    assert_int_equal(judge(v), DOOR_SHUT);
}

static void the_token_is_exchanged_at_the_page_alone(void **state)
{
    struct door_visit v = {
        .method = "GET", .path = "/", .host = "127.0.0.1:8080", .token = door.token};
    (void)state;
    assert_int_equal(judge(v), DOOR_ENTER);
    v.path = "/index.json";
    assert_int_equal(judge(v), DOOR_SHUT);
    v.path = "/";
    v.method = "POST";
    v.origin = "http://127.0.0.1:8080";
    assert_int_equal(judge(v), DOOR_SHUT);
}

static void only_for_this_host(void **state)
{
    static const char *const ours[] = {"127.0.0.1:8080", "localhost:8080", "[::1]:8080"};
    static const char *const others[] = {
        NULL,        "",           "127.0.0.1",        "127.0.0.1:80",        "127.0.0.1:80800",
        "evil:8080", "localhost",  "localhost:8080.x", "localhost.evil:8080", "127.0.0.1:8080:8080",
        "::1:8080",  "127.1:8080", "127.0.0.2:8080",   "user@127.0.0.1:8080",
    };
    struct door_visit v = good();
    (void)state;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        v.host = ours[i];
        assert_int_equal(judge(v), DOOR_OPEN);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        v.host = others[i];
        if (judge(v) != DOOR_SHUT) fail_msg("open for %s", others[i] ? others[i] : "no host");
    }
}

/* 127.0.0.2 is this machine, too. */
static void the_printed_address_is_this_host(void **state)
{
    struct door at_two;
    const char *why;
    (void)state;
    assert_int_equal(door_open(&at_two, "127.0.0.2:8080"), ERR_OK);
    struct door_visit v = {.method = "GET", .path = "/", .token = at_two.token};
    v.host = "127.0.0.2:8080";
    assert_int_equal(door_judge(&at_two, &v, &why), DOOR_ENTER);
    v.host = "127.0.0.3:8080";
    assert_int_equal(door_judge(&at_two, &v, &why), DOOR_SHUT);
}

static void not_for_pages_of_others(void **state)
{
    static const char *const others[] = {
        "http://evil.example",  "null", "", "https://127.0.0.1:8080", "http://127.0.0.1:8081",
        "http://localhost:8080"};
    struct door_visit v = good();
    (void)state;
    v.origin = "http://127.0.0.1:8080";
    assert_int_equal(judge(v), DOOR_OPEN);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        v.origin = others[i];
        if (judge(v) != DOOR_SHUT) fail_msg("open for %s", others[i]);
    }
    /* what changes something has to say where it comes from */
    v.method = "POST";
    v.origin = NULL;
    assert_int_equal(judge(v), DOOR_SHUT);
    v.origin = "http://127.0.0.1:8080";
    assert_int_equal(judge(v), DOOR_OPEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_by_chance),
        cmocka_unit_test(the_cookie_lets_in),
        cmocka_unit_test(the_token_is_exchanged_at_the_page_alone),
        cmocka_unit_test(only_for_this_host),
        cmocka_unit_test(the_printed_address_is_this_host),
        cmocka_unit_test(not_for_pages_of_others),
    };
    return cmocka_run_group_tests(tests, open_door, NULL);
}
