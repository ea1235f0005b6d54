/* Whose program is at the other end of a connection, by the kernel's table. */
#include "runtime/peer.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

enum { NOBODY = 65534 };

/* Families of a server and of its client: one of IPv6 may ask for an address of IPv4. */
static const struct {
    int server, client;
} all[] = {{AF_INET, AF_INET}, {AF_INET6, AF_INET6}, {AF_INET, AF_INET6}};

static socklen_t address_of(int family, int is_mapped, in_port_t port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (family == AF_INET) {
        *(struct sockaddr_in *)out =
            (struct sockaddr_in){.sin_family = AF_INET,
                                 .sin_port = port,
                                 .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
        return sizeof(struct sockaddr_in);
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    *six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    inet_pton(AF_INET6, is_mapped ? "::ffff:127.0.0.1" : "::1", &six->sin6_addr);
    return sizeof *six;
}

static int listen_at(int family, in_port_t *port)
{
    struct sockaddr_storage address;
    socklen_t bytes = address_of(family, 0, 0, &address);
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, bytes) != 0 || listen(fd, 4) != 0)
        return -1; /* a machine without IPv6 */
    bytes = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &bytes);
    *port = family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                              : ((struct sockaddr_in6 *)&address)->sin6_port;
    return fd;
}

/* A child connects as this user, says so, and stays until it is told to go. */
static pid_t connect_as(uid_t uid, size_t which, in_port_t port, int until[2])
{
    struct sockaddr_storage address;
    char byte;
    pid_t child = fork();
    if (child != 0) return child;
    close(until[1]);
    if (uid != getuid() && setuid(uid) != 0) _exit(1);
    socklen_t bytes = address_of(all[which].client, all[which].server == AF_INET, port, &address);
    int fd = socket(all[which].client, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, bytes) != 0) _exit(2);
    if (read(until[0], &byte, 1) < 0) _exit(3);
    _exit(0);
}

/* What is said of a client of this user. */
static int judge(uid_t uid, size_t which)
{
    in_port_t port;
    int until[2], status, server = listen_at(all[which].server, &port);
    if (server < 0) return -1;
    assert_int_equal(pipe(until), 0);
    pid_t child = connect_as(uid, which, port, until);
    int fd = accept(server, NULL, NULL);
    int result = peer_is_ours(fd);
    close(until[1]);
    close(until[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(fd);
    close(server);
    return result;
}

static void our_own_is_ours(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int result = judge(getuid(), i);
        if (result != -1) assert_int_equal(result, ERR_OK);
    }
}

static void another_user_s_is_not(void **state)
{
    (void)state;
    if (getuid() != 0) {
        print_message("no other user can be had without root\n");
        skip();
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int result = judge(NOBODY, i);
        if (result == -1) continue;
        assert_int_equal(result, ERR_MISMATCH);
        assert_non_null(strstr(err_text(), "65534"));
    }
}

/* A client that connects, and closes its end: at once, or after all it sent. */
static int judge_closed(int is_at_once)
{
    in_port_t port;
    struct sockaddr_storage address;
    int server = listen_at(AF_INET, &port), client = socket(AF_INET, SOCK_STREAM, 0);
    struct linger linger = {is_at_once, 0};
    socklen_t bytes = address_of(AF_INET, 0, port, &address);
    assert_int_equal(connect(client, (struct sockaddr *)&address, bytes), 0);
    int fd = accept(server, NULL, NULL);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(client);
    int result = peer_is_ours(fd);
    close(fd);
    close(server);
    return result;
}

static void who_is_gone_is_not(void **state)
{
    (void)state;
    assert_int_equal(judge_closed(1), ERR_MISMATCH);
}

/* The kernel keeps its socket, and tells of it that it is root's. */
static void who_has_hung_up_is_not(void **state)
{
    (void)state;
    assert_int_equal(judge_closed(0), ERR_MISMATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_is_ours),
        cmocka_unit_test(another_user_s_is_not),
        cmocka_unit_test(who_is_gone_is_not),
        cmocka_unit_test(who_has_hung_up_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
