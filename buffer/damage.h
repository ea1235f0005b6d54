/*
 * What somebody found wrong with a buffer, told to its sink in a small file beside it, DIR/damage:
 *
 *   inode 1234          of the data file that is meant
 *   run 0123456789abcdef  that buffer's identity (store_state.run); 0: it could not be read
 *   finder trainer-main
 *   why slab 12 of producer 0 ...
 *
 * Readers never write the sink's environment. The sink looks at this file, closes the buffer that
 * it names and sets it aside, with the file; one that opens such a buffer does the same. A file that
 * names another buffer than the one that is there means nothing.
 */
#ifndef SLUICE_BUFFER_DAMAGE_H
#define SLUICE_BUFFER_DAMAGE_H

#include <stdint.h>

/* The inode of the data file in `dir`, 0 where there is none: to be taken before the buffer is
 * looked at, so that what is found is said of that file and not of one that took its place. */
uint64_t damage_inode(const char *dir);

/* Say that the buffer with that data file (not 0) cannot be trusted, and why (one line). Where
 * another has taken its place meanwhile nothing is said. Durable when it returns ERR_OK; blocks on
 * the disk. ERR_NOSPC, ERR_IO. */
int damage_report(const char *dir, uint64_t inode, uint64_t run, const char *finder,
                  const char *why);

/* Whether the buffer that is there, whose identity is `run` (0: not known), was reported.
 * ERR_CORRUPT: it was; the text says by whom and why. ERR_OK: it was not. Reads a small file. */
int damage_check(const char *dir, uint64_t run);

/* Remove a report that no buffer is there for. */
void damage_forget(const char *dir);

#endif
