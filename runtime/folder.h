/*
 * Whose a folder is. A run writes into its folder (stream.run_dir) under names that others use too,
 * and `--fresh` removes them again; so each such folder carries a marker, the file sluice.run,
 * which is written when the folder is made, or found without a single file in it. A folder that
 * holds files and no marker is somebody else's: it is refused, and nothing in it is touched. The
 * folder of each consumer, RUN/NAME, has a marker of its own.
 *
 * The marker says the stream's name (and the consumer's): two streams cannot share a folder.
 *
 * What carries the marker must also be this user's alone, with all that lies in it under a name of
 * made.h (ours.h), and everybody must not be able to swap it for another: folders above that
 * everybody may write have the sticky bit.
 *
 * A folder that a run of Sluice 0.1.0 left has no marker. It is taken over, and marked, where its
 * descriptor.json is one of the same stream and everything else in it has a name that a run gives
 * (made.h; the truth file of the configuration, too). One foreign file, or link, and it is refused.
 */
#ifndef SLUICE_RUNTIME_FOLDER_H
#define SLUICE_RUNTIME_FOLDER_H

#include "config/config.h"

#define FOLDER_MARKER "sluice.run"

/* The run's folder is there, and marked as this stream's: made, marked or taken over where that may
 * be. Before anything else is done in it. ERR_USAGE: it is a file, or somebody else's, or something
 * in it is a symbolic link, another user's, or open to everybody's writing; ERR_MISMATCH: another
 * stream's; ERR_VERSION: a newer marker; ERR_IO, ERR_NOSPC, ERR_LIMIT. */
int folder_claim(const struct config *config);
/* The same for RUN/NAME of a consumer. */
int folder_claim_consumer(const struct config *config, const char *consumer);

/* Whose the folder at `path` is by its marker, changing nothing. The folder must be this user's
 * alone. ERR_NOTFOUND: it has none; ERR_USAGE: it is a link, somebody else's, or its marker is none;
 * ERR_VERSION: a newer one; ERR_IO. */
struct folder_owner {
    char stream[128], consumer[128]; /* the latter "": it is a run's own */
};
int folder_owner_read(const char *path, struct folder_owner *owner);

/* Whether folder_claim() and folder_claim_consumer() of all consumers would succeed, as far as that
 * can be told without writing: the same errors. */
int folder_check(const struct config *config);

#endif
