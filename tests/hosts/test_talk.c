/* A streamed answer, whatever pieces it comes in. */
#include "base/err.h"
#include "tests/hosts/talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char chunked[] =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    "28\r\ndata: {\"choices\":[{\"text\":\" one\"}]}\n\ndat\r\n"
    "24\r\na: {\"choices\":[{\"text\":\" two\"}]}\n\n: \r\n"
    "35\r\nping\n\ndata: {\"choices\":[{\"text\":\"\"}]}\n\ndata: [DONE]\n\n\r\n"
    "0\r\n\r\n";
static struct talk talk;

/* In pieces of so many bytes; `now_ns` is the number of the byte that began a piece. */
static int feed(const char *answer, size_t piece)
{
    size_t bytes = strlen(answer);
    int result = ERR_OK;
    memset(&talk, 0, sizeof talk);
    for (size_t at = 0; at < bytes && result == ERR_OK; at += piece)
        result = talk_feed(&talk, answer + at, piece < bytes - at ? piece : bytes - at, at);
    return result;
}

static void any_pieces(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < sizeof chunked; piece++) {
        assert_int_equal(feed(chunked, piece), ERR_OK);
        assert_string_equal(talk.text, " one two");
        assert_int_equal(talk.tokens, 2);
        assert_int_equal(talk.done, 1);
    }
}

static void a_token_has_its_time(void **state)
{
    (void)state;
    feed(chunked, 1);
    assert_true(talk.token_ns[0] < talk.token_ns[1]);
    assert_int_equal(chunked[talk.token_ns[0]], '\n');
}

static void not_chunked(void **state)
{
    (void)state;
    assert_int_equal(
        feed("HTTP/1.1 200 OK\r\n\r\ndata: {\"choices\":[{\"text\":\"a\"}]}\r\n\r\n", 7), ERR_OK);
    assert_string_equal(talk.text, "a");
    assert_int_equal(talk.done, 0);
}

static void errors_are_told(void **state)
{
    (void)state;
    assert_int_equal(feed("HTTP/1.1 503 Busy\r\n\r\n{\"error\":\"Loading\"}\n", 9), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "503"));
    assert_non_null(strstr(err_text(), "Loading"));
    assert_int_equal(feed("SSH-2.0\r\n", 9), ERR_FORMAT);
    assert_int_equal(feed("HTTP/1.1 200 OK\r\n\r\ndata: {\"error\":1}\n", 9), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_pieces),
        cmocka_unit_test(a_token_has_its_time),
        cmocka_unit_test(not_chunked),
        cmocka_unit_test(errors_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
