/*
 * One request to an OpenAI-compatible server over HTTP/1.1 on this machine, whose answer is streamed:
 * a state machine over what arrives, and beside it the socket. Nothing here blocks but talk_open(),
 * for the moment of a connect() to this machine.
 */
#ifndef SLUICE_TESTS_HOSTS_TALK_H
#define SLUICE_TESTS_HOSTS_TALK_H

#include <stddef.h>
#include <stdint.h>

enum {
    TALK_LINE_BYTES = 65536,
    TALK_TEXT_BYTES = 16384,
    TALK_MOST_TOKENS = 4096,
};

struct talk {
    int fd;     /* -1: closed */
    int status; /* of HTTP; 0: not known yet */
    int done;   /* the whole answer is there */
    int in_body, chunked;
    size_t chunk_left; /* bytes of the chunk that have not come */
    int in_chunk_size; /* a line with a size comes next */
    char line[TALK_LINE_BYTES];
    size_t line_bytes;
    char text[TALK_TEXT_BYTES]; /* what the server generated; NUL-terminated */
    size_t text_bytes;
    uint64_t asked_ns, token_ns[TALK_MOST_TOKENS]; /* when each event with text came */
    int tokens;
};

/* Connect to 127.0.0.1:port and ask for `tokens` tokens behind the prompt, greedily.
 * ERR_NOTFOUND: nobody listens; ERR_IO; ERR_LIMIT: the prompt is too long. */
int talk_open(struct talk *talk, int port, const char *prompt, int tokens);
/* Take what has arrived; call it when the socket is readable. ERR_FORMAT: no answer as such a server
 * gives it, or a status other than 200 (the text says which); ERR_IO. */
int talk_hear(struct talk *talk);
void talk_close(struct talk *talk);

/* The state machine alone: bytes of an answer as they come. For tests. */
int talk_feed(struct talk *talk, const char *bytes, size_t count, uint64_t now_ns);

#endif
