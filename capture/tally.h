/*
 * What became of a producer's rows, counted over all of its lives, each row once.
 *
 * A row may be made again: after a kill, after the sink's death, or when a consumer needs earlier
 * frames again. So the counts are kept by frame, in RUN/capture/NAME.tally: those of all rows
 * before frame N lie there before frame N - 1 can be sent, and so before the sink can ask for frame
 * N. Who is sent back to frame N takes them up from there. A record is known by the run, the number
 * and the cursor, so that one of another run is never taken for one of this.
 *
 * The window of judge.h is kept likewise, for the last TALLY_RECENT frames: under `block` these are
 * 10,000 rows or more (16 a frame at the least), which is as far as the window needs.
 *
 * A live producer has one record, that of number 0, which is no frame's.
 *
 * A disk that does not take a record ends nothing: the counts of this life stay right, and only
 * who goes back to just that frame finds less: all up to the last frame before it that has a
 * record, and says so (is_partial). The records after it say so too, until a frame is reached whose
 * whole count is known from before. Nothing waits for the disk, so a loss of power may cost records
 * too. No link is followed.
 */
#ifndef SLUICE_CAPTURE_TALLY_H
#define SLUICE_CAPTURE_TALLY_H

#include "base/row.h"
#include "capture/filter.h"
#include "capture/judge.h"

enum { TALLY_RECENT = 1024 };

struct tally_counts {
    uint64_t kept_rows;
    uint64_t special_rows, first_rows, norm_rows;
    uint64_t rejected_rows;
};

struct tally;

/* The file is made with the first record. `run`: the descriptor's. ERR_NOMEM. The caller closes
 * it. */
int tally_open(const char *path, uint64_t run, struct tally **tally);
void tally_close(struct tally *tally);

/* Take up the counts of what comes before frame `number`, whose first row is at `cursor`. Reads the
 * disk; never fails: tally_is_partial() where there is no such record. */
void tally_seek(struct tally *tally, uint64_t number, const struct cursor *cursor);
/* The next row, in order. */
void tally_add(struct tally *tally, enum filter_verdict verdict);
/* All rows so far lie before frame `number`, which begins at `cursor`: put that down. ERR_NOSPC,
 * ERR_IO: it could not be. Writes to the disk's cache. */
int tally_mark(struct tally *tally, uint64_t number, const struct cursor *cursor);

/* A live producer makes no row again, so it has one record, of all that it made so far. seek: 1
 * where there is one. mark: `counts` from now on. ERR_NOSPC, ERR_IO as above. */
int tally_seek_live(struct tally *tally);
int tally_mark_live(struct tally *tally, const struct tally_counts *counts);

/* Raise *counts to what was counted farthest in this run, before or behind where it is now. Reads
 * the records of the last frames. */
void tally_farthest(const struct tally *tally, struct tally_counts *counts);
/* Each of the counts where it is more. */
void tally_raise(struct tally_counts *counts, const struct tally_counts *others);

const struct tally_counts *tally_counts(const struct tally *tally);
const struct judge_window *tally_window(const struct tally *tally);
int tally_is_partial(const struct tally *tally);

#endif
