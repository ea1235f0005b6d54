/* The small HTTP client against servers that answer well, badly, late and never. */
#include "cli/fetch.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char address[64];
static int listener;
static const char *answer; /* NULL: none */
static size_t answer_bytes;

static void *serve_one(void *arg)
{
    char request[512];
    (void)arg;
    int fd = accept(listener, NULL, NULL);
    ssize_t n = recv(fd, request, sizeof request - 1, 0);
    request[n > 0 ? n : 0] = '\0';
    if (strncmp(request, "GET /api/status HTTP/1.0\r\n", 26) != 0) answer = NULL;
    for (size_t at = 0; answer && at < answer_bytes;) {
        n = send(fd, answer + at, answer_bytes - at, MSG_NOSIGNAL);
        if (n <= 0) break;
        at += (size_t)n;
    }
    if (!answer) nanosleep(&(struct timespec){0, 300000000}, NULL);
    close(fd);
    return NULL;
}

static int fetch_answer(const char *text, size_t bytes, char **body, size_t *size)
{
    pthread_t thread;
    answer = text;
    answer_bytes = bytes;
    assert_int_equal(pthread_create(&thread, NULL, serve_one, NULL), 0);
    int result = fetch(address, "/api/status", 200, body, size);
    pthread_join(thread, NULL);
    return result;
}

static void a_good_answer(void **state)
{
    (void)state;
    const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    char *body;
    size_t bytes;
    assert_int_equal(fetch_answer(text, sizeof text - 1, &body, &bytes), ERR_OK);
    assert_string_equal(body, "hello");
    assert_int_equal(bytes, 5);
    free(body);
}

static void a_long_answer_and_one_too_long(void **state)
{
    (void)state;
    size_t size = 9 << 20, bytes;
    char *text = malloc(size), *body;
    memset(text, 'x', size);
    memcpy(text, "HTTP/1.0 200 OK\r\n\r\n", 19);
    assert_int_equal(fetch_answer(text, 1 << 20, &body, &bytes), ERR_OK);
    assert_int_equal(bytes, (1 << 20) - 19);
    free(body);
    assert_int_equal(fetch_answer(text, size, &body, &bytes), ERR_LIMIT);
    free(text);
}

static void bad_answers(void **state)
{
    (void)state;
    static const char *const bad[] = {"HTTP/1.1 404 Not Found\r\n\r\nno", "SSH-2.0-x\r\n\r\n",
                                      "HTTP/1.1 200 OK\r\n", ""};
    char *body;
    size_t bytes;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(fetch_answer(bad[i], strlen(bad[i]), &body, &bytes), ERR_FORMAT);
}

static void no_answer_in_time(void **state)
{
    (void)state;
    char *body;
    size_t bytes;
    assert_int_equal(fetch_answer(NULL, 0, &body, &bytes), ERR_AGAIN);
}

static void nobody_there(void **state)
{
    (void)state;
    char *body;
    size_t bytes;
    close(listener);
    assert_int_equal(fetch(address, "/", 200, &body, &bytes), ERR_NOTFOUND);
    assert_int_equal(fetch("nonsense", "/", 200, &body, &bytes), ERR_FORMAT);
    assert_int_equal(fetch("host.example:80", "/", 200, &body, &bytes), ERR_FORMAT);
}

static int set_up(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    (void)state;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(listener, 4) != 0 ||
        getsockname(listener, (struct sockaddr *)&a, &size) != 0)
        return -1;
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(a.sin_port));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_answer), cmocka_unit_test(a_long_answer_and_one_too_long),
        cmocka_unit_test(bad_answers),   cmocka_unit_test(no_answer_in_time),
        cmocka_unit_test(nobody_there),
    };
    return cmocka_run_group_tests_name("fetch", tests, set_up, NULL);
}
