/*
 * The streams of this user on this machine, as their folders below $XDG_STATE_HOME/sluice tell.
 * Whatever else lies there is passed over: files, links, folders without the marker of a run, of
 * other users or open to them, and those whose marker names another stream than they do.
 */
#ifndef SLUICE_CLI_STREAMS_H
#define SLUICE_CLI_STREAMS_H

#include "config/config.h"

#include <jansson.h>

enum { STREAMS_MAX = 256, STREAMS_PAGE_BYTES = 96 };

enum streams_state {
    STREAMS_RUNNING,
    STREAMS_SILENT, /* it is run, and no broker answers where it would by default */
    STREAMS_FINISHED,
    STREAMS_STOPPED,
    STREAMS_STATES
};

struct stream_found {
    struct config *config; /* of the name and the consumers that have a folder; else the defaults */
    enum streams_state state;
    json_t *status;                /* the broker's document, where it runs; else NULL */
    long pid;                      /* of the `sluice up` that runs it; 0: none, or not known */
    char page[STREAMS_PAGE_BYTES]; /* as streams_page() */
};

struct streams {
    char folder[CONFIG_PATH_BYTES];         /* where they were looked for */
    int count, left_out;                    /* the latter: more than there is room for */
    struct stream_found found[STREAMS_MAX]; /* sorted by name */
};

/* Look. The caller calls streams_free(), also after an error. A folder that is not there holds none.
 * ERR_USAGE: it is not known where to look; ERR_IO, ERR_NOMEM. Blocks for half a second at each
 * stream whose broker does not answer. */
int streams_find(struct streams *streams);
void streams_free(struct streams *streams);

/* How the stream is whose broker does not answer; *pid as above. */
enum streams_state streams_unanswered(const struct config *config, long *pid);

/* "running": a constant. */
const char *streams_word(enum streams_state state);

/* "http://127.0.0.1:8080/": where the broker of a run shows its page, as RUN/http/broker tells; ""
 * where it shows none. */
void streams_page(const struct config *config, char page[STREAMS_PAGE_BYTES]);

#endif
