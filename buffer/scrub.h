/*
 * Pages of the buffer's file that rows were in and that are free now: overwritten with zeros, since
 * LMDB never makes its file smaller and leaves in a free page what was in it. Internal to buffer/,
 * for the one process that writes there.
 *
 * Which pages: LMDB (0.9.24) keeps those that transaction T has freed in database 0 under the key T,
 * or, once it has looked at them, under a smaller one. Its next transaction may take those for which
 * T lies below the last transaction and below that of every reader, and may write there long before
 * it commits, if it ever does. So whatever stands in them is read by nobody, in no order of deaths
 * and power cuts: zeros are as good as the beginnings of an aborted transaction. The same holds
 * for what lies in the file behind the last page that is in use.
 */
#ifndef SLUICE_BUFFER_SCRUB_H
#define SLUICE_BUFFER_SCRUB_H

#include "buffer/environment.h"

struct scrub;

/* For the data file in `dir`, whose map has map_bytes. What is in it is not known: all of its pages
 * may have rows. ERR_NOMEM, ERR_IO. The caller closes it. */
int scrub_open(const char *dir, uint64_t map_bytes, struct scrub **scrub);
void scrub_close(struct scrub *scrub); /* NULL is fine */

/* Rows are put into this value, of so many bytes, that LMDB has just reserved. */
void scrub_wrote(struct scrub *scrub, const void *value, size_t bytes);
/* Transaction `txn` has freed pages that may have rows; 0: one that came to nothing had begun. */
void scrub_owe(struct scrub *scrub, uint64_t txn);

/* From now on: pages are given back to the file system (holes) where it can, which takes no time. */
void scrub_give_back(struct scrub *scrub);

/* Overwrite what may be, of a large backlog a part. No transaction of this process is open. ERR_IO,
 * ERR_NOSPC: nothing is lost, it may be tried again. Blocks on the disk; the time is given to it. */
int scrub_turn(struct scrub *scrub, const struct environment *e, const char *dir, uint64_t now_ns);

/* As of the last turn. */
struct store_scrub scrub_state(const struct scrub *scrub, uint64_t now_ns);

#endif
