/*
 * Whether a buffer's files can be read at all, found out by a child process: LMDB has no checksums
 * on its pages, and a damaged or foreign file can kill whoever maps it. Internal to buffer/.
 */
#ifndef SLUICE_BUFFER_VERIFY_H
#define SLUICE_BUFFER_VERIFY_H

#include "buffer/environment.h"

/* In a child: open, read every record and every slab's header, and account for every page of the
 * file (each is of one slab, of a B-tree or free, and none twice). With checksums: read every slab
 * whole, and count those that do not match in *bad. ERR_NOTFOUND: there is nothing. ERR_CORRUPT
 * (also where the child dies), ERR_VERSION, ERR_IO. Blocks until the child is done. */
int verify_in_child(const char *dir, int checksums, uint64_t *slabs, uint64_t *bad);

#endif
