/*
 * What a run left out, as each capture tells it in RUN/capture/NAME.json: a file that is replaced
 * every few seconds and at the end, so that it tells of a run that nobody answers for any more.
 *
 * Rows are those of one producer, over all of its lives, each row once however often it was made. A
 * live producer makes no row again: its are all that were captured, those that died with it too.
 * None of these counts falls as long as the run is the same.
 * Documents are those of the whole corpus, all shares together, up to where that producer is.
 */
#ifndef SLUICE_RUNTIME_LEFT_OUT_H
#define SLUICE_RUNTIME_LEFT_OUT_H

#include "config/config.h"

enum { LEFT_OUT_SKIPS = 4, LEFT_OUT_PLACE_BYTES = 256, LEFT_OUT_TEXT_BYTES = 1024 };

struct left_out {
    uint64_t run;   /* the descriptor's: another begins from nothing; not of a sum */
    int has_corpus; /* of documents; 0: an engine that has none */
    uint64_t documents;
    uint64_t skipped[LEFT_OUT_SKIPS];         /* by reason, in the order of enum engine_skip */
    uint64_t replaced;                        /* texts in which a lone surrogate became U+FFFD */
    char first_skipped[LEFT_OUT_PLACE_BYTES]; /* "FILE, line 7: why"; "" where none was */

    uint64_t kept_rows;
    uint64_t special_rows, first_rows, norm_rows; /* filtered */
    uint64_t rejected_rows;                       /* not finite */
    uint64_t shed_rows, expired_rows; /* less those of the last two seconds before a kill */

    uint64_t part_rows;       /* of capture.rows, that this producer makes; 0: all of the corpus */
    uint64_t short_producers; /* whose share has ended before its part; of one producer 0 or 1 */
    uint32_t first_short;     /* of them */

    uint64_t gaps;      /* times that a process died, and what was under way cannot be made again */
    int is_partial;     /* the count of some earlier rows was lost: "at least" */
    uint32_t producers; /* that it is made of */
};

/* The reasons as labels of metrics and keys ("encoding", ...), and for people ("not UTF-8",
 * ...). */
extern const char *const left_out_labels[LEFT_OUT_SKIPS];
uint64_t left_out_skipped(const struct left_out *left_out);  /* all reasons together */
uint64_t left_out_filtered(const struct left_out *left_out); /* likewise */
uint64_t left_out_rows(const struct left_out *left_out);     /* kept, filtered, rejected */

/* "3 not UTF-8, 1 too long": out[bytes]; "" where none was skipped. */
void left_out_reasons(const uint64_t skipped[LEFT_OUT_SKIPS], char *out, size_t bytes);
/* "150 read, 2 skipped (2 not JSON or CSV; the first: FILE, line 7: why), 1 with ...". Only what is
 * not 0, but for the documents read. */
void left_out_documents_text(const struct left_out *left_out, char *out, size_t bytes);
/* "1,000 made, 25 filtered (0 special tokens, 20 at position 0, 5 over the norm limit), ...". */
void left_out_rows_text(const struct left_out *left_out, char *out, size_t bytes);

/* "1,500 of the 3,000 rows of capture.rows were made: the share of capture-1 has no more; HINT:
 * fewer producers"; "" where the shares had enough. */
void left_out_short_text(const struct config *config, const struct left_out *left_out, char *out,
                         size_t bytes);

/* Write, or read, a producer's file. The write is atomic to readers, and does not wait for the
 * disk: after a loss of power the file may be missing, or no JSON. ERR_NOSPC, ERR_IO, ERR_NOTFOUND,
 * ERR_FORMAT, ERR_NOMEM. */
int left_out_write(const struct config *config, uint32_t producer, const struct left_out *left_out);
int left_out_read(const struct config *config, uint32_t producer, struct left_out *left_out);
/* All producers' together: rows add up, of documents the farthest view counts. ERR_NOTFOUND: no
 * producer has told anything. */
int left_out_read_all(const struct config *config, struct left_out *left_out);

#endif
