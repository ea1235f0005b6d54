#include "config/address.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { SOCKET_PATH_MOST = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

static int is_text(const char *host, size_t length, const char *text)
{
    return strlen(text) == length && memcmp(text, host, length) == 0;
}

/* An IPv4 address of four numbers: what every library reads alike. "127.1" is none. */
static int is_four(const char *host, size_t length)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    if (length >= sizeof text) return 0;
    memcpy(text, host, length);
    text[length] = '\0';
    return inet_pton(AF_INET, text, &address) == 1;
}

int address_is_loopback(const char *host, size_t length)
{
    static const char *const names[] = {"localhost", "[::1]", "::1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_text(host, length, names[i])) return 1;
    /* A name such as 127.example.org is somebody's server. */
    return length > 4 && memcmp(host, "127.", 4) == 0 && is_four(host, length);
}

static int port_ok(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 5 && text[digits] == '\0' && atoi(text) <= 65535;
}

int address_http_check(const char *address)
{
    if (strcmp(address, "off") == 0) return ERR_OK;
    const char *colon = strrchr(address, ':');
    size_t length = colon ? (size_t)(colon - address) : 0;
    int is_number = length > 0 && strspn(address, "0123456789.") >= length;
    if (length == 0 || !port_ok(colon + 1) || (is_number && !is_four(address, length)))
        return err_set(ERR_USAGE,
                       "'%.80s' is not an address; HINT: 127.0.0.1:9090, port 0 for any "
                       "free one, or off",
                       address);
    if (!address_is_loopback(address, length))
        return err_set(ERR_USAGE,
                       "'%.80s' is reachable from other machines, and the pages have no "
                       "access control; HINT: use 127.0.0.1:PORT and a tunnel",
                       address);
    return ERR_OK;
}

/* A socket is made in a folder that nobody else enters; that is no other's than its own. */
static int check_path(const char *endpoint, const char *path)
{
    const char *name = strrchr(path, '/');
    if (path[0] != '/' || name == path || name[1] == '\0')
        return err_set(
            ERR_USAGE,
            "'%.80s' is not an endpoint: a socket's path is absolute and lies in a folder "
            "of its own; HINT: ipc:///path/of/a/folder/front, or leave it out",
            endpoint);
    if (strlen(path) > SOCKET_PATH_MOST)
        return err_set(ERR_USAGE,
                       "the socket path %.200s... has %zu bytes, and the system takes %d; HINT: a "
                       "shorter one, or leave it out",
                       path, strlen(path), SOCKET_PATH_MOST);
    return ERR_OK;
}

/* ZeroMQ binds to numbers and to names of interfaces; it reads IPv6 only where told to. */
static int check_host(const char *endpoint, const char *host, size_t length, const char *port)
{
    if (memchr(host, ':', length) || host[0] == '[')
        return err_set(ERR_USAGE,
                       "'%.80s' is an IPv6 address, and processes of a run connect by IPv4; "
                       "HINT: tcp://127.0.0.1:%s, or the host's IPv4 address",
                       endpoint, port);
    if (is_four(host, length)) return ERR_OK;
    return err_set(ERR_USAGE,
                   "'%.80s' has no address of four numbers, and one file serves those "
                   "who bind and those who connect; HINT: tcp://127.0.0.1:%s, the broker's "
                   "IPv4 address, or leave it out for ipc",
                   endpoint, port);
}

int address_endpoint_check(const char *endpoint, int may_choose_port)
{
    const char *path = address_socket_path(endpoint);
    if (path) return check_path(endpoint, path);
    if (!address_is_tcp(endpoint))
        return err_set(ERR_USAGE,
                       "'%.80s' is not an endpoint; HINT: ipc:///absolute/path or "
                       "tcp://ADDRESS:PORT",
                       endpoint);
    const char *host = endpoint + 6, *colon = strrchr(host, ':');
    int is_open =
        colon && (strcmp(colon + 1, "*") == 0 || (port_ok(colon + 1) && !atoi(colon + 1)));
    if (!colon || colon == host || (!is_open && !port_ok(colon + 1)))
        return err_set(ERR_USAGE, "'%.80s' has no port from 1 to 65535; HINT: tcp://ADDRESS:PORT",
                       endpoint);
    int result = check_host(endpoint, host, (size_t)(colon - host), is_open ? "PORT" : colon + 1);
    if (result != ERR_OK || !is_open || may_choose_port) return result;
    return err_set(ERR_USAGE,
                   "'%.80s' leaves the port open, and those who connect could not know it; HINT: "
                   "name a free one, such as tcp://127.0.0.1:5555, or leave it out for ipc",
                   endpoint);
}

int address_is_tcp(const char *endpoint)
{
    return strncmp(endpoint, "tcp://", 6) == 0;
}

const char *address_socket_path(const char *endpoint)
{
    return strncmp(endpoint, "ipc://", 6) == 0 ? endpoint + 6 : NULL;
}

int address_is_beyond_loopback(const char *endpoint)
{
    const char *host = endpoint + 6, *colon = strrchr(host, ':');
    return address_is_tcp(endpoint) && colon && !address_is_loopback(host, (size_t)(colon - host));
}
