/*
 * Where Prometheus finds the processes of a run today: the file of targets of `sluice up --prometheus
 * FILE`, for its discovery by files (file_sd_configs). Each process of this host that has not done
 * its part stands in it:
 *
 *     [{"targets": ["127.0.0.1:41007"],
 *       "labels": {"job": "sluice", "stream": "S", "process": "sink", "kind": "sink",
 *                  "instance": "S/sink"}}]
 *
 * A process that has no address, as it starts, starts again or hangs before it has one, stands there
 * with TARGETS_NOWHERE: it is `up 0` to Prometheus, and not unknown. One whose `http` is off is
 * left out. `instance` stays when a port changes, so that a series goes on over a restart.
 *
 * The file of a run that has ended well is the empty list; that of one that has died, or was given
 * up, stays as it is, so that an alert on processes that do not answer goes on.
 */
#ifndef SLUICE_CLI_TARGETS_H
#define SLUICE_CLI_TARGETS_H

#include "cli/children.h"
#include "config/config.h"

/* Nobody can listen there without being root, and nobody does. */
#define TARGETS_NOWHERE "127.0.0.1:1"

struct targets {
    const char *path;            /* NULL: nobody asked for a file */
    const struct config *config; /* the caller's */
    char *written;               /* what the file holds; owned; NULL: not known */
    int is_failing;              /* it could not be written, and was told */
};

/* Write the file for the first time. `path` stays the caller's; NULL: it and the calls below do
 * nothing. The file is replaced at once and readable by every user, as Prometheus is another one.
 * ERR_USAGE: the name does not end in .json, as Prometheus demands, or the file is there and is no
 * list of targets of this stream: it is left as it is. ERR_IO, ERR_NOSPC, ERR_NOMEM. Blocks on the
 * disk. */
int targets_open(struct targets *targets, const char *path, const struct config *config,
                 const struct children *children);

/* Write it again where an address has changed. What can't be written is told on stderr, once, and
 * tried again at the next call. */
void targets_look(struct targets *targets, const struct children *children);

/* The end: `is_over` where the run has ended well, or was told to. Frees what targets_open() made, also
 * where that failed. */
void targets_close(struct targets *targets, int is_over);

/* Of a stream that is finished already: the empty list, checked as by targets_open(). */
int targets_clear(const char *path, const struct config *config);

#endif
