/* A steady load of streamed requests for an HTTP server, and what it took. One thread. */
#ifndef SLUICE_TESTS_HOSTS_TRAFFIC_H
#define SLUICE_TESTS_HOSTS_TRAFFIC_H

#include "tests/hosts/processor.h"
#include "tests/hosts/prompts.h"

enum { TRAFFIC_MOST = 256 }; /* at once */

struct traffic_options {
    int port;
    int concurrent, requests;      /* so many at once; when one ends, the next begins */
    int tokens;                    /* of an answer */
    double limit_seconds;          /* for all of it */
    const struct prompts *prompts; /* request i asks with prompt i modulo their count */
    pid_t pid;                     /* the server's; 0: its processor time is not wanted */
};

struct traffic {
    int requests;
    char **answers; /* of each request, in the order of the prompts; NULL: none */
    long tokens;    /* events with text: a token each, but where a character has several */
    double seconds, tokens_per_second;
    double p50_ms, p99_ms; /* between a token and the next of the same answer */
    double first_p50_ms;   /* from the request to the first token */
    struct processor_seconds processor;
};

/* Blocks until all are answered. The first that fails ends it: ERR_NOTFOUND, ERR_FORMAT, ERR_IO, or
 * ERR_AGAIN when the time is over. `traffic` is the caller's to free where it succeeds. */
int traffic_run(const struct traffic_options *options, struct traffic *traffic);
void traffic_free(struct traffic *traffic);

#endif
