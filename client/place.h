/*
 * Where a ring lies, and its file. A file has its name once it can be read, and a lock on it as long as
 * its host lives.
 */
#ifndef SLUICE_CLIENT_PLACE_H
#define SLUICE_CLIENT_PLACE_H

#include "proto/ring.h"

/* Make the file of a ring in `folder` (NULL: ring_folder_make()), all of its memory taken, under a name that
 * no reader looks at. path[bytes]; *fd holds the lock. ERR_NOTFOUND (the folder is not there, may not be
 * written, or is not this user's alone), ERR_NOSPC, ERR_USAGE (`ulimit -f`), ERR_LIMIT, ERR_IO. */
int place_make(const char *folder, const struct ring_facts *facts, char *path, size_t bytes,
               int *fd);

/* Give it the name that readers look for; `path` becomes that. ERR_IO. */
int place_publish(char *path, size_t bytes);

#endif
