/*
 * Temporary files of processes that died: NAME.tmp.XXXXXX, six letters or digits, as
 * file_temporary() makes them. Whoever writes one holds a lock on it (flock) until it has its name,
 * so that one without is nobody's any more, whatever number its maker's process had.
 */
#ifndef SLUICE_BASE_LEFTOVER_H
#define SLUICE_BASE_LEFTOVER_H

#include <stddef.h>

/* The length of NAME where `name` is one of a temporary file, 0 where it is not. */
size_t leftover_name(const char *name);

/* Remove the regular file `name`, which must be one of a temporary file, from the open folder, if
 * nobody is writing it. 1: it was removed. Never blocks for long. */
int leftover_remove(int folder, const char *name);

#endif
