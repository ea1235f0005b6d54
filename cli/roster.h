/*
 * The processes of a pipeline, and how each is: those that its configuration declares, and whoever
 * else reports to its broker. Out of the broker's document (cli/snapshot.h), so on any host.
 */
#ifndef SLUICE_CLI_ROSTER_H
#define SLUICE_CLI_ROSTER_H

#include "cli/part.h"

#include <jansson.h>

enum { ROSTER_MAX = 320 };

enum roster_state {
    ROSTER_OK,
    ROSTER_ENDED,     /* it was through with its work, and is silent; or the sink says so of it */
    ROSTER_NOT_READY, /* it says that it cannot do its work: as its /readyz does */
    ROSTER_UNWELL,    /* and that for a minute: as its /healthz does */
    ROSTER_SILENT,    /* it has reported, and is silent for longer than REPORT_SILENT_SECONDS */
    ROSTER_MISSING,   /* it is declared, and the broker has not heard of it */
    ROSTER_STATES
};

struct roster_entry {
    char name[64];
    int kind; /* enum process_kind; -1: none that we know */
    enum roster_state state;
    double seconds; /* how long it has been in that state; NaN: it is well, or nobody can tell */
    const json_t *report,
        *rates; /* of the document; NULL: none. The rates of the silent are not. */
};

struct roster {
    int count, left_out; /* the latter had no room */
    struct roster_entry entry[ROSTER_MAX];
};

/* Those that report, sorted as data flows (captures, broker, sink, trainers) and by name, then the
 * missing of what `part` of the configuration declares (NULL: it is not known). The entries point into `status`. */
void roster_read(const struct config *config, const struct part *part, const json_t *status,
                 struct roster *roster);

/* "ok", "not ready": a constant. */
const char *roster_word(enum roster_state state);

#endif
