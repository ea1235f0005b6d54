/* The numbers that a broker shows: its table of metrics (runtime/metrics.h says how to read it). */
#ifndef SLUICE_BROKER_GAUGES_H
#define SLUICE_BROKER_GAUGES_H

#include "broker/routes.h"
#include "proto/report.h"
#include "runtime/metrics.h"

/* Two more reasons than routes.h has: the other side could not take it; its peer floods. */
enum { BROKER_UNSENDABLE = ROUTES_DROPS, BROKER_FLOOD, BROKER_DROPS };
extern const char *const broker_drops[BROKER_DROPS]; /* as labels; NULL for ROUTES_KEPT */

#define BROKER_METRICS(M)                                                                          \
    M(LINKS, GAUGE, "sluice_broker_links", "links", "Producers that are connected.")               \
    M(SINKS, GAUGE, "sluice_broker_sinks", "sinks", "Sinks that are attached.")                    \
    M(PEERS, GAUGE, "sluice_broker_connections", "connections",                                    \
      "Connections at the front and at the back.")                                                 \
    M(SHUT, COUNTER, "sluice_broker_ended_connections_total", "connections",                       \
      "Connections that the broker ended, as they said more than they may.")                       \
    M(FRAMES, COUNTER, REPORT(BROKER_FRAMES), "frames", "Frames passed on to sinks.")              \
    M(BYTES, COUNTER, "sluice_broker_bytes_total", "bytes", "Bytes of these frames.")              \
    M(MESSAGES, COUNTER, "sluice_broker_messages_total", "messages",                               \
      "Messages other than frames that were passed on, in either direction.")                      \
    M(DROPPED, COUNTER, "sluice_broker_dropped_messages_total", "messages",                        \
      "Messages that were dropped. A few after a restart are normal: they are sent again.",        \
      METRIC_ONE_OF("reason", BROKER_DROPS, broker_drops))

enum gauge { BROKER_METRICS(METRIC_ID) GAUGES };
extern const struct metric broker_gauges[GAUGES];

#endif
