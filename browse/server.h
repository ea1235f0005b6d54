/*
 * The feature browser's server: an index's files, as they lie in its folder, the page, and what only a
 * program can do: keep a label, run a text through the model. To whom the door opens (door.h).
 *
 *   /               the page                       /api/can     what this server can do
 *   /page.css, .js                                 /api/label   POST {"feature": N, "text": T}
 *   /index.json, /features.table, /features.data, /tokens.table, /labels.tsv
 *                                                  /api/text    POST a text: what fires at its tokens
 */
#ifndef SLUICE_BROWSE_SERVER_H
#define SLUICE_BROWSE_SERVER_H

#include "inspect/index.h"

struct uv_loop_s;
struct server;

enum { SERVER_MOST_TEXT_BYTES = 1 << 14 };

struct server_options {
    const char *address;       /* "127.0.0.1:0" */
    const struct index *index; /* lent */
    /* What fires at a text's tokens: {tokens: [{token, left_out, features: [[feature, value]]}]}; the
     * server decrefs. It may block for as long as the model takes: a browser has one reader. */
    int (*read_text)(void *arg, const char *text, json_t **answer);
    void *arg;
    const char *cannot_read; /* why there is no read_text; outlives the server */
};

/* Listen. Errors of http_open(), door_open(). On success the caller ends with server_close(), and
 * runs the loop once more behind it. */
int server_open(struct uv_loop_s *loop, const struct server_options *options,
                struct server **server);
/* "http://127.0.0.1:PORT/?token=...": what a person opens. */
const char *server_address(const struct server *server);
void server_close(struct server *server);

#endif
