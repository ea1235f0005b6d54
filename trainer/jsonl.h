/*
 * Lines of JSON, one per point and autoencoder: {"step":12,...}. All lines of a step are put
 * together, and then written in one piece.
 *
 * What must hold: the steps never fall from line to line, all lines of a step stand together, and
 * none is beyond the checkpoint that was resumed from.
 */
#ifndef SLUICE_TRAINER_JSONL_H
#define SLUICE_TRAINER_JSONL_H

#include <stddef.h>
#include <stdint.h>

enum { JSONL_LINE_BYTES = 2048 }; /* of a line at most */

struct jsonl;

/* For the file at `path`, which is not opened, with room for `lines` of one step. `steps`: those of
 * the checkpoint resumed from; 0 at a start. ERR_NOMEM, ERR_LIMIT (the path is too long). */
int jsonl_new(const char *path, uint64_t steps, uint32_t lines, struct jsonl **jsonl);
void jsonl_free(struct jsonl *jsonl);

/* Cut the file behind its last whole line of a step up to `steps`, unless that was done; *cut says how
 * many bytes went. Reads all of it, a line at a time. jsonl_write() does it first where it has not
 * been done. ERR_IO, ERR_USAGE (a link): it may be tried again. */
int jsonl_take_up(struct jsonl *jsonl, uint64_t *cut);

/* The step of the last lines; 0: there are none. */
uint64_t jsonl_steps(const struct jsonl *jsonl);

/* A line: begin, its values, end. Keys and texts need no escaping. What is not finite is null. */
void jsonl_begin(struct jsonl *jsonl, uint64_t steps);
void jsonl_text(struct jsonl *jsonl, const char *key, const char *value);
void jsonl_real(struct jsonl *jsonl, const char *key, double value);
void jsonl_count(struct jsonl *jsonl, const char *key, uint64_t value);
void jsonl_end(struct jsonl *jsonl);

/* Write the lines that were put together, in place of those of the last step where it is the same;
 * and forget them, whatever comes of it. ERR_NOSPC, ERR_IO, ERR_USAGE: the file has none of this
 * step. */
int jsonl_write(struct jsonl *jsonl);

#endif
