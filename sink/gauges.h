/* The numbers that a sink shows: its table of metrics (runtime/metrics.h says how to read it). */
#ifndef SLUICE_SINK_GAUGES_H
#define SLUICE_SINK_GAUGES_H

#include "config/config.h"
#include "proto/report.h"
#include "runtime/metrics.h"
#include "runtime/room.h"

enum { SINK_POLICIES = CONFIG_SHED + 1 };
extern const char *const sink_policies[SINK_POLICIES]; /* as labels */

#define SINK_METRICS(M)                                                                            \
    M(ROWS, COUNTER, REPORT(SINK_ROWS), "rows", "Rows committed in this life of the sink.")        \
    M(FRAMES, COUNTER, "sluice_sink_frames_total", "frames", "Frames committed.")                  \
    M(BYTES, COUNTER, REPORT(SINK_BYTES), "bytes",                                                 \
      "Bytes of the frames committed, before compression.")                                        \
    M(KNOWN, COUNTER, "sluice_sink_known_frames_total", "frames",                                  \
      "Frames that were made again and acked at once: they were stored, or nobody needs them.")    \
    M(DUPLICATES, COUNTER, "sluice_sink_duplicate_frames_total", "frames",                         \
      "Frames that came twice.")                                                                   \
    M(GAPS, COUNTER, "sluice_sink_gap_frames_total", "frames",                                     \
      "Frames that came before one that is missing. They are asked for again.")                    \
    M(STALE, COUNTER, "sluice_sink_stale_frames_total", "frames",                                  \
      "Frames of a session that was over.")                                                        \
    M(BEYOND, COUNTER, "sluice_sink_beyond_credit_frames_total", "frames",                         \
      "Frames that were sent without credit.")                                                     \
    M(REFUSED, COUNTER, "sluice_sink_refused_frames_total", "frames",                              \
      "Frames that were damaged, or wrong for this stream.")                                       \
    M(MALFORMED, COUNTER, "sluice_sink_malformed_messages_total", "messages",                      \
      "Messages that are none of the protocol's.")                                                 \
    M(COMMITS, COUNTER, "sluice_sink_commits_total", "transactions",                               \
      "Transactions that stored frames.")                                                          \
    M(FAILED, COUNTER, "sluice_sink_failed_commits_total", "transactions",                         \
      "Transactions that failed. They are tried again.")                                           \
    M(COMMIT_SECONDS, COUNTER, "sluice_sink_commit_seconds_total", "seconds",                      \
      "Time spent in transactions.")                                                               \
    M(ACKS, COUNTER, "sluice_sink_acks_total", "messages",                                         \
      "Messages to producers that ack frames and give credit.")                                    \
    M(FREED, COUNTER, "sluice_buffer_freed_slabs_total", "slabs",                                  \
      "Slabs freed because all consumers have covered them.")                                      \
    M(REPLACED, COUNTER, "sluice_buffer_replaced_slabs_total", "slabs",                            \
      "Slabs that the shed policy threw out: to make room for newer ones, or for their age.")      \
    M(EXPIRED, COUNTER, "sluice_buffer_expired_slabs_total", "slabs",                              \
      "Slabs that were thrown out because all of their rows were older than sink.retention.")      \
    M(SCRUBBED, COUNTER, "sluice_buffer_scrubbed_pages_total", "pages",                            \
      "Pages of 4 KiB, freed by slabs, that were overwritten with zeros (sink.retention).")        \
    M(UNSCRUBBED, GAUGE, "sluice_buffer_unscrubbed_seconds", "seconds",                            \
      "For so long freed rows have been in the buffer's file still. 0: none are.")                 \
    M(REWINDS, COUNTER, "sluice_sink_rewinds_total", "times",                                      \
      "How often a producer had to go back to an earlier frame.")                                  \
    M(REQUESTS, COUNTER, "sluice_sink_checkpoint_requests_total", "times",                         \
      "How often the sink asked consumers for a checkpoint, to be able to free slabs.")            \
    M(SET_ASIDE, COUNTER, "sluice_buffer_set_aside_total", "buffers",                              \
      "Damaged buffers that were set aside; what was still needed of them is made again.")         \
    M(BUFFER_SLABS, GAUGE, REPORT(SINK_BUFFER_SLABS), "slabs", "Slabs in the buffer now.")         \
    M(BUFFER_ROWS, GAUGE, REPORT(SINK_BUFFER_ROWS), "rows", "Rows in the buffer now.")             \
    M(CAPACITY_SLABS, GAUGE, REPORT(SINK_CAPACITY_SLABS), "slabs",                                 \
      "Slabs that the buffer can hold.")                                                           \
    M(CAPACITY_ROWS, GAUGE, "sluice_buffer_capacity_rows", "rows",                                 \
      "Rows that the buffer can hold.")                                                            \
    M(RESERVED, GAUGE, "sluice_sink_reserved_slabs", "slabs",                                      \
      "Slabs that are promised to producers and not stored yet.")                                  \
    M(POLICY, GAUGE, "sluice_stream_policy", "0 or 1",                                             \
      "1 at the policy of the stream: what happens to rows that find no room.",                    \
      METRIC_ONE_OF("policy", SINK_POLICIES, sink_policies))                                       \
    M(CONSUMERS, GAUGE, "sluice_sink_consumers", "consumers",                                      \
      "Consumers that the stream has, by its configuration. With none, nothing is freed.")         \
    M(PRODUCERS, GAUGE, REPORT(SINK_PRODUCERS), "producers",                                       \
      "Producers that the stream has, by its configuration.")                                      \
    M(LIVE, GAUGE, "sluice_sink_live_producers", "producers", "Producers with a session now.")     \
    M(ENDED_PRODUCERS, GAUGE, REPORT(SINK_ENDED_PRODUCERS), "producers",                           \
      "Producers whose share has ended, with all of it committed.")                                \
    M(PRODUCER_ENDED, GAUGE, REPORT(SINK_PRODUCER_ENDED), "0 or 1",                                \
      "1 when that producer's share has ended, with all of it committed.",                         \
      METRIC_PER("producer", CONFIG_MAX_PRODUCERS))                                                \
    M(CONSUMER_FINISHED, GAUGE, REPORT(SINK_CONSUMER_FINISHED), "0 or 1",                          \
      "1 when that consumer needs no more rows.", METRIC_PER("consumer", METRIC_MAX_SERIES))       \
    M(ENDED, GAUGE, REPORT(SINK_ENDED), "0 or 1", "1 when the stream has ended.")                  \
    M(MORE_IS_COMING, GAUGE, "sluice_buffer_more_is_coming", "0 or 1",                             \
      "1 while a slab is free and a producer has credit to fill it.")                              \
    M(ATTACHED, GAUGE, "sluice_sink_attached", "0 or 1", "1 while the broker knows this sink.")    \
    M(PLANNED, GAUGE, REPORT(STREAM_PLANNED_ROWS), "rows",                                         \
      "Rows of the whole stream. 0 where that is not known.")                                      \
    M(LAG, GAUGE, REPORT(SINK_LAG_SECONDS), "seconds",                                             \
      "Time since the newest stored row was captured.")                                            \
    M(STREAM_ROWS, GAUGE, REPORT(SINK_STREAM_ROWS), "rows",                                        \
      "Rows committed in all lives of the sink, each once.")                                       \
    ROOM_METRICS(M, SINK)

enum gauge { SINK_METRICS(METRIC_ID) GAUGES };
extern const struct metric sink_gauges[GAUGES];

#endif
