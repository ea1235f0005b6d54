/* HTTP over a real socket: pages, refusals, the address file, a port in use. */
#include "runtime/http.h"
#include "runtime/http_stream.h"

#include "base/err.h"
#include "base/fileio.h"
#include "runtime/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "tests/unit/runtime/exposition.h"

static const struct metric table[] = {
    {.name = "sluice_rows_total", .kind = METRIC_COUNTER, .unit = "rows", .help = "Rows."},
    {.name = "sluice_step_seconds",
     .kind = METRIC_HISTOGRAM,
     .unit = "seconds",
     .help = "Step.",
     .bucket = {0.1, 1}},
};

static uv_loop_t loop;
static struct metrics *metrics;
static struct http *http;
static char folder[] = "/tmp/sluice-http-XXXXXX", file[64], answer[16384];
static int sick, tired;

static int health(void *arg)
{
    (void)arg;
    return sick ? err_set(ERR_STATE, "no sink for 20 s") : ERR_OK;
}

static int unready(void *arg)
{
    (void)arg;
    return tired ? err_set(ERR_STATE, "no rows to draw") : ERR_OK;
}

static int get_status(void *arg, struct http_reply *reply)
{
    reply->body = strdup(arg);
    reply->bytes = strlen(arg);
    return ERR_OK;
}

static int get_broken(void *arg, struct http_reply *reply)
{
    (void)arg;
    (void)reply;
    return err_set(ERR_IO, "cannot tell");
}

/* What came, and whether it is as it was. */
static int post_echo(void *arg, const struct http_request *request, struct http_reply *reply)
{
    (void)arg;
    if (strncmp(request->body, "no", 2) == 0) return err_set(ERR_USAGE, "not so");
    reply->content_type = "text/plain";
    reply->body = strdup(request->body);
    reply->bytes = request->bytes;
    return ERR_OK;
}

static int get_digits(void *arg, const struct http_request *request, struct http_reply *reply)
{
    char path[] = "/tmp/sluice-digits-XXXXXX";
    (void)arg;
    (void)request;
    reply->file = mkstemp(path);
    unlink(path);
    assert_int_equal(write(reply->file, "0123456789", 10), 10);
    reply->file_bytes = 10;
    return ERR_OK;
}

static unsigned slow_seconds = 1;
static const struct http_handler handlers[] = {
    {.path = "/echo", .ask = post_echo, .most_body_bytes = 10},
    {.path = "/digits", .ask = get_digits},
    {.path = "/api/status", .get = get_status, .arg = "{\"a\":1}"},
    {.path = "/broken", .get = get_broken},
    {.path = "/events", .is_stream = 1},
};

static int open_with(const char *address, unsigned connections, struct http **out)
{
    struct http_options options = {.address = address,
                                   .address_file = file,
                                   .metrics = metrics,
                                   .ready = unready,
                                   .health = health,
                                   .request_seconds = slow_seconds,
                                   .connections = connections,
                                   .handlers = handlers,
                                   .handlers_count = sizeof handlers / sizeof *handlers};
    return http_open(&loop, &options, out);
}

static int open_at(const char *address, struct http **out)
{
    return open_with(address, 0, out);
}

static int set_up(void **state)
{
    (void)state;
    uv_loop_init(&loop);
    strcpy(strrchr(folder, '-'), "-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(file, sizeof file, "%s/http/sink", folder);
    sick = tired = 0;
    if (metrics_new(table, 2, &metrics) != ERR_OK) return -1;
    int result = open_at("127.0.0.1:0", &http);
    return result == ERR_OK ? http_announce(http) : result;
}

static int tear_down(void **state)
{
    (void)state;
    http_close(http);
    uv_run(&loop, UV_RUN_DEFAULT);
    metrics_free(metrics);
    dir_remove(folder);
    return uv_loop_close(&loop);
}

static int receive_bytes; /* that the system keeps of a connection; 0: as it likes */

static int connect_to(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_bytes) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Send a request, run the loop until the server closes, keep what came in `answer`. */
static const char *ask(const char *request)
{
    int fd = connect_to(http_address(http));
    size_t used = 0;
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    for (int i = 0; i < 2000; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        ssize_t n = recv(fd, answer + used, sizeof answer - 1 - used, MSG_DONTWAIT);
        if (n == 0) break;
        if (n > 0) {
            used += (size_t)n;
        } else {
            usleep(1000);
        }
    }
    close(fd);
    answer[used] = '\0';
    return answer;
}
#define GET(path) ask("GET " path " HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n\r\n")

static void has(const char *words)
{
    if (!strstr(answer, words)) fail_msg("'%s' is not in: %s", words, answer);
}

static const char *body(void)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end ? end + 4 : "";
}

static void test_metrics_page(void **state)
{
    (void)state;
    metrics_add(metrics, 0, 3);
    metrics_observe(metrics, 1, 0.5);
    GET("/metrics");
    has("HTTP/1.1 200");
    has("Content-Type: text/plain; version=0.0.4");
    has("sluice_rows_total 3\n");
    if (!exposition_ok(body())) fail_msg("%s", exposition_why);
    has("Cross-Origin-Resource-Policy: same-origin"); /* no page of another may take it in */
}

static void test_health(void **state)
{
    (void)state;
    GET("/healthz");
    has("HTTP/1.1 200");
    assert_string_equal(body(), "ok\n");
    sick = 1;
    GET("/healthz");
    has("HTTP/1.1 503");
    assert_string_equal(body(), "no sink for 20 s\n");
    sick = 0;
    GET("/readyz");
    has("HTTP/1.1 200");
    tired = 1;
    GET("/readyz");
    has("HTTP/1.1 503");
    assert_string_equal(body(), "no rows to draw\n");
    GET("/healthz"); /* it may pass */
    has("HTTP/1.1 200");
}

static void test_handlers(void **state)
{
    (void)state;
    GET("/api/status");
    has("HTTP/1.1 200");
    has("Content-Type: application/json");
    assert_string_equal(body(), "{\"a\":1}");
    GET("/broken");
    has("HTTP/1.1 500");
    has("cannot tell");
    GET("/nothing");
    has("HTTP/1.1 404");
}

static void test_refusals(void **state)
{
    (void)state;
    ask("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nConnection: "
        "close\r\n\r\nx");
    has("HTTP/1.1 405");
    has("Allow: GET, HEAD");
    ask("HEAD /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    has("HTTP/1.1 200");
    assert_string_equal(body(), "");
    /* a page elsewhere whose name was made to point here */
    ask("GET /api/status HTTP/1.1\r\nHost: evil.example:80\r\nConnection: close\r\n\r\n");
    has("HTTP/1.1 403");
    assert_null(strstr(answer, "\"a\""));
    ask("GET /api/status HTTP/1.1\r\nHost: 127.evil.example\r\nConnection: close\r\n\r\n");
    has("HTTP/1.1 403");
    ask("GET /healthz HTTP/1.0\r\n\r\n");
    has(" 200 ");
    ask("\r\n\x01\x02garbage\r\n\r\n");
}

/* A body may come in pieces, and is bounded. */
static void test_bodies(void **state)
{
    (void)state;
#define POST "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    ask(POST "Content-Length: 10\r\n\r\n0123456789");
    has("HTTP/1.1 200");
    assert_string_equal(body(), "0123456789");
    ask(POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    assert_string_equal(body(), "abcdefg");
    ask(POST "Content-Length: 0\r\n\r\n");
    has("HTTP/1.1 200");
    assert_string_equal(body(), "");
    ask(POST "Content-Length: 11\r\n\r\n0123456789x");
    has("HTTP/1.1 413");
    ask(POST "Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n");
    has("HTTP/1.1 413");
    ask(POST "Content-Length: 2\r\n\r\nno");
    has("HTTP/1.1 400");
    has("not so");
    GET("/echo");
    has("HTTP/1.1 405");
    has("Allow: POST");
}

#define PART(range)                                                                                \
    ask("GET /digits HTTP/1.1\r\nHost: localhost\r\nRange: " range "\r\nConnection: "              \
        "close\r\n\r\n")

static void test_parts_of_files(void **state)
{
    (void)state;
    GET("/digits");
    has("HTTP/1.1 200");
    assert_string_equal(body(), "0123456789");
    PART("bytes=3-5");
    has("HTTP/1.1 206");
    has("Content-Range: bytes 3-5/10");
    assert_string_equal(body(), "345");
    PART("bytes=10-");
    has("HTTP/1.1 416");
    has("Content-Range: bytes */10");
    assert_string_equal(body(), "");
}

static void test_address_file(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    struct stat st;
    assert_int_equal(file_read(file, 100, &text, &bytes), ERR_OK);
    assert_int_equal(strncmp(text, "127.0.0.1:", 10), 0);
    text[bytes - 1] = '\0';
    assert_string_equal(text, http_address(http));
    free(text);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    ino_t written = st.st_ino;
    assert_int_equal(http_announce(http), ERR_OK); /* once is enough: nothing is written anew */
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_ino, written);
    struct http *second; /* which comes to no role, and so announces nothing */
    assert_int_equal(open_at("127.0.0.1:0", &second), ERR_OK);
    http_close(second);
    assert_int_equal(access(file, F_OK), 0);
    http_close(http);
    http = NULL;
    assert_int_equal(access(file, F_OK), -1);
}

/* Close it as a kill does: its file stays, with this text in it (NULL: its own). */
static void close_as_killed(const char *text)
{
    char *before;
    size_t bytes;
    assert_int_equal(file_read(file, 100, &before, &bytes), ERR_OK);
    http_close(http);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(file_replace(file, text ? text : before, text ? strlen(text) : bytes), ERR_OK);
    free(before);
}

/* An open page finds the next life at the same address. */
static void test_port_of_an_earlier_life(void **state)
{
    (void)state;
    char before[64];
    snprintf(before, sizeof before, "%s", http_address(http));
    close_as_killed(NULL);
    assert_int_equal(open_at("127.0.0.1:0", &http), ERR_OK);
    assert_string_equal(http_address(http), before);
    struct http *second; /* the first one is at work there */
    assert_int_equal(open_at("127.0.0.1:0", &second), ERR_OK);
    assert_string_not_equal(http_address(second), before);
    http_close(second);
}

/* Nothing that stands in that file keeps a process from its page. */
static void test_earlier_lives_that_say_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",      "\n",           "127.0.0.1:99999\n", "127.0.0.1:1x\n",
        ":-1\n", "8.8.8.8:53\n", "127.0.0.1:000080",  "\x01:\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(http_announce(http), ERR_OK);
        close_as_killed(texts[i]);
        assert_int_equal(open_at("127.0.0.1:0", &http), ERR_OK);
        assert_int_equal(strncmp(http_address(http), "127.0.0.1:", 10), 0);
    }
}

static void test_addresses(void **state)
{
    (void)state;
    struct http *second = NULL;
    assert_int_equal(open_at(http_address(http), &second), ERR_EXISTS);
    assert_non_null(strstr(err_text(), http_address(http)));
    assert_non_null(strstr(err_text(), "HINT"));
    assert_int_equal(open_at("0.0.0.0:0", &second), ERR_USAGE);
    assert_int_equal(open_at("127.1:0", &second), ERR_USAGE);
    assert_int_equal(open_at("localhost", &second), ERR_USAGE);
    assert_int_equal(open_at("off", &second), ERR_USAGE); /* who serves nothing opens nothing */
    assert_int_equal(open_at("localhost:0", &second), ERR_OK);
    http_close(second);
}

/* Connections that say nothing do not keep others out for ever, nor hold the loop. */
static void test_silent_connections(void **state)
{
    (void)state;
    int fds[40];
    for (int i = 0; i < 40; i++) {
        fds[i] = connect_to(http_address(http));
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < 40; i++) close(fds[i]);
    for (int i = 0; i < 50; i++) uv_run(&loop, UV_RUN_NOWAIT);
    GET("/healthz");
    has("HTTP/1.1 200");
}

enum { SLOW = 40 };

static void begin_slow(int fds[SLOW])
{
    for (int i = 0; i < SLOW; i++) {
        fds[i] = connect_to(http_address(http));
        assert_int_equal(write(fds[i], "GET /healthz HTT", 16), 16);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
}

/* Nor do those that send a byte now and then: each has a second, as this page is set up. */
static void test_slow_connections(void **state)
{
    (void)state;
    int fds[SLOW], is_heard = 0;
    char byte;
    begin_slow(fds);
    int fd = connect_to(http_address(http));
    assert_int_equal(write(fd, "GET /readyz HTTP/1.0\r\n\r\n", 24), 24);
    for (int t = 0; t < 400 && !is_heard; t++) {
        for (int i = 0; i < SLOW; i++) send(fds[i], "P", 1, MSG_NOSIGNAL);
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(10000);
        is_heard = recv(fd, &byte, 1, MSG_DONTWAIT) == 1;
    }
    for (int i = 0; i < SLOW; i++) close(fds[i]);
    close(fd);
    assert_true(is_heard);
}

/* A crowd that says nothing leaves the places to others after a second, whatever a request may take. */
static void test_crowd(void **state)
{
    (void)state;
    enum { CROWD = 100 };
    int fds[CROWD], is_heard = 0;
    char byte;
    http_close(http);
    uv_run(&loop, UV_RUN_NOWAIT);
    slow_seconds = 600;
    assert_int_equal(open_at("127.0.0.1:0", &http), ERR_OK);
    slow_seconds = 1;
    for (int i = 0; i < CROWD; i++) fds[i] = connect_to(http_address(http));
    int fd = connect_to(http_address(http));
    assert_int_equal(write(fd, "GET /readyz HTTP/1.0\r\n\r\n", 24), 24);
    for (int t = 0; t < 3000 && !is_heard; t++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(10000);
        is_heard = recv(fd, &byte, 1, MSG_DONTWAIT) == 1;
    }
    for (int i = 0; i < CROWD; i++) close(fds[i]);
    close(fd);
    assert_true(is_heard);
}

/* ---- streams ---- */

static const char listen_request[] = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";

static void turn(int times)
{
    for (int i = 0; i < times; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(200);
    }
}

static int begin_listening(void)
{
    size_t before = http_listeners(http);
    int fd = connect_to(http_address(http));
    assert_int_equal(write(fd, listen_request, sizeof listen_request - 1),
                     sizeof listen_request - 1);
    for (int i = 0; i < 5000 && http_listeners(http) == before; i++) turn(1);
    assert_int_equal(http_listeners(http), before + 1);
    return fd;
}

/* What has come on a connection until `words` are in it; 0: it has ended, or they do not come. */
static int hears(int fd, const char *words)
{
    size_t used = 0;
    for (int i = 0; i < 10000; i++) {
        turn(1);
        ssize_t n = recv(fd, answer + used, sizeof answer - 1 - used, MSG_DONTWAIT);
        if (n == 0) break;
        if (n > 0) used += (size_t)n;
        answer[used] = '\0';
        if (strstr(answer, words)) return 1;
    }
    return 0;
}

static void tell(const char *text)
{
    http_send(http, "status", text, strlen(text));
}

static int ends(int fd)
{
    for (int i = 0; i < 40000; i++) {
        turn(1);
        ssize_t n = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return 1;
    }
    return 0;
}

static void test_stream(void **state)
{
    (void)state;
    tell("nobody hears this");
    int one = begin_listening(), two = begin_listening();
    assert_true(hears(one, "retry: 1000\n\n"));
    has("HTTP/1.1 200");
    has("Content-Type: text/event-stream");
    has("Cache-Control: no-store");
    tell("{\"a\":1}");
    assert_true(hears(one, "event: status\ndata: {\"a\":1}\n\n"));
    assert_true(hears(two, "event: status\ndata: {\"a\":1}\n\n"));
    assert_null(strstr(answer, "nobody"));
    for (int i = 0; i < 1500; i++) { /* for longer than a request may take */
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    tell("{\"a\":2}");
    assert_true(hears(one, "data: {\"a\":2}\n\n"));
    close(one);
    for (int i = 0; i < 100 && http_listeners(http) > 1; i++) {
        tell("{\"a\":3}");
        turn(10);
    }
    assert_int_equal(http_listeners(http), 1);
    assert_true(hears(two, "data: {\"a\":3}\n\n"));
    GET("/healthz");
    has("HTTP/1.1 200");
    close(two);
}

static void test_stream_refusals(void **state)
{
    (void)state;
    int fds[HTTP_STREAM_LISTENERS];
    ask("POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: "
        "close\r\n\r\n");
    has("HTTP/1.1 405");
    ask("GET /events HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    has("HTTP/1.1 403");
    ask("HEAD /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    has("HTTP/1.1 200");
    assert_int_equal(http_listeners(http), 0);
    http_close(http);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(open_with("127.0.0.1:0", 2 * HTTP_STREAM_LISTENERS, &http), ERR_OK);
    for (int i = 0; i < HTTP_STREAM_LISTENERS; i++) fds[i] = begin_listening();
    GET("/events");
    has("HTTP/1.1 503");
    has("too many listen");
    GET("/healthz");
    has("HTTP/1.1 200");
    for (int i = 0; i < HTTP_STREAM_LISTENERS; i++) close(fds[i]);
}

/* Who takes little holds one document, skips others, is ended in the end, and holds up nobody. */
static void test_slow_listener(void **state)
{
    (void)state;
    enum { BYTES = 400000 };
    char *text = malloc(BYTES + 1);
    memset(text, 'x', BYTES);
    text[BYTES] = '\0';
    receive_bytes = 4096;
    int slow = begin_listening();
    assert_true(hears(slow, "retry: 1000\n\n"));
    receive_bytes = 0;
    int quick = begin_listening();
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (int i = 0; i < 50; i++) {
        snprintf(text, 32, "{\"number\":%d}", i);
        text[strlen(text)] = ' ';
        tell(text);
        turn(2);
        while (recv(quick, answer, sizeof answer, MSG_DONTWAIT) > 0) turn(1);
    }
    size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    if (after > before + 4 * BYTES) fail_msg("%zu bytes are kept", after - before);
    for (int i = 0; i < 600 && http_listeners(http) > 1; i++) {
        tell(text);
        (void)!recv(slow, answer, 2500, MSG_DONTWAIT);
        turn(10);
        while (recv(quick, answer, sizeof answer, MSG_DONTWAIT) > 0) turn(1);
    }
    assert_int_equal(http_listeners(http), 1);
    tell("{\"last\":1}");
    assert_true(hears(quick, "{\"last\":1}"));
    assert_true(ends(slow));
    close(slow);
    close(quick);
    free(text);
}

/* A process that ends has listeners, who are told nothing more. */
static void test_close_with_listeners(void **state)
{
    (void)state;
    int one = begin_listening(), two = begin_listening();
    tell("{\"a\":1}");
    assert_true(hears(one, "{\"a\":1}"));
    http_close(http);
    http = NULL;
    assert_true(ends(one));
    assert_true(ends(two));
    close(one);
    close(two);
}

static int is_over;
static void on_over(uv_timer_t *timer)
{
    (void)timer;
    is_over = 1;
}

/* At its limit of connections libmicrohttpd listens no more; once they have ended nothing wakes a
 * loop that sleeps, and somebody new must be heard all the same. */
static void test_listens_again(void **state)
{
    (void)state;
    int fds[SLOW];
    char byte;
    uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    begin_slow(fds);
    is_over = 0;
    uv_timer_start(&timer, on_over, 8000, 0);
    int fd = connect_to(http_address(http));
    assert_int_equal(write(fd, "GET /readyz HTTP/1.0\r\n\r\n", 24), 24);
    while (!is_over && recv(fd, &byte, 1, MSG_DONTWAIT) != 1) uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    for (int i = 0; i < SLOW; i++) close(fds[i]);
    close(fd);
    assert_false(is_over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_metrics_page, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_health, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_handlers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bodies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parts_of_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_address_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_port_of_an_earlier_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_earlier_lives_that_say_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silent_connections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_connections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_listens_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stream_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_listener, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_with_listeners, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_crowd, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
