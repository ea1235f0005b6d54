#include "tests/hosts/talk.h"

#include "base/clock.h"
#include "base/err.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static int dial(int port, int *fd)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1, s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (s < 0) return err_set(ERR_IO, "cannot make a socket: %s", strerror(errno));
    if (connect(s, (struct sockaddr *)&to, sizeof to) != 0) {
        int code = errno == ECONNREFUSED ? ERR_NOTFOUND : ERR_IO;
        err_set(code, "cannot reach 127.0.0.1:%d: %s", port, strerror(errno));
        close(s);
        return code;
    }
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *fd = s;
    return ERR_OK;
}

static char *request_body(const char *prompt, int tokens)
{
    /* The likeliest token and nothing else: repetition counts for nothing. */
    json_t *body =
        json_pack("{s:s, s:i, s:i, s:i, s:f, s:b, s:b}", "prompt", prompt, "max_tokens", tokens,
                  "temperature", 0, "seed", 1, "repeat_penalty", 1.0, "stream", 1, "ignore_eos", 1);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

static int ask(int fd, const char *body)
{
    char request[TALK_LINE_BYTES];
    int n = snprintf(request, sizeof request,
                     "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(body), body);
    if (n >= (int)sizeof request) return err_set(ERR_LIMIT, "the prompt is too long");
    for (int sent = 0; sent < n;) {
        ssize_t more = send(fd, request + sent, (size_t)(n - sent), MSG_NOSIGNAL);
        if (more <= 0) return err_set(ERR_IO, "cannot send a request: %s", strerror(errno));
        sent += (int)more;
    }
    return ERR_OK;
}

int talk_open(struct talk *talk, int port, const char *prompt, int tokens)
{
    memset(talk, 0, sizeof *talk);
    talk->fd = -1;
    char *body = request_body(prompt, tokens);
    if (!body) return err_set(ERR_FORMAT, "the prompt is no UTF-8");
    int result = dial(port, &talk->fd);
    talk->asked_ns = clock_ns(CLOCK_MONOTONIC);
    if (result == ERR_OK) result = ask(talk->fd, body);
    free(body);
    if (result != ERR_OK) talk_close(talk);
    return result;
}

void talk_close(struct talk *talk)
{
    if (talk->fd >= 0) close(talk->fd);
    talk->fd = -1;
}

static void take_text(struct talk *talk, const char *text, uint64_t now_ns)
{
    size_t bytes = strlen(text), room = sizeof talk->text - 1 - talk->text_bytes;
    if (!bytes) return;
    if (talk->tokens < TALK_MOST_TOKENS) talk->token_ns[talk->tokens++] = now_ns;
    if (bytes > room) bytes = room;
    memcpy(talk->text + talk->text_bytes, text, bytes);
    talk->text_bytes += bytes;
    talk->text[talk->text_bytes] = '\0';
}

/* A line of the stream: "data: {...}", "data: [DONE]", a comment or nothing. */
static int take_event(struct talk *talk, const char *line, uint64_t now_ns)
{
    const char *text = NULL;
    json_t *choices = NULL, *first = NULL;
    if (strncmp(line, "data:", 5) != 0) return ERR_OK;
    line += 5 + strspn(line + 5, " ");
    if (strcmp(line, "[DONE]") == 0) {
        talk->done = 1;
        return ERR_OK;
    }
    json_t *event = json_loads(line, 0, NULL);
    if (json_unpack(event, "{s:o}", "choices", &choices) == 0) {
        first = json_array_get(choices, 0);
        if (first && json_unpack(first, "{s:s}", "text", &text) == 0) take_text(talk, text, now_ns);
    }
    json_decref(event);
    return choices ? ERR_OK : err_set(ERR_FORMAT, "no event of a completion: %.200s", line);
}

static int take_header(struct talk *talk, const char *line)
{
    if (!talk->status) {
        if (sscanf(line, "HTTP/1.%*d %d", &talk->status) != 1)
            return err_set(ERR_FORMAT, "no HTTP: %.80s", line);
        return ERR_OK;
    }
    if (strncasecmp(line, "Transfer-Encoding: chunked", 26) == 0) talk->chunked = 1;
    if (*line) return ERR_OK;
    talk->in_body = 1;
    talk->in_chunk_size = talk->chunked;
    return ERR_OK;
}

static int take_line(struct talk *talk, uint64_t now_ns)
{
    talk->line[talk->line_bytes] = '\0';
    talk->line_bytes = 0;
    if (!talk->in_body) return take_header(talk, talk->line);
    if (talk->status != 200)
        return err_set(ERR_FORMAT, "status %d: %.400s", talk->status, talk->line);
    return take_event(talk, talk->line, now_ns);
}

static int take_byte(struct talk *talk, char byte, uint64_t now_ns)
{
    if (byte == '\n') return take_line(talk, now_ns);
    if (byte == '\r') return ERR_OK;
    if (talk->line_bytes + 1 == sizeof talk->line)
        return err_set(ERR_LIMIT, "a line of the answer is too long");
    talk->line[talk->line_bytes++] = byte;
    return ERR_OK;
}

/* Of a size's line, which stands between lines of the stream: a chunk may end amid one. */
static void take_size_byte(struct talk *talk, char byte)
{
    if (byte == '\n') {
        talk->in_chunk_size = talk->chunk_left == 0; /* the end of a chunk is an empty line */
    } else if (byte != '\r') {
        int digit = byte <= '9' ? byte - '0' : (byte | 0x20) - 'a' + 10;
        talk->chunk_left = talk->chunk_left * 16 + (size_t)(digit & 15);
    }
}

int talk_feed(struct talk *talk, const char *bytes, size_t count, uint64_t now_ns)
{
    int result = ERR_OK;
    for (size_t i = 0; i < count && result == ERR_OK; i++) {
        if (talk->in_chunk_size) {
            take_size_byte(talk, bytes[i]);
            continue;
        }
        int counts = talk->in_body && talk->chunked;
        result = take_byte(talk, bytes[i], now_ns);
        if (counts && --talk->chunk_left == 0) talk->in_chunk_size = 1;
    }
    return result;
}

/* The rest, where no line ended it: an error's text. */
static int take_end(struct talk *talk)
{
    if (talk->line_bytes) {
        int result = take_line(talk, clock_ns(CLOCK_MONOTONIC));
        if (result != ERR_OK) return result;
    }
    if (talk->done || (talk->status == 200 && talk->tokens)) {
        talk->done = 1;
        return ERR_OK;
    }
    return err_set(ERR_FORMAT, "the answer ended early, with status %d", talk->status);
}

int talk_hear(struct talk *talk)
{
    char bytes[16384];
    ssize_t n = recv(talk->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return ERR_OK;
    if (n < 0) return err_set(ERR_IO, "cannot read the answer: %s", strerror(errno));
    if (n == 0) return take_end(talk);
    return talk_feed(talk, bytes, (size_t)n, clock_ns(CLOCK_MONOTONIC));
}
