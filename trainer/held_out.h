/*
 * The rows that are never trained on, kept to measure with: CONSUMER/held_out.rows, (rows, width)
 * float32 as drawn from the buffer (not scaled), in the order in which they arrived, mode 0600; and
 * in memory a scaled copy, which is what the metrics are computed from.
 *
 * What must hold: a row is in the synced file before a checkpoint covers it, and the file holds no
 * row that the checkpoint resumed from does not cover.
 */
#ifndef SLUICE_TRAINER_HELD_OUT_H
#define SLUICE_TRAINER_HELD_OUT_H

#include <stdint.h>

struct held_out;

/* Open the file, cut it to its first `rows` rows (those of the checkpoint resumed from; 0 at a
 * start), and load them. `hash` is held_out_hash() at that checkpoint; 0: not known. `scale`
 * (width) multiplies each dimension of what is kept in memory and is borrowed for the life of the
 * object. At most `limit_rows` rows are kept; later ones are passed over. ERR_CORRUPT: the file is
 * shorter than `rows`, or other than it was; it stays as it is. ERR_IO, ERR_NOSPC, ERR_NOMEM. Reads
 * the disk. The caller closes it. */
int held_out_open(const char *path, uint32_t width, const float *scale, uint64_t limit_rows,
                  uint64_t rows, uint64_t hash, struct held_out **held_out);
void held_out_close(struct held_out *held_out);

/* The same of a stream whose rows go by age (sink.retention), in a file of slots (aged.h): of the rows
 * that the checkpoint knew, `taken` in all, those that were captured at `oldest_ns` or later are
 * loaded; the others are overwritten, and *lost says how many were not as they had been written. */
int held_out_open_aged(const char *path, uint32_t width, const float *scale, uint64_t limit_rows,
                       uint64_t taken, uint64_t oldest_ns, uint64_t *lost,
                       struct held_out **held_out);

/* Keep one row of `width` values, not scaled. Buffered: held_out_sync() makes it durable; a disk
 * that takes nothing is told there, and rows wait in memory until then; where rows go by age they
 * are passed over instead. ERR_NOMEM, ERR_IO. */
int held_out_add(struct held_out *held_out, uint64_t captured_ns, const float *values);

/* Where rows go by age: take those captured before `oldest_ns` (CLOCK_REALTIME) out of file and
 * memory; *expired says how many (0 else). The others may change places. ERR_IO, ERR_NOSPC: those
 * that are left may be tried again. */
int held_out_expire(struct held_out *held_out, uint64_t oldest_ns, uint64_t *expired);

/* What a checkpoint keeps: the rows that were ever taken, expired ones too. */
uint64_t held_out_taken(const struct held_out *held_out);

/* Write what is buffered and fsync. ERR_IO, ERR_NOSPC: nothing is lost, it may be tried again.
 * Blocks on the disk. */
int held_out_sync(struct held_out *held_out);

/* Checksum of all rows kept, as drawn; never 0, but where rows go by age, which have one each. */
uint64_t held_out_hash(const struct held_out *held_out);

/* Rows kept, and the scaled copy: (rows, width), valid until the next held_out_add(). */
uint64_t held_out_rows(const struct held_out *held_out);
const float *held_out_values(const struct held_out *held_out);

#endif
