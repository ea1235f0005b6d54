#include "tests/e2e/fetch.h"

#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIMIT_BYTES = 4 << 20 };

/* Wait until the socket is ready; ERR_AGAIN when the time is over. */
static int ready(int fd, short events, long long until_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    for (;;) {
        long long left = until_ms - clock_steady_ms();
        int n = poll(&p, 1, left > 0 ? (int)left : 0);
        if (n > 0) return ERR_OK;
        if (n == 0) return err_set(ERR_AGAIN, "no answer in time");
        if (errno != EINTR) return err_set(ERR_IO, "cannot wait: %s", strerror(errno));
    }
}

static int split(const char *address, char *host, size_t host_bytes, const char **port)
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address) return err_set(ERR_FORMAT, "'%s' is no address", address);
    const char *begin = address;
    size_t length = (size_t)(colon - address);
    if (*begin == '[' && length > 2) {
        begin++;
        length -= 2;
    }
    if (length >= host_bytes) return err_set(ERR_FORMAT, "'%s' is no address", address);
    memcpy(host, begin, length);
    host[length] = '\0';
    *port = colon + 1;
    return ERR_OK;
}

static int dial(const char *address, long long until_ms, int *fd)
{
    char host[256];
    const char *port = "";
    int result = split(address, host, sizeof host, &port);
    if (result != ERR_OK) return result;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV},
                    *found;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return err_set(ERR_FORMAT, "'%s' is no address", address);
    int s = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0) {
        result = err_set(ERR_IO, "cannot make a socket: %s", strerror(errno));
    } else if (connect(s, found->ai_addr, found->ai_addrlen) != 0) {
        int error = errno;
        socklen_t size = sizeof error;
        if (error == EINPROGRESS) {
            result = ready(s, POLLOUT, until_ms);
            if (result == ERR_OK) getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &size);
        }
        if (result == ERR_OK && error)
            result = err_set(ERR_NOTFOUND, "cannot reach %s: %s", address, strerror(error));
    }
    freeaddrinfo(found);
    if (result == ERR_OK) *fd = s;
    if (result != ERR_OK && s >= 0) close(s);
    return result;
}

static int ask(int fd, const char *path)
{
    char request[512];
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", path);
    /* A request this short always fits into an empty socket buffer. */
    if (n >= (int)sizeof request || send(fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        return err_set(ERR_IO, "cannot send a request: %s", strerror(errno));
    return ERR_OK;
}

static int hear(int fd, long long until_ms, char **data, size_t *bytes)
{
    size_t used = 0, room = 0;
    char *block = NULL;
    int result;
    while ((result = ready(fd, POLLIN, until_ms)) == ERR_OK) {
        if (used + 1 >= room) {
            room = room ? room * 2 : 16384;
            char *grown = room <= LIMIT_BYTES ? realloc(block, room) : NULL;
            if (!grown) {
                result = err_set(ERR_LIMIT, "the answer is too long");
                break;
            }
            block = grown;
        }
        ssize_t n = recv(fd, block + used, room - used - 1, 0);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n < 0) result = err_set(ERR_IO, "cannot read the answer: %s", strerror(errno));
        if (n <= 0) break;
        used += (size_t)n;
    }
    if (result != ERR_OK) {
        free(block);
        return result;
    }
    block[used] = '\0';
    *data = block;
    *bytes = used;
    return ERR_OK;
}

int fetch(const char *address, const char *path, int timeout_ms, char **body, size_t *bytes)
{
    long long until_ms = clock_steady_ms() + timeout_ms;
    int fd, status = 0;
    int result = dial(address, until_ms, &fd);
    if (result != ERR_OK) return result;
    char *answer = NULL;
    size_t size = 0;
    result = ask(fd, path);
    if (result == ERR_OK) result = hear(fd, until_ms, &answer, &size);
    close(fd);
    if (result != ERR_OK) return result;
    char *start = strstr(answer, "\r\n\r\n");
    if (!start || sscanf(answer, "HTTP/1.%*d %d", &status) != 1 || status != 200) {
        free(answer);
        return err_set(ERR_FORMAT, "%s answered GET %s with status %d", address, path, status);
    }
    start += 4;
    *bytes = size - (size_t)(start - answer);
    memmove(answer, start, *bytes + 1);
    *body = answer;
    return ERR_OK;
}
