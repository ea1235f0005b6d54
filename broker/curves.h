/*
 * The series of the history that come from one process's report (history.h), beside those of the
 * overview: what it uses of the machine, how fast a trainer is, and how each autoencoder does.
 *
 *     process/NAME/cpu_ratio (of one processor), process/NAME/memory_bytes: of captures the first
 *         CURVES_CAPTURES, as the series of the history are bounded, and 64 autoencoders come first
 *     trainer/CONSUMER/step_seconds, trainer/CONSUMER/rows_per_second
 *     sae/CONSUMER/SAE/loss, .../fve, .../l0, .../dead_ratio
 */
#ifndef SLUICE_BROKER_CURVES_H
#define SLUICE_BROKER_CURVES_H

#include "broker/history.h"
#include "broker/overview.h"
#include "broker/status.h"

enum { CURVES_CAPTURES = 32 };

void curves_of_report(struct history *history, const struct status_news *news, uint64_t now_ns);
void curves_of_overview(struct history *history, const struct overview *overview, uint64_t now_ns);

#endif
