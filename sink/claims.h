/*
 * What a frame says, held against its sender's share of the stream and against what that sender has
 * said before. A producer that is broken, or means harm, can spoil its own rows and no other's.
 *
 * The cursors are not looked into: they are the producer's own, and come back to it alone. Values:
 * nothing to free; no clock, no store.
 */
#ifndef SLUICE_SINK_CLAIMS_H
#define SLUICE_SINK_CLAIMS_H

#include "buffer/store.h"

struct claims {
    uint32_t producers;     /* of the stream: the share of each is i of so many */
    uint32_t rows_per_slab; /* of a whole frame */
    int is_live;            /* policy shed */
};

/* Whether a frame may follow what is recorded of its producer: under `block` none comes behind a
 * short one, since the rows of a number would not follow from it any more. ERR_MISMATCH. */
int claims_place(const struct claims *claims, const struct store_producer *record,
                 const struct frame_header *header);
/* Whether all rows of its raw payload are of the sender's share: sequence i of a stream belongs to
 * producer i modulo their number. ERR_MISMATCH: the first that is not. O(rows). */
int claims_rows(const struct claims *claims, const struct frame_header *header, const void *raw);
/* Totals of an epoch go up only: those that were said are taken where they are more. So it does not
 * matter in which order frames and PINGs tell them. */
void claims_totals(struct frame_totals *kept, const struct frame_totals *said);

#endif
