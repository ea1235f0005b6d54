/* Links over real sockets: order, nothing lost, slow readers, restarts, ownership, stale
 * sockets. */
#include "runtime/link.h"

#include "base/err.h"
#include "base/fileio.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>
/* cmocka wants the above first */
#include <cmocka.h>

enum { MANY = 100000 };

/* What one end has seen. */
struct end {
    struct link *link;
    struct link_route peer;
    uint64_t received, wrong, writable, released;
    uint32_t parts;
    uint64_t last;
    int echo, close_on_message;
};

static uv_loop_t loop;
static struct link_hub *hub;
static char folder[] = "/tmp/sluice-link-XXXXXX", endpoint[100];
static struct end router, dealer, second;
static pthread_t loop_thread;

static void on_message(void *arg, struct link *link, struct link_message *message)
{
    struct end *end = arg;
    size_t bytes;
    end->parts = link_parts(message);
    const uint8_t *data = link_data(message, end->parts - 1, &bytes);
    if (bytes >= sizeof end->last) {
        uint64_t number;
        memcpy(&number, data, sizeof number);
        if (number != end->last + 1) end->wrong++;
        end->last = number;
    }
    end->received++;
    end->peer = *link_message_route(message);
    if (end->close_on_message) {
        link_close(link);
        end->link = NULL;
    } else if (end->echo) {
        assert_int_equal(link_send(link, &end->peer, NULL, 0, data, bytes), ERR_OK);
    }
}

static void on_writable(void *arg, struct link *link)
{
    (void)link;
    ((struct end *)arg)->writable++;
}

static int open_end(struct end *end, enum link_kind kind, int bind, int high_water, uint32_t budget)
{
    struct link_options options = {.kind = kind,
                                   .endpoint = endpoint,
                                   .bind = bind,
                                   .send_high_water = high_water,
                                   .receive_high_water = high_water,
                                   .insecure_tcp = 1,
                                   .budget_messages = budget,
                                   .max_message_bytes = 1 << 20,
                                   .on_message = on_message,
                                   .on_writable = on_writable,
                                   .arg = end};
    *end = (struct end){0};
    return link_open(hub, &options, &end->link);
}

static int set_up(void **state)
{
    (void)state;
    loop_thread = pthread_self();
    uv_loop_init(&loop);
    strcpy(strrchr(folder, '-'), "-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(endpoint, sizeof endpoint, "ipc://%s/ipc/front", folder);
    return link_hub_open(&loop, &hub);
}

static int tear_down(void **state)
{
    (void)state;
    link_close(router.link);
    link_close(dealer.link);
    link_close(second.link);
    router.link = dealer.link = second.link = NULL;
    uv_run(&loop, UV_RUN_DEFAULT);
    link_hub_close(hub);
    uv_run(&loop, UV_RUN_DEFAULT);
    dir_remove(folder);
    return uv_loop_close(&loop);
}

static void turn(void)
{
    if (!uv_run(&loop, UV_RUN_NOWAIT)) fail_msg("the loop has nothing to do");
    usleep(100);
}

/* Run the loop as a process does: it sleeps until something wakes it. A timer ends a test that lost
 * an edge, which then would sleep for ever. */
static int timed_out;
static void on_timeout(uv_timer_t *timer)
{
    timed_out = 1;
    uv_stop(timer->loop);
}
#define sleep_until(condition)                                                                     \
    do {                                                                                           \
        uv_timer_t timer;                                                                          \
        timed_out = 0;                                                                             \
        uv_timer_init(&loop, &timer);                                                              \
        uv_timer_start(&timer, on_timeout, 20000, 0);                                              \
        while (!(condition) && !timed_out) uv_run(&loop, UV_RUN_ONCE);                             \
        uv_close((uv_handle_t *)&timer, NULL);                                                     \
        uv_run(&loop, UV_RUN_NOWAIT);                                                              \
        if (timed_out) fail_msg("nothing woke the loop: %s", #condition);                          \
    } while (0)

static int send_number(struct end *end, const struct link_route *route, uint64_t number)
{
    return link_send(end->link, route, NULL, 0, &number, sizeof number);
}

static void test_there_and_back(void **state)
{
    (void)state;
    uint32_t link_number = 7;
    uint64_t number = 1;
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_OK);
    assert_int_equal(link_send(dealer.link, NULL, &link_number, 4, &number, 8), ERR_OK);
    sleep_until(router.received == 1);
    assert_int_equal(router.parts, 2);
    assert_int_equal(router.wrong, 0);
    assert_int_equal(send_number(&router, &router.peer, 1), ERR_OK);
    sleep_until(dealer.received == 1);
    assert_int_equal(dealer.parts, 1);
    assert_int_equal(link_counters(router.link).received_bytes, 12);
    assert_int_equal(link_counters(router.link).sent_messages, 1);
}

/* A budget smaller than what arrives, in a loop that sleeps: an edge lost is a message late for
 * ever. */
static void test_many_messages_in_order(void **state)
{
    (void)state;
    uint64_t sent = 0;
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 100, 7), ERR_OK);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 100, 7), ERR_OK);
    while (sent < MANY) {
        if (send_number(&dealer, NULL, sent + 1) == ERR_OK) {
            sent++;
            continue;
        }
        uint64_t before = dealer.writable;
        sleep_until(dealer.writable > before);
    }
    sleep_until(router.received == MANY);
    assert_int_equal(router.wrong, 0);
    assert_true(link_counters(dealer.link).refused_sends > 0);
    assert_true(dealer.writable > 0);
}

/* Both send all the time: a send may swallow the edge of a message that came meanwhile. */
static void test_ping_pong(void **state)
{
    (void)state;
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_OK);
    router.echo = 1;
    for (uint64_t round = 0; round < 2000; round++) {
        for (uint64_t i = 1; i <= 5; i++)
            assert_int_equal(send_number(&dealer, NULL, 5 * round + i), ERR_OK);
        sleep_until(dealer.received == 5 * (round + 1));
    }
    assert_int_equal(router.wrong + dealer.wrong, 0);
}

/* The only wake-up of a waiting loop came while a send was in progress: without a second look at
 * ZMQ_EVENTS after the send, the echoes stay unread. */
static void test_send_does_not_swallow_the_edge(void **state)
{
    (void)state;
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_OK);
    assert_int_equal(send_number(&dealer, NULL, 1), ERR_OK);
    sleep_until(router.received == 1);
    for (int round = 0; round < 200; round++) {
        uint64_t before = dealer.received;
        uint8_t byte = 0;
        assert_int_equal(link_send(router.link, &router.peer, NULL, 0, &byte, 1), ERR_OK);
        usleep(2000); /* it has arrived, and its edge is up */
        for (int i = 0; i < 3; i++)
            assert_int_equal(link_send(dealer.link, NULL, NULL, 0, &byte, 1), ERR_OK);
        sleep_until(dealer.received > before);
    }
}

static void test_slow_reader_is_bounded(void **state)
{
    (void)state;
    uint64_t sent = 0;
    static uint8_t block[64 << 10];
    second = (struct end){0};
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 10, 1), ERR_OK);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 10, 1), ERR_OK);
    while (sent < 100000 && link_send(dealer.link, NULL, NULL, 0, block, sizeof block) == ERR_OK)
        if (++sent > 10) usleep(200); /* nobody runs the loop: nobody reads */
    assert_true(sent < 1000);
    sleep_until(router.received == sent);
    /* a ROUTER tells of a peer that takes nothing, instead of dropping */
    second.peer = router.peer;
    uint64_t answered = 0;
    int result;
    do {
        result = link_send(router.link, &second.peer, NULL, 0, block, sizeof block);
        if (result == ERR_OK) answered++;
        if (answered > 10) usleep(200);
    } while (result == ERR_OK && answered < 1000);
    assert_int_equal(result, ERR_AGAIN);
    sleep_until(dealer.received == answered);
}

static void test_unknown_peer(void **state)
{
    (void)state;
    struct link_route nobody = {.bytes = 5, .id = {1, 2, 3, 4, 5}};
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
    assert_int_equal(send_number(&router, &nobody, 1), ERR_NOTFOUND);
    assert_int_equal(send_number(&router, NULL, 1), ERR_INTERNAL);
    assert_int_equal(link_counters(router.link).refused_sends, 1);
}

static void test_reconnect_after_restart(void **state)
{
    (void)state;
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_OK);
    assert_int_equal(send_number(&dealer, NULL, 1), ERR_OK);
    sleep_until(router.received == 1);
    link_close(router.link);
    for (int i = 0; i < 300; i++) turn();
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
    assert_int_equal(send_number(&dealer, NULL, 1), ERR_OK);
    sleep_until(router.received >= 1);
    assert_int_equal(send_number(&router, &router.peer, 1), ERR_OK);
    sleep_until(dealer.received == 1);
}

static void released(void *arg)
{
    assert_true(pthread_equal(pthread_self(), loop_thread));
    ((struct end *)arg)->released++;
}

static void test_owned_buffers_come_back_on_the_loop(void **state)
{
    (void)state;
    static uint8_t block[256 << 10];
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_OK);
    for (uint64_t i = 1; i <= 50; i++) {
        memcpy(block, &i, sizeof i);
        assert_int_equal(
            link_send_owned(dealer.link, NULL, NULL, 0, block, sizeof block, released, &dealer),
            ERR_OK);
        sleep_until(dealer.released == i && router.received == i);
    }
    assert_int_equal(router.wrong, 0);
}

static void test_owned_buffer_stays_with_the_caller_on_failure(void **state)
{
    (void)state;
    static uint8_t block[1000];
    struct link_route nobody = {.bytes = 5, .id = {1, 2, 3, 4, 5}};
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
    for (int i = 0; i < 10; i++)
        assert_int_equal(
            link_send_owned(router.link, &nobody, NULL, 0, block, sizeof block, released, &router),
            ERR_NOTFOUND);
    for (int i = 0; i < 100; i++) turn();
    assert_int_equal(router.released, 0);
}

/* Queued for nobody: closing the hub still releases every buffer. */
static void test_hub_releases_what_is_queued(void **state)
{
    (void)state;
    static uint8_t block[1000];
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_OK);
    for (int i = 0; i < 10; i++)
        assert_int_equal(
            link_send_owned(dealer.link, NULL, NULL, 0, block, sizeof block, released, &dealer),
            ERR_OK);
    assert_int_equal(dealer.released, 0);
    link_close(dealer.link);
    dealer.link = NULL;
    uv_run(&loop, UV_RUN_DEFAULT);
    link_hub_close(hub);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(dealer.released, 10);
    assert_int_equal(link_hub_open(&loop, &hub), ERR_OK);
}

/* Forwarded and kept messages: the same bytes, from the same place where they are large. */
static struct link_message *kept;
static struct link *forward_to;
static const uint8_t *forwarded_from;
static void keep_or_forward(void *arg, struct link *link, struct link_message *message)
{
    (void)link;
    struct link_route *to = arg;
    size_t bytes;
    if (!forward_to) {
        kept = link_keep(message);
        return;
    }
    uint32_t number = 9;
    forwarded_from = link_data(message, 0, &bytes);
    assert_int_equal(link_forward(forward_to, to, &number, 4, message, 0), ERR_OK);
    link_data(message, 0, &bytes);
    assert_int_equal(bytes, 0);
}

static void test_forward_and_keep(void **state)
{
    (void)state;
    static uint8_t block[100000];
    struct link *middle;
    struct link_route sink_route = {0};
    char back[160];
    snprintf(back, sizeof back, "ipc://%s/ipc/back", folder);
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK); /* the sink's side */
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_OK); /* the sink */
    assert_int_equal(send_number(&dealer, NULL, 1), ERR_OK);
    sleep_until(router.received == 1);
    sink_route = router.peer;
    struct link_options options = {.kind = LINK_ROUTER,
                                   .endpoint = back,
                                   .bind = 1,
                                   .on_message = keep_or_forward,
                                   .arg = &sink_route};
    assert_int_equal(link_open(hub, &options, &middle), ERR_OK);
    struct end producer = {0};
    struct link_options from = {
        .kind = LINK_DEALER, .endpoint = back, .on_message = on_message, .arg = &producer};
    assert_int_equal(link_open(hub, &from, &producer.link), ERR_OK);
    uint64_t one = 1;
    memcpy(block, &one, sizeof one);
    forward_to = NULL;
    assert_int_equal(link_send(producer.link, NULL, NULL, 0, block, sizeof block), ERR_OK);
    sleep_until(kept != NULL);
    size_t bytes;
    assert_memory_equal(link_data(kept, 0, &bytes), block, sizeof block);
    assert_int_equal(bytes, sizeof block);
    link_message_free(kept);
    kept = NULL;
    forward_to = router.link;
    assert_int_equal(link_send(producer.link, NULL, NULL, 0, block, sizeof block), ERR_OK);
    sleep_until(dealer.received == 1);
    assert_int_equal(dealer.parts, 2);
    assert_int_equal(dealer.wrong, 0);
    link_close(producer.link);
    link_close(middle);
}

static void test_close_inside_the_callback(void **state)
{
    (void)state;
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_OK);
    router.close_on_message = 1;
    for (uint64_t i = 1; i <= 10; i++) assert_int_equal(send_number(&dealer, NULL, i), ERR_OK);
    sleep_until(router.received == 1);
    for (int i = 0; i < 50; i++) turn();
    assert_int_equal(router.received, 1);
}

/* Larger than the bound: the sender is cut off, nothing is delivered, others go on. */
static void test_message_bound(void **state)
{
    (void)state;
    struct end other = {0};
    uint8_t *big = calloc(1, 2 << 20);
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_OK);
    struct link_options options = {
        .kind = LINK_DEALER, .endpoint = endpoint, .on_message = on_message, .arg = &other};
    assert_int_equal(link_open(hub, &options, &other.link), ERR_OK);
    assert_int_equal(link_send(other.link, NULL, NULL, 0, big, 2 << 20), ERR_OK);
    for (int i = 0; i < 1000; i++) turn();
    assert_int_equal(router.received, 0);
    assert_int_equal(send_number(&dealer, NULL, 1), ERR_OK);
    sleep_until(router.received == 1);
    link_close(other.link);
    free(big);
}

static void test_sockets_are_private(void **state)
{
    (void)state;
    char path[128];
    struct stat st;
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
    snprintf(path, sizeof path, "%s/ipc", folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    link_close(router.link);
    for (int i = 0; i < 100; i++) uv_run(&loop, UV_RUN_NOWAIT);
    chmod(path, 0755);
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_USAGE);
    assert_non_null(strstr(err_text(), "chmod 700"));
    router.link = NULL;
}

/* A folder that somebody else made, or may enter, may hold somebody else's socket. */
static void test_nothing_is_said_to_others(void **state)
{
    (void)state;
    char path[128], aside[128];
    snprintf(path, sizeof path, "%s/ipc", folder);
    snprintf(aside, sizeof aside, "%s/aside", folder);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_USAGE);
    assert_non_null(strstr(err_text(), "chmod 700"));
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(symlink(aside, path), 0);
    assert_int_equal(chmod(aside, 0700), 0);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_USAGE);
    assert_non_null(strstr(err_text(), "belongs to another user"));
    dealer.link = NULL;
    if (geteuid() != 0) return;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_USAGE);
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_USAGE);
    router.link = dealer.link = NULL;
}

static void test_live_socket_is_not_stolen(void **state)
{
    (void)state;
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
    assert_int_equal(open_end(&second, LINK_ROUTER, 1, 0, 0), ERR_EXISTS);
    assert_non_null(strstr(err_text(), endpoint + 6));
    assert_non_null(strstr(err_text(), "HINT"));
    /* the first still has its path */
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_OK);
    assert_int_equal(send_number(&dealer, NULL, 1), ERR_OK);
    sleep_until(router.received == 1);
}

/* Somebody who takes no lock. */
static void test_foreign_socket_is_not_stolen(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[128];
    snprintf(path, sizeof path, "%s/ipc", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    memcpy(address.sun_path, endpoint + 6, strlen(endpoint + 6));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_EXISTS);
    router.link = NULL;
    close(fd); /* now it is stale */
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
}

/* Between the start of two processes neither answers yet: the lock decides. */
static void test_locked_socket_is_not_taken(void **state)
{
    (void)state;
    char path[128];
    int lock;
    snprintf(path, sizeof path, "%s/ipc", folder);
    assert_int_equal(dir_make(path, 0700), ERR_OK);
    snprintf(path, sizeof path, "%s.lock", endpoint + 6);
    assert_int_equal(file_lock(path, &lock), ERR_OK);
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_EXISTS);
    assert_non_null(strstr(err_text(), "locked by process"));
    close(lock);
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
}

static void test_tcp(void **state)
{
    (void)state;
    strcpy(endpoint, "tcp://127.0.0.1:0");
    assert_int_equal(open_end(&router, LINK_ROUTER, 1, 0, 0), ERR_OK);
    strcpy(endpoint, link_endpoint(router.link));
    assert_int_equal(open_end(&second, LINK_ROUTER, 1, 0, 0), ERR_EXISTS);
    assert_non_null(strstr(err_text(), endpoint));
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_OK);
    assert_int_equal(send_number(&dealer, NULL, 1), ERR_OK);
    sleep_until(router.received == 1);
    strcpy(endpoint, "tcp://0.0.0.0:0");
    assert_int_equal(open_end(&second, LINK_ROUTER, 1, 0, 0), ERR_USAGE);
    strcpy(endpoint, "tcp://localhost:0");
    assert_int_equal(open_end(&second, LINK_ROUTER, 1, 0, 0), ERR_USAGE);
    strcpy(endpoint, "tcp://10.1.2.3:5");
    assert_int_equal(open_end(&second, LINK_DEALER, 0, 0, 0), ERR_USAGE);
}

/* ---- security ---- */

static struct keys_pair server_keys, client_keys, other_keys;
static struct keys_allow *allow;
static char allow_path[128];

static void make_keys(uint32_t roles)
{
    assert_int_equal(keys_make(&server_keys), ERR_OK);
    assert_int_equal(keys_make(&client_keys), ERR_OK);
    assert_int_equal(keys_make(&other_keys), ERR_OK);
    snprintf(allow_path, sizeof allow_path, "%s/allow", folder);
    assert_int_equal(keys_allow_add(allow_path, "client", roles, client_keys.public_key), ERR_OK);
    assert_int_equal(keys_allow_open(allow_path, &allow), ERR_OK);
}

static uint32_t roles_seen;
static char name_seen[64];

static void on_roles(void *arg, struct link *link, struct link_message *message)
{
    const char *name;
    roles_seen = link_message_roles(link, message, &name);
    snprintf(name_seen, sizeof name_seen, "%s", name);
    on_message(arg, link, message);
}

static int open_secure(struct end *end, int bind, const struct link_security *security)
{
    struct link_options options = {.kind = bind ? LINK_ROUTER : LINK_DEALER,
                                   .endpoint = endpoint,
                                   .bind = bind,
                                   .security = security,
                                   .max_message_bytes = 1 << 20,
                                   .on_message = bind ? on_roles : on_message,
                                   .arg = end};
    *end = (struct end){0};
    return link_open(hub, &options, &end->link);
}

static struct link_security of_client(const struct keys_pair *own)
{
    struct link_security s = {.own = *own};
    strcpy(s.server, server_keys.public_key);
    return s;
}

static void open_guarded(void)
{
    struct link_security s = {
        .own = server_keys, .roles = KEYS_PRODUCE | KEYS_REPORT, .allow = allow};
    strcpy(endpoint, "tcp://127.0.0.1:0");
    assert_int_equal(open_secure(&router, 1, &s), ERR_OK);
    strcpy(endpoint, link_endpoint(router.link));
}

static void end_guarded(void)
{
    link_close(dealer.link);
    link_close(router.link);
    dealer.link = router.link = NULL;
    link_hub_unguard(hub);
    keys_allow_close(allow);
}

/* For some time nothing may come. */
static void nothing_comes(void)
{
    for (int i = 0; i < 10000; i++) turn();
    assert_int_equal(router.received, 0);
}

static void test_a_known_key_comes_in(void **state)
{
    (void)state;
    make_keys(KEYS_PRODUCE | KEYS_REPORT);
    open_guarded();
    struct link_security s = of_client(&client_keys);
    assert_int_equal(open_secure(&dealer, 0, &s), ERR_OK);
    assert_int_equal(send_number(&dealer, NULL, 1), ERR_OK);
    sleep_until(router.received == 1);
    assert_int_equal(roles_seen, KEYS_PRODUCE | KEYS_REPORT);
    assert_string_equal(name_seen, "client");
    /* Out of the list: what it says on the same connection is nobody's. */
    int code;
    assert_int_equal(file_replace(allow_path, "", 0), ERR_OK);
    assert_int_equal(keys_allow_refresh(allow, &code), 1);
    assert_int_equal(send_number(&dealer, NULL, 2), ERR_OK);
    sleep_until(router.received == 2);
    assert_int_equal(roles_seen, 0);
    end_guarded();
}

static void test_others_do_not(void **state)
{
    (void)state;
    make_keys(KEYS_ALL);
    open_guarded();
    struct link_security s = of_client(&other_keys); /* not in the list */
    assert_int_equal(open_secure(&dealer, 0, &s), ERR_OK);
    send_number(&dealer, NULL, 1);
    nothing_comes();
    link_close(dealer.link);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_OK); /* no key at all */
    send_number(&dealer, NULL, 1);
    nothing_comes();
    link_close(dealer.link);
    assert_int_equal(keys_allow_add(allow_path, "watcher", KEYS_STATUS, other_keys.public_key), 0);
    int code;
    assert_int_equal(keys_allow_refresh(allow, &code), 1); /* in the list, with no role here */
    s = of_client(&other_keys);
    assert_int_equal(open_secure(&dealer, 0, &s), ERR_OK);
    send_number(&dealer, NULL, 1);
    nothing_comes();
    link_close(dealer.link);
    s = of_client(&client_keys); /* it takes somebody else for the broker */
    strcpy(s.server, other_keys.public_key);
    assert_int_equal(open_secure(&dealer, 0, &s), ERR_OK);
    send_number(&dealer, NULL, 1);
    nothing_comes();
    end_guarded();
}

/* A client that was refused comes in once it is in the list, without being opened anew. */
static void test_comes_in_later(void **state)
{
    (void)state;
    int code;
    make_keys(KEYS_ALL);
    open_guarded();
    struct link_security s = of_client(&other_keys);
    assert_int_equal(open_secure(&dealer, 0, &s), ERR_OK);
    send_number(&dealer, NULL, 1);
    nothing_comes();
    assert_int_equal(keys_allow_add(allow_path, "other", KEYS_ALL, other_keys.public_key), ERR_OK);
    assert_int_equal(keys_allow_refresh(allow, &code), 1);
    uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    for (int i = 0; i < 200 && !router.received; i++) {
        send_number(&dealer, NULL, 1); /* what was said meanwhile may be lost */
        timed_out = 0;
        uv_timer_start(&timer, on_timeout, 50, 0);
        uv_run(&loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_true(router.received > 0);
    end_guarded();
}

static void test_no_tcp_without_keys(void **state)
{
    (void)state;
    strcpy(endpoint, "tcp://127.0.0.1:0");
    assert_int_equal(open_secure(&router, 1, NULL), ERR_USAGE);
    assert_non_null(strstr(err_text(), "keygen"));
    strcpy(endpoint, "tcp://127.0.0.1:9");
    assert_int_equal(open_secure(&dealer, 0, NULL), ERR_USAGE);
    strcpy(endpoint, "tcp://10.1.2.3:9"); /* not even for tests */
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_USAGE);
    struct link_security s = {.allow = NULL}; /* nobody is let in by a list that is not there */
    assert_int_equal(keys_make(&s.own), ERR_OK);
    strcpy(endpoint, "tcp://127.0.0.1:0");
    assert_int_equal(open_secure(&router, 1, &s), ERR_STATE);
}

/* ---- connections ---- */

static void test_connections_are_bounded(void **state)
{
    (void)state;
    enum { MOST = 8, TRIED = 14 };
    struct end peer[TRIED];
    struct link_options options = {.kind = LINK_ROUTER,
                                   .endpoint = endpoint,
                                   .bind = 1,
                                   .max_peers = MOST,
                                   .on_message = on_message,
                                   .arg = &router};
    router = (struct end){0};
    assert_int_equal(link_open(hub, &options, &router.link), ERR_OK);
    for (int i = 0; i < TRIED; i++) {
        assert_int_equal(open_end(&peer[i], LINK_DEALER, 0, 0, 0), ERR_OK);
        for (int t = 0; t < 100; t++) turn();
        send_number(&peer[i], NULL, 1);
    }
    for (int t = 0; t < 3000; t++) turn();
    uint32_t peers = link_peers(router.link);
    for (int i = 0; i < MOST; i++) link_close(peer[i].link);
    for (int t = 0; t < 20000; t++) turn(); /* there is room, and the others come in */
    uint32_t later = link_peers(router.link);
    for (int i = MOST; i < TRIED; i++) link_close(peer[i].link);
    assert_in_range(peers, MOST, MOST + 2); /* some are on their way out */
    assert_int_equal(later, TRIED - MOST);
}

static void on_shut(void *arg, struct link *link, struct link_message *message)
{
    struct end *end = arg;
    on_message(arg, link, message);
    if (end->received == 1) link_message_shut(message);
}

static void test_a_connection_is_ended(void **state)
{
    (void)state;
    struct link_options options = {.kind = LINK_ROUTER,
                                   .endpoint = endpoint,
                                   .bind = 1,
                                   .on_message = on_shut,
                                   .arg = &router};
    router = (struct end){0};
    assert_int_equal(link_open(hub, &options, &router.link), ERR_OK);
    assert_int_equal(open_end(&dealer, LINK_DEALER, 0, 0, 0), ERR_OK);
    send_number(&dealer, NULL, 1);
    sleep_until(router.received == 1);
    struct link_route first = router.peer;
    for (int i = 0; i < 3000; i++) turn(); /* it is gone, and connects again */
    send_number(&dealer, NULL, 2);
    sleep_until(router.received >= 2);
    assert_false(link_route_equal(&first, &router.peer));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_there_and_back),
        T(test_a_known_key_comes_in),
        T(test_others_do_not),
        T(test_comes_in_later),
        T(test_no_tcp_without_keys),
        T(test_connections_are_bounded),
        T(test_a_connection_is_ended),
        T(test_many_messages_in_order),
        T(test_ping_pong),
        T(test_send_does_not_swallow_the_edge),
        T(test_slow_reader_is_bounded),
        T(test_unknown_peer),
        T(test_reconnect_after_restart),
        T(test_owned_buffers_come_back_on_the_loop),
        T(test_owned_buffer_stays_with_the_caller_on_failure),
        T(test_hub_releases_what_is_queued),
        T(test_forward_and_keep),
        T(test_close_inside_the_callback),
        T(test_message_bound),
        T(test_sockets_are_private),
        T(test_nothing_is_said_to_others),
        T(test_live_socket_is_not_stolen),
        T(test_foreign_socket_is_not_stolen),
        T(test_locked_socket_is_not_taken),
        T(test_tcp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
