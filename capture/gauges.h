/* The numbers that a capture shows: its table of metrics (runtime/metrics.h says how to read
 * it). */
#ifndef SLUICE_CAPTURE_GAUGES_H
#define SLUICE_CAPTURE_GAUGES_H

#include "proto/report.h"
#include "runtime/left_out.h"
#include "runtime/metrics.h"
#include "runtime/room.h"

#define CAPTURE_METRICS(M)                                                                         \
    M(ROWS, COUNTER, REPORT(CAPTURE_ROWS), "rows",                                                 \
      "Rows that passed the filters. Those that are rejected afterwards are among them.")          \
    M(TOKENS, COUNTER, REPORT(CAPTURE_TOKENS), "tokens", "Tokens that went through the model.")    \
    M(DOCUMENTS, COUNTER, "sluice_capture_documents_total", "documents",                           \
      "Documents that this producer began.")                                                       \
    M(BAD_TEXT, COUNTER, "sluice_capture_bad_text_documents_total", "documents",                   \
      "Documents of this producer that were left out because they are not UTF-8.")                 \
    M(FILTERED, COUNTER, REPORT(CAPTURE_FILTERED_ROWS), "rows",                                    \
      "Rows that a filter left out: special tokens, position 0, norm over the limit.",             \
      METRIC_ONE_OF("reason", REPORT_FILTERS, report_fates + REPORT_SPECIAL))                      \
    M(REJECTED, COUNTER, REPORT(CAPTURE_REJECTED_ROWS), "rows",                                    \
      "Rows left out after the filters because a value is not finite.")                            \
    M(SHED, COUNTER, REPORT(CAPTURE_SHED_ROWS), "rows",                                            \
      "Rows dropped by the shed policy, because there was no room for them.")                      \
    M(ACKED, COUNTER, "sluice_capture_acked_rows_total", "rows",                                   \
      "Rows that the sink has committed.")                                                         \
    M(IN_FLIGHT, GAUGE, "sluice_capture_in_flight_rows", "rows",                                   \
      "Rows that were captured and are not committed yet.")                                        \
    M(FRAMES, COUNTER, "sluice_capture_frames_total", "frames", "Frames sent.")                    \
    M(RESENT, COUNTER, "sluice_capture_resent_frames_total", "frames",                             \
      "Frames sent a second time.")                                                                \
    M(BYTES, COUNTER, "sluice_capture_sent_bytes_total", "bytes", "Bytes of the frames sent.")     \
    M(WINDOW_BYTES, GAUGE, "sluice_capture_window_bytes", "bytes",                                 \
      "Bytes of frames that are kept until the sink acks them.")                                   \
    M(CREDIT, GAUGE, "sluice_capture_credit_frames", "frames",                                     \
      "Frames that may be sent now: the room that the sink has promised.")                         \
    M(SESSIONS, COUNTER, "sluice_capture_sessions_total", "sessions", "Sessions begun.")           \
    M(RESYNCS, COUNTER, "sluice_capture_resyncs_total", "times",                                   \
      "How often the sink asked to go on from another frame.")                                     \
    M(BLOCKED, COUNTER, REPORT(CAPTURE_BLOCKED_SECONDS), "seconds",                                \
      "Time that the model stood still because there was no room for its rows.")                   \
    M(PLANNED, GAUGE, REPORT(STREAM_PLANNED_ROWS), "rows",                                         \
      "Rows of the whole stream. 0 where that is not known.")                                      \
    M(DOCUMENTS_READ, GAUGE, REPORT(CAPTURE_DOCUMENTS_READ), "documents",                          \
      "Documents of the whole corpus, all producers' shares, up to where this one is.")            \
    M(DOCUMENTS_SKIPPED, GAUGE, REPORT(CAPTURE_DOCUMENTS_SKIPPED), "documents",                    \
      "Those of them that could not be read and were skipped.",                                    \
      METRIC_ONE_OF("reason", LEFT_OUT_SKIPS, left_out_labels))                                    \
    M(DOCUMENTS_REPLACED, GAUGE, REPORT(CAPTURE_DOCUMENTS_REPLACED), "documents",                  \
      "Those of them in which a lone surrogate became U+FFFD.")                                    \
    M(STREAM_ROWS, GAUGE, REPORT(CAPTURE_STREAM_ROWS), "rows",                                     \
      "Rows of this producer over all its lives, each once, by what became of them.",              \
      METRIC_ONE_OF("fate", REPORT_FATES, report_fates))                                           \
    ROOM_METRICS(M, CAPTURE)

enum gauge { CAPTURE_METRICS(METRIC_ID) GAUGES };
extern const struct metric capture_gauges[GAUGES];

#endif
