/* The numbers that a capture shows: its table of metrics (runtime/metrics.h says how to read
 * it). */
#ifndef SLUICE_CAPTURE_GAUGES_H
#define SLUICE_CAPTURE_GAUGES_H

#include "proto/phase.h"
#include "proto/report.h"
#include "proto/ring.h"
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
    M(ACKED, COUNTER, REPORT(CAPTURE_ACKED_ROWS), "rows", "Rows that the sink has committed.")     \
    M(IN_FLIGHT, GAUGE, REPORT(CAPTURE_IN_FLIGHT_ROWS), "rows",                                    \
      "Rows that were captured and are not committed yet.")                                        \
    M(FRAMES, COUNTER, "sluice_capture_frames_total", "frames", "Frames sent.")                    \
    M(RESENT, COUNTER, "sluice_capture_resent_frames_total", "frames",                             \
      "Frames sent a second time.")                                                                \
    M(BYTES, COUNTER, REPORT(CAPTURE_SENT_BYTES), "bytes", "Bytes of the frames sent.")            \
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
    M(PHASE, GAUGE, REPORT(CAPTURE_PHASE), "0 or 1",                                               \
      "What the capture is at: 1 at the present one. The first is opening the engine, and rows "   \
      "come while it is streaming.",                                                               \
      METRIC_ONE_OF("phase", PHASES_OF_CAPTURE, phases_of_capture))                                \
    M(PHASE_DONE, GAUGE, REPORT(CAPTURE_PHASE_DONE), "none",                                       \
      "How far that phase is: bytes of a model that is read or prepared, contexts (rows of a "     \
      "live stream) that are measured, tokens of the corpus that are counted.")                    \
    M(PHASE_SIZE, GAUGE, REPORT(CAPTURE_PHASE_SIZE), "none",                                       \
      "How far it will come, in the same unit. 0 where that is not known.")                        \
    M(DOCUMENTS_READ, GAUGE, REPORT(CAPTURE_DOCUMENTS_READ), "documents",                          \
      "Documents of the whole corpus, all producers' shares, up to where this one is.")            \
    M(DOCUMENTS_SKIPPED, GAUGE, REPORT(CAPTURE_DOCUMENTS_SKIPPED), "documents",                    \
      "Those of them that could not be read and were skipped.",                                    \
      METRIC_ONE_OF("reason", LEFT_OUT_SKIPS, left_out_labels))                                    \
    M(DOCUMENTS_REPLACED, GAUGE, REPORT(CAPTURE_DOCUMENTS_REPLACED), "documents",                  \
      "Those of them in which a lone surrogate became U+FFFD.")                                    \
    M(ENDED, GAUGE, REPORT(CAPTURE_ENDED), "0 or 1",                                               \
      "1 when this producer's share has ended, with all of it committed.")                         \
    M(STREAM_ROWS, GAUGE, REPORT(CAPTURE_STREAM_ROWS), "rows",                                     \
      "Rows of this producer over all its lives, each once, by what became of them.",              \
      METRIC_ONE_OF("fate", REPORT_FATES, report_fates))                                           \
    M(STREAM_SHED, GAUGE, REPORT(CAPTURE_STREAM_SHED_ROWS), "rows",                                \
      "Rows that this producer shed, over all its lives.")                                         \
    M(STREAM_EXPIRED, GAUGE, REPORT(CAPTURE_STREAM_EXPIRED_ROWS), "rows",                          \
      "Rows that were too old when they came to this producer, over all its lives.")               \
    M(RINGS, GAUGE, "sluice_ring_programs", "programs",                                            \
      "Running programs that hand over rows (the ring engine).")                                   \
    M(RINGS_REFUSED, GAUGE, "sluice_ring_refused_programs", "programs",                            \
      "Those of them whose rows are not taken: their hooks or their model are others.")            \
    M(EXPIRED, COUNTER, REPORT(CAPTURE_EXPIRED_ROWS), "rows",                                      \
      "Rows that were older than sink.retention when they came, and were dropped.")                \
    M(RING_WAITING, GAUGE, REPORT(RING_WAITING_ROWS), "rows",                                      \
      "Rows that wait in shared memory to be read.")                                               \
    M(RING_ROWS, COUNTER, REPORT(RING_ROWS), "rows",                                               \
      "Rows in programs, by what became of them there. written is what was handed over, and "      \
      "offered is written, shed, limited and abandoned together.",                                 \
      METRIC_ONE_OF("fate", RING_SEQUENCES, ring_count_labels))                                    \
    M(RING_SEQUENCES, COUNTER, "sluice_ring_sequences_total", "sequences",                         \
      "Sequences in programs: begun, and of them not_taken, those outside capture.share.",         \
      METRIC_ONE_OF("fate", RING_COUNTS - RING_SEQUENCES, ring_count_labels + RING_SEQUENCES))     \
    ROOM_METRICS(M, CAPTURE)

enum gauge { CAPTURE_METRICS(METRIC_ID) GAUGES };
extern const struct metric capture_gauges[GAUGES];

#endif
