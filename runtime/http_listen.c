#include "runtime/http_listen.h"

#include "base/err.h"
#include "base/own.h"
#include "config/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* "127.0.0.1:9090", "localhost:0" or "[::1]:9090" into a socket address. */
static int parse_address(const char *text, struct sockaddr_storage *address, socklen_t *bytes)
{
    int result = address_http_check(text);
    if (result != ERR_OK) return result;
    const char *colon = strrchr(text, ':');
    if (!colon) return err_set(ERR_USAGE, "'%.80s' is no address to listen at", text);
    uint16_t port = (uint16_t)atoi(colon + 1);
    char host[HTTP_ADDRESS_BYTES];
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    memset(address, 0, sizeof *address);
    if (host[0] == '[' || strchr(host, ':')) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
        six->sin6_family = AF_INET6;
        six->sin6_addr = in6addr_loopback;
        six->sin6_port = htons(port);
        *bytes = sizeof *six;
        return ERR_OK;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    *bytes = sizeof *four;
    if (strcmp(host, "localhost") == 0) snprintf(host, sizeof host, "127.0.0.1");
    if (inet_pton(AF_INET, host, &four->sin_addr) != 1)
        return err_set(ERR_USAGE, "'%.80s' is not an address", text);
    return ERR_OK;
}

static void write_address(int fd, char *bound)
{
    struct sockaddr_storage address;
    socklen_t bytes = sizeof address;
    char host[INET6_ADDRSTRLEN] = "";
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) != 0) return;
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address;
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        snprintf(bound, HTTP_ADDRESS_BYTES, "[%s]:%u", host, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&address;
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        snprintf(bound, HTTP_ADDRESS_BYTES, "%s:%u", host, ntohs(four->sin_port));
    }
}

int http_listen(const char *text, int backlog, char *bound, int *fd_out)
{
    struct sockaddr_storage address;
    socklen_t bytes;
    int result = parse_address(text, &address, &bytes);
    if (result != ERR_OK) return result;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1;
    if (fd < 0) return err_set(ERR_IO, "no socket for HTTP: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&address, bytes) != 0 || listen(fd, backlog) != 0) {
        int error = errno;
        close(fd);
        if (error == EADDRINUSE)
            return err_set(ERR_EXISTS,
                           "the HTTP address %s is in use by another program; HINT: "
                           "another port, or port 0 for any free one",
                           text);
        return err_set(ERR_IO, "cannot listen at %s: %s", text, strerror(error));
    }
    write_address(fd, bound);
    *fd_out = fd;
    return ERR_OK;
}

/* Whether the address leaves the port open; *host_bytes: what stands before it. */
static int is_any_port(const char *address, size_t *host_bytes)
{
    const char *colon = strrchr(address, ':');
    *host_bytes = colon ? (size_t)(colon - address) : 0;
    return colon && strcmp(colon, ":0") == 0;
}

/* The port in the file of an earlier life; 0: there is none. */
static int port_before(const char *file)
{
    char *text = NULL;
    size_t bytes;
    int port = 0;
    if (own_read(file, HTTP_ADDRESS_BYTES, &text, &bytes) == ERR_OK) {
        const char *colon = strrchr(text, ':');
        size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
        if (digits > 0 && digits <= 5 && strcmp(colon + 1 + digits, "\n") == 0)
            port = atoi(colon + 1);
    }
    free(text);
    return port <= UINT16_MAX ? port : 0;
}

int http_listen_again(const char *address, const char *file, int backlog, char *bound, int *fd)
{
    char same[HTTP_ADDRESS_BYTES];
    size_t host_bytes;
    int port = file && is_any_port(address, &host_bytes) ? port_before(file) : 0;
    if (port > 0) {
        int n = snprintf(same, sizeof same, "%.*s:%d", (int)host_bytes, address, port);
        if (n < (int)sizeof same && http_listen(same, backlog, bound, fd) == ERR_OK) return ERR_OK;
    }
    return http_listen(address, backlog, bound, fd);
}
