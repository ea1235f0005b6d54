/*
 * Whether a producer that says HELLO may come in: its share, policy and descriptor must be the
 * stream's; and as long as the stream is not described, one at a time measures it, and those whose
 * share has no row to measure stay outside. It answers nothing (desk.h does).
 */
#ifndef SLUICE_SINK_ADMISSION_H
#define SLUICE_SINK_ADMISSION_H

#include "proto/message.h"
#include "sink/ledger.h"

/* A value: zero it; nothing to free. */
struct admission {
    struct descriptor asked; /* of the producer that measures, as it was told to; without a mean */
    unsigned char has_declined[STORE_MAX_PRODUCERS]; /* to measure: its share has no rows for it */
};

/* Whether a HELLO with this descriptor may have a session. Opens the buffer where it is the first.
 * ERR_MISMATCH: of another stream. ERR_AGAIN: another producer measures. ERR_USAGE: nobody has a
 * row to measure, or the buffer is too small; and the errors of ledger_open(). Blocks on the
 * disk. */
int admission_check(struct admission *admission, struct ledger *ledger, const struct message *hello,
                    const struct descriptor *own, uint64_t now_ns);
/* ERR_USAGE, with the sentence for people: every producer has declined to measure. */
int admission_all_declined(const struct admission *admission, const struct ledger *ledger);
/* Commit the epoch that a HELLO is given: the totals of the life before become past ones. Errors of
 * ledger_record(). */
int admission_epoch(struct ledger *ledger, uint32_t producer, uint32_t epoch, uint64_t now_ns);

#endif
