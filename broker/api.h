/*
 * What the broker tells over HTTP: /api/status, /api/history, /api/history/series and the stream of
 * events /api/events, and whatever the page has. The process's state begins with a struct api.
 */
#ifndef SLUICE_BROKER_API_H
#define SLUICE_BROKER_API_H

#include "broker/history.h"
#include "broker/status.h"
#include "runtime/process.h"

enum { API_CONNECTIONS = 192 }; /* 20 pages, with up to six fetches each beside their streams */

struct api {
    struct status *status;
    struct history *history;
};

/* Open both: `api` is where the process's state begins. ERR_NOMEM; all else goes on without. */
int api_open(struct api *api, struct process *process);
/* ended: the run ends in good order, and what starts next is no restart. */
void api_close(struct api *api, int ended);

/* Once a second: keep what is now, and tell those who listen. */
void api_tick(struct api *api, struct process *process);

/* All handlers; they outlive everything. */
const struct http_handler *api_handlers(size_t *count);

#endif
