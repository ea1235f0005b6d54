/*
 * Whether the folder that a run is at work in is still there. A process keeps what it has opened,
 * also where the folder was removed, moved or replaced under it: it would go on, and write what
 * nobody finds. So each looks once a second at the marker (folder.h), which is kept open: its device
 * and inode are then nobody else's.
 *
 * A look that fails for another reason, as a network's disk that does not answer, says nothing.
 */
#ifndef SLUICE_RUNTIME_SITE_H
#define SLUICE_RUNTIME_SITE_H

#include "config/config.h"

#include <sys/types.h>

struct site {
    int marker; /* -1: nothing is looked at */
    char folder[CONFIG_PATH_BYTES];
    unsigned missed; /* looks in a row that found it gone */
};

/* Before site_open(). */
void site_init(struct site *site);
/* After the folder was claimed. ERR_IO, ERR_NOTFOUND. */
int site_open(struct site *site, const struct config *config);
void site_close(struct site *site);

/* Once a second: ERR_FORMAT where it has been gone for two looks, which no second try mends; the
 * text says so, and what to do. Looks at one file. */
int site_check(struct site *site);
/* The same of one look: for who has another reason to think so, as an error, whose text stays where
 * the folder is not gone. */
int site_check_now(struct site *site);
/* A unix socket that is served: what others come to it by. */
struct site_socket {
    char path[CONFIG_PATH_BYTES]; /* "": none */
    dev_t device;
    ino_t inode; /* 0: it has not been seen yet */
    unsigned missed;
};

/* Once a second, from when it is served: ERR_STATE where it was removed or replaced for two looks.
 * Who serves it ends then, and another life serves it anew. */
int site_check_socket(struct site_socket *socket);

#endif
