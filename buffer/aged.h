/*
 * The file of held-out rows of a stream whose rows go by age: CONSUMER/held_out.aged, mode 0600. It
 * is a row of slots, each empty (zeros) or with one row as drawn: its number in the order of arrival,
 * when it was captured, a checksum, its values. A row that goes leaves zeros, and its slot is taken
 * again; so the file needs no second one, and none of its bytes outlives a row.
 */
#ifndef SLUICE_BUFFER_AGED_H
#define SLUICE_BUFFER_AGED_H

#include <stddef.h>
#include <stdint.h>

struct aged;

struct aged_row {
    uint64_t number;      /* in the order of arrival, from 0 */
    uint64_t captured_ns; /* CLOCK_REALTIME */
    uint64_t slot;        /* where it lies */
};

struct aged_counts { /* of rows that were not taken over, and are gone */
    uint64_t expired, uncovered, damaged;
};

/* Open or make the file, of rows of `width` values. ERR_IO, ERR_NOSPC, ERR_NOMEM, ERR_USAGE (not
 * ours). The caller closes it. */
int aged_open(const char *path, uint32_t width, struct aged **aged);
void aged_close(struct aged *aged); /* NULL is fine */

/* Once, before anything else: every row with a number below `below` (later ones no checkpoint covers,
 * and they will come again) that was captured at `oldest_ns` or later goes to `take`; the others are
 * overwritten. Errors of `take`; ERR_IO, ERR_NOMEM. Reads the disk. */
int aged_load(struct aged *aged, uint64_t below, uint64_t oldest_ns,
              int (*take)(void *arg, const struct aged_row *row, const float *values), void *arg,
              struct aged_counts *counts);

/* Put a row into an empty slot: row->slot is filled in. ERR_NOSPC, ERR_IO: it is not kept. ERR_NOMEM. */
int aged_put(struct aged *aged, struct aged_row *row, const float *values);
/* Overwrite a slot with zeros. ERR_IO, ERR_NOSPC: it may be tried again. */
int aged_clear(struct aged *aged, uint64_t slot);
/* The same of all slots captured before oldest_ns, and of those that somebody died in overwriting, for
 * who is not the file's trainer: a row that the trainer puts there at that moment may be lost, and never in part. *wiped is added to. ERR_NOTFOUND:
 * there is no such file. ERR_IO, ERR_NOSPC, ERR_NOMEM, ERR_USAGE. Reads the disk. */
int aged_wipe(const char *path, uint32_t width, uint64_t oldest_ns, uint64_t *wiped);

/* fsync. ERR_IO, ERR_NOSPC. */
int aged_sync(struct aged *aged);

#endif
