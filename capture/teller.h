/*
 * What a producer leaves out: counted over all of its lives, judged, and told in RUN/capture and in
 * the log. A maker owns one and tells it of every document and row; all but teller_left_out() is
 * for the maker's thread.
 *
 * Judged alike under `block` and `shed`: a live stream that loses a part of what it is made of is
 * worth as much less, and its owner knows as little. Who wants a live stream to go on whatever
 * comes sets max_bad_documents and max_filtered_share to 1; then it is only told.
 */
#ifndef SLUICE_CAPTURE_TELLER_H
#define SLUICE_CAPTURE_TELLER_H

#include "capture/filter.h"
#include "config/config.h"
#include "engine/engine.h"
#include "runtime/left_out.h"
#include "runtime/room.h"

struct teller;

/* Takes up what earlier lives have told. `config` and `room`, which is told where a file cannot be
 * written, outlive it. ERR_NOMEM. The caller frees it. Reads the disk. */
int teller_new(const struct config *config, uint32_t producer, struct room *room,
               struct teller **teller);
void teller_free(struct teller *teller);

/* After each call of the engine. ERR_USAGE: too many documents were skipped (judge.h). */
int teller_documents(struct teller *teller, const struct engine *engine, int final);
/* After engine_count_rows(): what the whole corpus would lose is known before it is captured. */
int teller_corpus(struct teller *teller, const struct engine *engine);

/* Rows of run `run` (the descriptor's) are counted from now on: those before frame `number`, whose
 * first row is at `cursor`, as they were counted before. What was told of another run counts no
 * longer. ERR_NOMEM. */
int teller_seek(struct teller *teller, uint64_t run, uint64_t number, const struct cursor *cursor);
/* The share has ended: of its part of capture.rows (0: it has none) it may have had too few. */
void teller_part(struct teller *teller, uint64_t rows, int is_short);
/* The corpus cannot be read again, and what was under way when a process died is lost. */
void teller_gap(struct teller *teller);

/* The next row, in order. ERR_USAGE: the norm filter leaves out too many (judge.h). */
int teller_row(struct teller *teller, enum filter_verdict verdict);
/* After a batch of rows. ERR_USAGE: too many are not finite (filter.h). */
int teller_batch(struct teller *teller);
/* All rows so far lie before frame `number`, which begins at `cursor`. Call it before the frame
 * before that one can leave; of a live stream, for which neither matters, before each word of them
 * to the sender. */
void teller_mark(struct teller *teller, uint64_t number, const struct cursor *cursor);
/* The sender did not take them: a live stream's count is again what it was before the last mark. */
void teller_take_back(struct teller *teller);
/* The share has ended: whatever there is, is judged. ERR_USAGE. */
int teller_end(struct teller *teller, const struct engine *engine);

/* Into RUN/capture: each two seconds, or `at_once`; nothing before teller_seek(), so that what an
 * earlier life has told stands. `shed_rows`, `expired_rows`: of this life. */
void teller_tell(struct teller *teller, uint64_t shed_rows, uint64_t expired_rows, int at_once);
/* Into the log, likewise: two lines, for the end. */
void teller_log(struct teller *teller);

uint64_t teller_kept_rows(const struct teller *teller); /* in all lives */
struct left_out teller_left_out(struct teller *teller); /* from any thread */

#endif
