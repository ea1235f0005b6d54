/*
 * A file that grows by whole pieces, and is open only while one is written: what the disk did not take
 * whole is cut off again, so that whoever reads along meets no half of anything. Nothing is synced:
 * for what is only looked at.
 */
#ifndef SLUICE_TRAINER_GROWN_H
#define SLUICE_TRAINER_GROWN_H

#include "config/config.h"

#include <stddef.h>
#include <stdint.h>

enum { GROWN_PATH_BYTES = CONFIG_PATH_BYTES + 160 };

struct grown {
    char path[GROWN_PATH_BYTES];
    uint64_t bytes; /* its good ones; the next piece comes behind them */
};

/* Put a piece at `bytes`, cut what lies behind it, and count it in; made (0600) where there is no
 * file and `bytes` is 0. ERR_NOTFOUND: the file is gone, or shorter than it was. ERR_NOSPC, ERR_IO,
 * ERR_USAGE (a link): nothing was added, it may be tried again. */
int grown_put(struct grown *file, const void *data, size_t bytes);

/* Cut what lies behind its good bytes; *cut says how many those were. Errors as above. */
int grown_cut(const struct grown *file, uint64_t *cut);

#endif
