/*
 * What a run makes in its folder: the one list of these names, to the letter (NAME.counts of the
 * configuration's counters alone). Whatever is not on it is somebody else's, and so is a symbolic
 * link of any name: no run makes one.
 */
#ifndef SLUICE_CONFIG_MADE_H
#define SLUICE_CONFIG_MADE_H

#include "config/config.h"

enum made_kind {
    MADE_FOREIGN, /* not the run's; of a folder: neither is what is in it, which is not visited */
    MADE_FILE,    /* a regular file or a socket */
    MADE_FOLDER,
};

struct made_entry {
    enum made_kind kind;
    int folder;            /* descriptor of the folder that it lies in, for unlinkat() */
    const char *name;      /* in that folder */
    const char *path;      /* below the run's folder: "log/broker.log" */
    enum made_kind wanted; /* what a run makes under this name, whatever lies there */
};

/* Call `visit` for everything below the run's folder: what a folder holds before the folder itself.
 * The folders of `consumers` count as the run's (NULL: every folder that is none of the others'
 * does, if it has the name of a consumer). Follows no link but the run's folder itself. Ends early
 * with the first result of `visit` that is not ERR_OK. ERR_IO, ERR_LIMIT (too deep); a folder that
 * is not there has nothing in it. */
int made_walk(const struct config *config, const struct config_list *consumers,
              int (*visit)(void *arg, const struct made_entry *entry), void *arg);

/* The same for whoever writes there, before it does: where the buffer's folder or a consumer's is a
 * link to another disk it is entered; and a folder comes before what it holds. */
int made_walk_everywhere(const struct config *config, const struct config_list *consumers,
                         int (*visit)(void *arg, const struct made_entry *entry), void *arg);

/* The names in a run's folder that no consumer may have. */
int made_name_taken(const char *name);

#endif
