#include "browse/door.h"

#include "base/err.h"
#include "runtime/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int door_open(struct door *door, const char *address)
{
    const char *colon = strrchr(address, ':');
    int result = token_make(door->token);
    if (result != ERR_OK) return result;
    snprintf(door->address, sizeof door->address, "%s", address);
    snprintf(door->port, sizeof door->port, "%s", colon ? colon + 1 : "");
    snprintf(door->cookie_name, sizeof door->cookie_name, "sluice-browse-%s", door->port);
    return ERR_OK;
}

/* Takes as long whatever the difference is. */
static int is_token(const struct door *door, const char *told)
{
    unsigned different = 0;
    if (!told || strlen(told) != TOKEN_BYTES - 1) return 0;
    for (size_t i = 0; i < TOKEN_BYTES - 1; i++)
        different |= (unsigned char)told[i] ^ (unsigned char)door->token[i];
    return different == 0;
}

/* The address that was printed, and what else it may be called. */
static int is_our_host(const struct door *door, const char *host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    if (host && strcmp(host, door->address) == 0) return 1;
    for (size_t i = 0; host && i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(host, names[i], n) == 0 && host[n] == ':' &&
            strcmp(host + n + 1, door->port) == 0)
            return 1;
    }
    return 0;
}

static int is_our_origin(const char *origin, const char *host)
{
    static const char scheme[] = "http://";
    return strncmp(origin, scheme, sizeof scheme - 1) == 0 &&
           strcmp(origin + sizeof scheme - 1, host) == 0;
}

enum door_verdict door_judge(const struct door *door, const struct door_visit *visit,
                             const char **why)
{
    int changes = strcmp(visit->method, "GET") != 0 && strcmp(visit->method, "HEAD") != 0;
    *why = "only for the host that was printed";
    if (!is_our_host(door, visit->host)) return DOOR_SHUT;
    *why = "not for pages of others";
    if (visit->origin ? !is_our_origin(visit->origin, visit->host) : changes) return DOOR_SHUT;
    if (is_token(door, visit->cookie)) return DOOR_OPEN;
    *why = "open the address that sluice browse printed, with its token";
    if (changes || strcmp(visit->path, "/") != 0) return DOOR_SHUT;
    return is_token(door, visit->token) ? DOOR_ENTER : DOOR_SHUT;
}

static int refuse(struct http_reply *reply, const char *why)
{
    reply->status = 403;
    reply->content_type = "text/plain; charset=utf-8";
    int n = asprintf(&reply->body, "%s\n", why);
    if (n < 0) reply->body = NULL;
    reply->bytes = n < 0 ? 0 : (size_t)n;
    return 0;
}

int door_may_pass(void *arg, const struct http_request *request, struct http_reply *reply)
{
    const struct door *door = arg;
    const struct door_visit visit = {.method = request->method,
                                     .path = request->path,
                                     .host = http_header(request, "Host"),
                                     .origin = http_header(request, "Origin"),
                                     .cookie = http_cookie(request, door->cookie_name),
                                     .token = http_argument(request, "token")};
    const char *why;
    if (peer_is_ours(request->socket) != ERR_OK) return refuse(reply, err_text());
    enum door_verdict verdict = door_judge(door, &visit, &why);
    if (verdict == DOOR_OPEN) return 1;
    if (verdict == DOOR_SHUT) return refuse(reply, why);
    refuse(reply, "come in");
    reply->status = 303;
    snprintf(reply->location, sizeof reply->location, "/");
    snprintf(reply->cookie, sizeof reply->cookie, "%s=%s; Path=/; HttpOnly; SameSite=Strict",
             door->cookie_name, door->token);
    return 0;
}
