/*
 * Feature indexes that were made out of the buffer of a stream with a retention: RUN/index/NAME, each
 * with a file that says how old its rows may be (base/rows_from.h). What has none was made of
 * something else, and stays.
 */
#ifndef SLUICE_SINK_INDEXES_H
#define SLUICE_SINK_INDEXES_H

#include <stdint.h>

/* Remove those that may have rows captured before `oldest_seconds` (since 1970). Labels in them are
 * people's work: they stay, as RUN/index/NAME.labels.tsv
 * (where that is there already, NAME.labels-2.tsv, ...). *removed is added to. ERR_IO, ERR_LIMIT:
 * of one of them; the others are gone, and the next call tries it again. Follows no link. */
int indexes_expire(const char *run_dir, uint64_t oldest_seconds, uint64_t *removed);

#endif
