/*
 * Rows into frames of exactly `rows_per_slab` rows: cut by size only, never by time, so that under
 * `block` a frame's identities are a pure function of the corpus, the settings and its number.
 *
 * Holds: the running totals in a frame's header are those up to the frame's last row, so that
 * captured = rows of all frames so far + shed + rejected, to the row.
 */
#ifndef SLUICE_CAPTURE_CUTTER_H
#define SLUICE_CAPTURE_CUTTER_H

#include "capture/filter.h"
#include "proto/frame.h"

struct cutter_options {
    uint64_t stream; /* stream_key */
    uint32_t producer;
    uint32_t rows_per_slab;
    uint32_t width;
    uint8_t dtype;
    uint8_t codec;
    int drops_tokens; /* rows leave without their token ids */
};

struct cutter;

/* ERR_NOMEM, ERR_LIMIT (rows and width make no frame). The caller frees it. */
int cutter_new(const struct cutter_options *options, struct cutter **cutter);
void cutter_free(struct cutter *cutter);

/* Payload bytes that a frame may take: what cutter_seal() needs behind the header. */
size_t cutter_payload_bytes(const struct cutter *cutter);

/* Forget what is not cut yet and count on from these totals. */
void cutter_restart(struct cutter *cutter, const struct frame_totals *totals);

/* A row that passed the filters: id, its values (width), its cursor and that of the row after it.
 * The cutter must not be full. */
void cutter_add(struct cutter *cutter, const struct row_id *id, const float *values,
                const struct cursor *begin, const struct cursor *end);
/* A row that did not (any verdict but FILTER_KEEP). */
void cutter_leave_out(struct cutter *cutter, enum filter_verdict verdict);
/* Rows that were captured and never came here: they are in the totals. */
void cutter_lose(struct cutter *cutter, uint64_t rows);

uint32_t cutter_rows(const struct cutter *cutter); /* waiting to be cut */
int cutter_full(const struct cutter *cutter);      /* rows_per_slab are waiting */

/* Cut what waits (at least one row) into a frame: payload into `payload` (cutter_payload_bytes()),
 * everything in the header but epoch, session and number, and shed_rows. */
int cutter_seal(struct cutter *cutter, uint64_t captured_ns, struct frame_header *header,
                uint8_t *payload);
/* Drop what waits (shed). Returns its rows, which stay counted as captured. */
uint32_t cutter_drop(struct cutter *cutter);

/* Totals so far, waiting rows included. */
struct frame_totals cutter_totals(const struct cutter *cutter);

#endif
