/*
 * The file of a ring (ring.h), for both who write and who read it: where it lies, what it is called, and
 * whether its program is gone.
 */
#ifndef SLUICE_PROTO_RING_FILE_H
#define SLUICE_PROTO_RING_FILE_H

#include "proto/ring.h"

#include <time.h>

#define RING_SUFFIX  ".ring"
#define RING_UNNAMED ".new" /* behind it until the ring is whole */

/* "/dev/shm/sluice-UID/STREAM", where a stream's rings lie unless somebody says otherwise, into out[bytes].
 * Made where it is not there, as the user's folder above it. ERR_LIMIT: it has no room; errors of
 * own_make(). */
int ring_folder_make(const char *stream, char *out, size_t bytes);

/* "PID-IDENTITY.ring", the name of a ring's file, into out[bytes], which has room for 40. */
void ring_name(const struct ring_facts *facts, char *out, size_t bytes);

/* What a file of that name is, by its end. */
enum ring_file_kind { RING_FILE_OTHER, RING_FILE_WHOLE, RING_FILE_UNFINISHED };
enum ring_file_kind ring_file_kind(const char *name);

/* Whether an open file that is not yet a ring was left by a program that died over it: nobody holds a lock
 * on it, and a program makes its ring in less than the time since it was written. `now`: of the wall clock. */
int ring_file_is_left(int fd, time_t now);

/* Whether nobody writes to the ring in this open file any more: its program closed it, or is dead. It
 * lives as long as it holds a lock on it or, having closed all its files, still runs. A process is told
 * nothing of a lock of its own. `facts` are the ring's, checked. Reads /proc. */
int ring_is_over(int fd, const struct ring_facts *facts, const struct ring_header *ring);

#endif
