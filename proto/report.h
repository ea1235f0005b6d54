/*
 * What one process tells another about itself: the names of the metrics that cross processes. A
 * process declares them in its table (ROOM/gauges.h) and reports them each second; the broker's
 * /api/status, `sluice status` and the progress line of `up` read them. Both sides name a metric by
 * its id here, so that neither can have a name that the other does not know.
 *
 * A report is one flat JSON object (MESSAGE_REPORT):
 *
 *   {"NAME": 1.5, "NAME_WITH_LABEL": {"VALUE": 2}}
 *
 * One member is no metric: the last line of the level error that the process has written to its log,
 * where it has written one. `number` counts them, from 1 on.
 *
 *   {"last_error": {"number": 3, "seconds_ago": 1.5, "text": "cannot write ..."}}
 *
 * Readers take a report as it comes: what is missing, null or no number is NaN.
 *
 * A name more: a line in REPORT_TABLE, and the declaration that says REPORT(ID) in the process's
 * own table. A test fails while no process of that kind declares it.
 */
#ifndef SLUICE_PROTO_REPORT_H
#define SLUICE_PROTO_REPORT_H

#include <jansson.h>

/* A process that has not reported for longer is silent: what it does now is not known. */
enum { REPORT_SILENT_SECONDS = 5 };

/* M(ID, NAME, KIND): KIND is the process that reports it; what each process reports stands at the
 * broker. Users see the names: they stay. */
#define REPORT_TABLE(M)                                                                            \
    M(CAPTURE_TOKENS, "sluice_capture_tokens_total", "capture")                                    \
    M(CAPTURE_ROWS, "sluice_capture_rows_total", "capture")                                        \
    M(CAPTURE_REJECTED_ROWS, "sluice_capture_rejected_rows_total", "capture")                      \
    M(CAPTURE_FILTERED_ROWS, "sluice_capture_filtered_rows_total", "capture")                      \
    M(CAPTURE_SHED_ROWS, "sluice_shed_rows_total", "capture")                                      \
    M(CAPTURE_STREAM_ROWS, "sluice_capture_stream_rows", "capture")                                \
    M(CAPTURE_STREAM_SHED_ROWS, "sluice_capture_stream_shed_rows", "capture")                      \
    M(CAPTURE_STREAM_EXPIRED_ROWS, "sluice_capture_stream_expired_rows", "capture")                \
    M(STREAM_PLANNED_ROWS, "sluice_stream_planned_rows", "capture")                                \
    M(CAPTURE_BLOCKED_SECONDS, "sluice_capture_blocked_seconds_total", "capture")                  \
    M(CAPTURE_IN_FLIGHT_ROWS, "sluice_capture_in_flight_rows", "capture")                          \
    M(CAPTURE_SENT_BYTES, "sluice_capture_sent_bytes_total", "capture")                            \
    M(CAPTURE_DOCUMENTS_READ, "sluice_capture_documents_read", "capture")                          \
    M(CAPTURE_DOCUMENTS_SKIPPED, "sluice_capture_documents_skipped", "capture")                    \
    M(CAPTURE_DOCUMENTS_REPLACED, "sluice_capture_documents_replaced", "capture")                  \
    M(CAPTURE_PHASE, "sluice_capture_phase", "capture")                                            \
    M(CAPTURE_PHASE_DONE, "sluice_capture_phase_done", "capture")                                  \
    M(CAPTURE_PHASE_SIZE, "sluice_capture_phase_size", "capture")                                  \
    M(CAPTURE_ACKED_ROWS, "sluice_capture_acked_rows_total", "capture")                            \
    M(CAPTURE_ENDED, "sluice_capture_ended", "capture")                                            \
    M(CAPTURE_EXPIRED_ROWS, "sluice_capture_expired_rows_total", "capture")                        \
    M(RING_ROWS, "sluice_ring_rows_total", "capture")                                              \
    M(RING_WAITING_ROWS, "sluice_ring_waiting_rows", "capture")                                    \
    REPORT_DISK(M, CAPTURE, "capture")                                                             \
    M(SINK_ROWS, "sluice_sink_rows_total", "sink")                                                 \
    M(SINK_STREAM_ROWS, "sluice_stream_rows", "sink")                                              \
    M(SINK_PRODUCERS, "sluice_sink_producers", "sink")                                             \
    M(SINK_ENDED_PRODUCERS, "sluice_sink_ended_producers", "sink")                                 \
    M(SINK_PRODUCER_ENDED, "sluice_sink_producer_ended", "sink")                                   \
    M(SINK_CONSUMER_FINISHED, "sluice_sink_consumer_finished", "sink")                             \
    M(SINK_ENDED, "sluice_stream_ended", "sink")                                                   \
    M(SINK_BUFFER_SLABS, "sluice_buffer_slabs", "sink")                                            \
    M(SINK_CAPACITY_SLABS, "sluice_buffer_capacity_slabs", "sink")                                 \
    M(SINK_BUFFER_ROWS, "sluice_buffer_rows", "sink")                                              \
    M(SINK_BYTES, "sluice_sink_bytes_total", "sink")                                               \
    M(SINK_LAG_SECONDS, "sluice_sink_lag_seconds", "sink")                                         \
    REPORT_DISK(M, SINK, "sink")                                                                   \
    M(TRAINER_ROWS, "sluice_trainer_rows_total", "trainer")                                        \
    M(TRAINER_PLANNED_ROWS, "sluice_trainer_planned_rows", "trainer")                              \
    M(TRAINER_HELD_OUT_ROWS, "sluice_trainer_held_out_rows", "trainer")                            \
    M(TRAINER_SKIPPED_ROWS, "sluice_trainer_skipped_rows_total", "trainer")                        \
    M(TRAINER_STEPS, "sluice_trainer_steps_total", "trainer")                                      \
    M(TRAINER_SKIPPED_STEPS, "sluice_trainer_skipped_steps_total", "trainer")                      \
    M(TRAINER_WAITING, "sluice_trainer_waiting", "trainer")                                        \
    M(TRAINER_FINISHED, "sluice_trainer_finished", "trainer")                                      \
    M(TRAINER_STEP_SECONDS, "sluice_trainer_step_seconds", "trainer")                              \
    M(TRAINER_WAIT_SECONDS, "sluice_trainer_wait_seconds_total", "trainer")                        \
    M(TRAINER_AGE_SECONDS, "sluice_trainer_draw_age_seconds", "trainer")                           \
    M(TRAINER_LOSS, "sluice_trainer_loss", "trainer")                                              \
    M(TRAINER_FVE, "sluice_trainer_fve_ratio", "trainer")                                          \
    M(TRAINER_L0, "sluice_trainer_l0", "trainer")                                                  \
    M(TRAINER_DEAD_FEATURES, "sluice_trainer_dead_features", "trainer")                            \
    M(TRAINER_FEATURES, "sluice_trainer_features", "trainer")                                      \
    M(TRAINER_PHASE, "sluice_trainer_phase", "trainer")                                            \
    M(TRAINER_PHASE_DONE, "sluice_trainer_phase_done", "trainer")                                  \
    M(TRAINER_PHASE_SIZE, "sluice_trainer_phase_size", "trainer")                                  \
    REPORT_DISK(M, TRAINER, "trainer")                                                             \
    M(BROKER_FRAMES, "sluice_broker_frames_total", "broker")                                       \
    M(PROCESS_MEMORY_BYTES, "sluice_process_memory_bytes", "broker")                               \
    M(PROCESS_CPU_SECONDS, "sluice_process_cpu_seconds_total", "broker")                           \
    M(PROCESS_UNREADY_SECONDS, "sluice_process_unready_seconds", "broker")                         \
    M(PROCESS_START_SECONDS, "sluice_process_start_time_seconds", "broker")

/* The three of a process that may wait for room on a disk (runtime/room.h). */
#define REPORT_DISK(M, ID, KIND)                                                                   \
    M(ID##_DISK_WAITING_SECONDS, "sluice_" KIND "_disk_waiting_seconds", KIND)                     \
    M(ID##_DISK_FREE_BYTES, "sluice_" KIND "_disk_free_bytes", KIND)                               \
    M(ID##_DISK_NEEDED_BYTES, "sluice_" KIND "_disk_needed_bytes", KIND)

#define REPORT_LAST_ERROR "last_error"
enum { REPORT_ERROR_BYTES = 320 }; /* its text, with the NUL */

#define REPORT_ID_OF(ID, NAME, KIND) REPORT_##ID,
enum report_id { REPORT_TABLE(REPORT_ID_OF) REPORT_IDS };

enum { REPORT_NAME_BYTES = 64 };
extern const char report_names[REPORT_IDS][REPORT_NAME_BYTES];
extern const char report_kinds[REPORT_IDS][16];

/* The name of an id, as an initializer may use it. */
#define REPORT(ID) report_names[REPORT_##ID]

/* What became of a row, as CAPTURE_STREAM_ROWS labels it. The middle three are the filters, by
 * which CAPTURE_FILTERED_ROWS counts. */
enum report_fate {
    REPORT_KEPT,
    REPORT_SPECIAL,
    REPORT_FIRST,
    REPORT_NORM,
    REPORT_REJECTED,
    REPORT_FATES,
    REPORT_FILTERS = REPORT_NORM - REPORT_SPECIAL + 1,
};
extern const char *const report_fates[REPORT_FATES];

/* A metric out of a report (or out of /api/status's rates, which have the same names): its value,
 * or the sum over its labels. */
double report_number(const json_t *report, enum report_id id);
/* Its value at one label. */
double report_labelled(const json_t *report, enum report_id id, const char *label);
/* What a capture has shed in all its lives, where it tells that; else in this one. */
double report_shed_rows(const json_t *report);
/* Its value at the first label: of a trainer, that of the first SAE. */
double report_first(const json_t *report, enum report_id id);

#endif
