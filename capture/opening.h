/*
 * What an engine is at while it is opened, or later finds another model: told by the maker's thread,
 * asked by the loop's.
 */
#ifndef SLUICE_CAPTURE_OPENING_H
#define SLUICE_CAPTURE_OPENING_H

#include "capture/sender.h"
#include "config/config.h"
#include "engine/options.h"

#include <pthread.h>

struct opening {
    struct sender *sender;              /* who may order a halt */
    pthread_mutex_t lock;               /* over what follows */
    char preparing[CONFIG_PATH_BYTES];  /* the model that is being prepared; "" at first */
    uint64_t preparing_bytes;           /* that it will have, about */
    char reading[CONFIG_PATH_BYTES];    /* the model's file that is being read whole; "": none */
    int is_checked;                     /* a form of the model, against the model */
    uint64_t read_bytes, reading_bytes; /* of it, so far and in all */
};

void opening_init(struct opening *opening, struct sender *sender);
void opening_end(struct opening *opening);

/* What an engine is opened with, so that it tells this; valid for as long as `opening`. */
struct engine_watch opening_watch(struct opening *opening);

struct opening_share { /* bytes of a file */
    uint64_t done_bytes, of_bytes;
};

/* Whether a model's file is being read as a whole: which, cut to file[bytes], and how far it is. */
int opening_reads(struct opening *opening, char *file, size_t bytes, struct opening_share *share);
/* Whether a form of the model is held against it. */
int opening_checks(struct opening *opening);
/* Whether a prepared model is being made, and how far it is. Looks at the disk. */
int opening_prepares(struct opening *opening, struct opening_share *share);

#endif
