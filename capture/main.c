/*
 * sluice-capture: an engine's rows into frames, and the frames to the broker.
 */
#include "base/err.h"
#include "base/streams.h"
#include "capture/maker.h"
#include "capture/sender.h"
#include "engine/engine.h"
#include "runtime/process.h"
#include "wiring/processes.h"
#include "wiring/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum gauge {
    ROWS,
    TOKENS,
    DOCUMENTS,
    BAD_TEXT,
    FILTERED,
    REJECTED,
    SHED,
    ACKED,
    IN_FLIGHT,
    FRAMES,
    RESENT,
    BYTES,
    WINDOW_BYTES,
    CREDIT,
    SESSIONS,
    RESYNCS,
    BLOCKED,
    PLANNED,
    DOCUMENTS_READ,
    DOCUMENTS_SKIPPED,
    DOCUMENTS_REPLACED,
    STREAM_ROWS,
    ROOM,
};

enum filtered { FILTERED_SPECIAL, FILTERED_FIRST, FILTERED_NORM, FILTERED_REASONS };
enum fate { FATE_KEPT, FATE_SPECIAL, FATE_FIRST, FATE_NORM, FATE_REJECTED, FATES };
static const char *const fates[FATES] = {"kept", "special", "first", "norm", "rejected"};

static const struct metric metrics[] = {
    [ROWS] = {"sluice_capture_rows_total",
              METRIC_COUNTER,
              "Rows that passed the filters.",
              NULL,
              0,
              {0}},
    [TOKENS] = {"sluice_capture_tokens_total",
                METRIC_COUNTER,
                "Tokens that went through the model.",
                NULL,
                0,
                {0}},
    [DOCUMENTS] =
        {"sluice_capture_documents_total", METRIC_COUNTER, "Documents begun.", NULL, 0, {0}},
    [BAD_TEXT] = {"sluice_capture_bad_text_documents_total",
                  METRIC_COUNTER,
                  "Documents left out because they are not UTF-8.",
                  NULL,
                  0,
                  {0}},
    [FILTERED] = {"sluice_capture_filtered_rows_total",
                  METRIC_COUNTER,
                  "Rows left out by the filters.",
                  "reason",
                  FILTERED_REASONS,
                  {0}},
    [REJECTED] = {"sluice_capture_rejected_rows_total",
                  METRIC_COUNTER,
                  "Rows that are not finite.",
                  NULL,
                  0,
                  {0}},
    [SHED] = {"sluice_shed_rows_total",
              METRIC_COUNTER,
              "Rows dropped by the shed policy.",
              NULL,
              0,
              {0}},
    [ACKED] = {"sluice_capture_acked_rows_total",
               METRIC_COUNTER,
               "Rows that the sink has committed.",
               NULL,
               0,
               {0}},
    [IN_FLIGHT] = {"sluice_capture_in_flight_rows",
                   METRIC_GAUGE,
                   "Rows captured and not committed yet.",
                   NULL,
                   0,
                   {0}},
    [FRAMES] = {"sluice_capture_frames_total", METRIC_COUNTER, "Frames sent.", NULL, 0, {0}},
    [RESENT] =
        {"sluice_capture_resent_frames_total", METRIC_COUNTER, "Frames sent again.", NULL, 0, {0}},
    [BYTES] =
        {"sluice_capture_sent_bytes_total", METRIC_COUNTER, "Bytes of frames sent.", NULL, 0, {0}},
    [WINDOW_BYTES] = {"sluice_capture_window_bytes",
                      METRIC_GAUGE,
                      "Bytes of frames not acked yet.",
                      NULL,
                      0,
                      {0}},
    [CREDIT] = {"sluice_capture_credit_frames",
                METRIC_GAUGE,
                "Frames that may be sent now.",
                NULL,
                0,
                {0}},
    [SESSIONS] = {"sluice_capture_sessions_total", METRIC_COUNTER, "Sessions begun.", NULL, 0, {0}},
    [RESYNCS] = {"sluice_capture_resyncs_total",
                 METRIC_COUNTER,
                 "Times the sink asked to go on from another number.",
                 NULL,
                 0,
                 {0}},
    [BLOCKED] = {"sluice_capture_blocked_seconds_total",
                 METRIC_COUNTER,
                 "Time that the engine waited for room.",
                 NULL,
                 0,
                 {0}},
    [PLANNED] = {"sluice_stream_planned_rows",
                 METRIC_GAUGE,
                 "Rows of the whole stream, 0 where not known.",
                 NULL,
                 0,
                 {0}},
    [DOCUMENTS_READ] = {"sluice_capture_documents_read",
                        METRIC_GAUGE,
                        "Documents of the whole corpus up to where this producer is.",
                        NULL,
                        0,
                        {0}},
    [DOCUMENTS_SKIPPED] = {"sluice_capture_documents_skipped",
                           METRIC_GAUGE,
                           "Those of them that were skipped.",
                           "reason",
                           LEFT_OUT_SKIPS,
                           {0}},
    [DOCUMENTS_REPLACED] = {"sluice_capture_documents_replaced",
                            METRIC_GAUGE,
                            "Those of them in which a lone surrogate became U+FFFD.",
                            NULL,
                            0,
                            {0}},
    [STREAM_ROWS] = {"sluice_capture_stream_rows",
                     METRIC_GAUGE,
                     "Rows of this producer over all its lives, by what became of them.",
                     "fate",
                     FATES,
                     {0}},
    [ROOM] = ROOM_METRICS("sluice_capture_"),
};

struct capture {
    struct process *process;
    struct sender *sender;
    struct maker *maker;
    struct room room;
    int has_room;    /* it was made */
    int shown_phase; /* -1: none yet */
    char shown_text[1024];
};

/* The engine is still computing at exit: its memory must not be torn down under it. */
static int is_engine_busy;

static int producer_index(const struct options *options, long long *index)
{
    return options_number(options, "producer", 0, CONFIG_MAX_PRODUCERS - 1, 0, index);
}

static int capture_name(const struct config *config, const struct options *options, char *out)
{
    char which[16];
    long long index;
    int rc = producer_index(options, &index);
    if (!rc)
        processes_name(PROCESS_CAPTURE,
                       processes_which(config, PROCESS_CAPTURE, (uint32_t)index, which), out,
                       MESSAGE_NAME_BYTES);
    return rc;
}

/* ENDED and GONE are good ends; a producer that is refused says why and does not ask again. */
static void over(void *arg)
{
    struct capture *c = arg;
    struct sender_status status;
    sender_status(c->sender, &status);
    if (status.phase == PRODUCER_FAILED) {
        process_finish(c->process, err_set(status.error, "%s", status.text));
        return;
    }
    if (status.phase == PRODUCER_ENDED)
        log_event(LOG_INFO, "the end of this share is committed",
                  LOG_U("rows", status.counters.totals.captured_rows),
                  LOG_U("shed", status.counters.totals.shed_rows));
    if (status.phase == PRODUCER_GONE)
        log_event(LOG_INFO, "left", LOG_U("rows", status.counters.totals.captured_rows),
                  LOG_U("acked", status.counters.acked_rows),
                  LOG_U("shed", status.counters.totals.shed_rows));
    process_finish(c->process, ERR_OK);
}

static void label(struct metrics *m)
{
    for (uint32_t i = 0; i < FILTERED_REASONS; i++)
        metrics_label(m, FILTERED, i, fates[FATE_SPECIAL + i]);
    for (uint32_t i = 0; i < LEFT_OUT_SKIPS; i++)
        metrics_label(m, DOCUMENTS_SKIPPED, i, left_out_labels[i]);
    for (uint32_t i = 0; i < FATES; i++) metrics_label(m, STREAM_ROWS, i, fates[i]);
}

static int capture_start(struct process *process)
{
    struct capture *c = process_state(process);
    const struct config *config = process_config(process);
    long long index;
    c->process = process;
    c->shown_phase = -1;
    int rc = producer_index(process_options(process), &index);
    if (!rc && index >= config->capture.producers)
        rc = err_set(ERR_USAGE, "--producer %lld, but capture.producers is %u (0 to %u)", index,
                     config->capture.producers, config->capture.producers - 1);
    if (rc) return rc;
    label(process_metrics(process));
    room_init(&c->room);
    c->has_room = 1;
    struct sender_options options = {
        .producer = {.stream = config->stream.name,
                     .name = process_name(process),
                     .producer = (uint32_t)index,
                     .share_count = config->capture.producers,
                     .codec = (uint8_t)config->stream.codec,
                     .shed = config->stream.policy == CONFIG_SHED,
                     .retained_bytes = config->capture.retained_bytes},
        .over = over,
        .arg = c,
    };
    rc = sender_open(process, &options, &c->sender);
    if (!rc) rc = maker_start(config, (uint32_t)index, c->sender, &c->room, &c->maker);
    return rc;
}

static void capture_drain(struct process *process)
{
    struct capture *c = process_state(process);
    sender_leave(c->sender);
}

static void show_phase(struct capture *c, const struct sender_status *status)
{
    static const char *const words[] = {"opening the engine",
                                        "asking for a session",
                                        "measuring",
                                        "streaming",
                                        "ended",
                                        "left",
                                        "failed"};
    char text[sizeof c->shown_text];
    double prepared = status->phase == PRODUCER_WAITING ? maker_prepared(c->maker) : -1;
    snprintf(text, sizeof text, "%s", status->text);
    if (prepared >= 0)
        snprintf(text, sizeof text, "preparing the model, once: %.0f %%", 100 * prepared);
    if ((int)status->phase == c->shown_phase && !strcmp(text, c->shown_text)) return;
    c->shown_phase = (int)status->phase;
    memcpy(c->shown_text, text, sizeof text);
    if (prepared >= 0 || !text[0])
        log_info("%s", prepared >= 0 ? text : words[status->phase]);
    else
        log_event(LOG_INFO, words[status->phase], LOG_S("why", text));
}

static void show_left_out(struct metrics *m, const struct left_out *l)
{
    double rows[FATES] = {(double)l->kept_rows, (double)l->special_rows, (double)l->first_rows,
                          (double)l->norm_rows, (double)l->rejected_rows};
    metrics_set(m, DOCUMENTS_READ, (double)l->documents);
    for (uint32_t i = 0; i < LEFT_OUT_SKIPS; i++)
        metrics_set_at(m, DOCUMENTS_SKIPPED, i, (double)l->skipped[i]);
    metrics_set(m, DOCUMENTS_REPLACED, (double)l->replaced);
    for (uint32_t i = 0; i < FATES; i++) metrics_set_at(m, STREAM_ROWS, i, rows[i]);
}

static void capture_stats(struct process *process)
{
    struct capture *c = process_state(process);
    struct metrics *m = process_metrics(process);
    struct sender_status s;
    sender_status(c->sender, &s);
    show_phase(c, &s);
    struct maker_counters made = maker_counters(c->maker);
    metrics_set(m, ROWS, (double)s.counters.totals.captured_rows);
    metrics_set(m, TOKENS, (double)made.tokens);
    metrics_set(m, DOCUMENTS, (double)made.documents);
    metrics_set(m, BAD_TEXT, (double)made.bad_text);
    metrics_set_at(m, FILTERED, FILTERED_SPECIAL, (double)made.special_rows);
    metrics_set_at(m, FILTERED, FILTERED_FIRST, (double)made.first_rows);
    metrics_set_at(m, FILTERED, FILTERED_NORM, (double)made.norm_rows);
    metrics_set(m, REJECTED, (double)s.counters.totals.rejected_rows);
    metrics_set(m, SHED, (double)s.counters.totals.shed_rows);
    metrics_set(m, ACKED, (double)s.counters.acked_rows);
    metrics_set(m, IN_FLIGHT, (double)s.in_flight_rows);
    metrics_set(m, FRAMES, (double)s.counters.sent_frames);
    metrics_set(m, RESENT, (double)s.counters.resent_frames);
    metrics_set(m, BYTES, (double)s.counters.sent_bytes);
    metrics_set(m, WINDOW_BYTES, (double)s.window_bytes);
    metrics_set(m, CREDIT, (double)s.credit_frames);
    metrics_set(m, SESSIONS, (double)s.counters.sessions);
    metrics_set(m, RESYNCS, (double)s.counters.resyncs);
    metrics_set(m, BLOCKED, s.blocked_seconds);
    metrics_set(m, PLANNED, (double)made.planned_rows);
    show_left_out(m, &made.left_out);
    room_show(&c->room, m, ROOM, process_now_ns());
}

static int capture_health(struct process *process)
{
    struct capture *c = process_state(process);
    struct sender_status s;
    sender_status(c->sender, &s);
    if (s.phase != PRODUCER_ASKING || !s.text[0]) return room_health(&c->room);
    return err_set(ERR_STATE, "no session: %s", s.text);
}

static void stop_making(struct capture *c)
{
    sender_halt(c->sender);
    if (c->maker && maker_join(c->maker, 5)) {
        is_engine_busy = 1;
        sender_disconnect(c->sender);
        return;
    }
    sender_close(c->sender);
}

static void capture_stop(struct process *process)
{
    struct capture *c = process_state(process);
    if (c->sender) stop_making(c);
    if (c->has_room && !is_engine_busy) room_fini(&c->room);
}

static const struct option_spec options[] = {
    {"producer", "I", "which of capture.producers this one is, from 0 (default 0)"},
};

static const struct process_spec capture_process = {
    .program = {.name = "sluice-capture",
                .summary = "run a model over a corpus and stream its activations",
                .description =
                    "Runs the engine of the configuration's capture section, filters and "
                    "frames its rows, and sends them to the broker. Exits 0 when its share "
                    "has ended and the sink has committed it.",
                .options = options,
                .options_count = sizeof options / sizeof *options},
    .section = "capture",
    .name = capture_name,
    .check = source_needs,
    .metrics = metrics,
    .metrics_count = sizeof metrics / sizeof *metrics,
    .state_bytes = sizeof(struct capture),
    .start = capture_start,
    .drain = capture_drain,
    .stats = capture_stats,
    .health = capture_health,
    .stop = capture_stop,
};

int main(int argc, char **argv)
{
    streams_open();
    engine_threads_passive(argv); /* a trainer shares the cores */
    int code = process_main(&capture_process, argc, argv);
    if (is_engine_busy) {
        fflush(NULL);
        _exit(code);
    }
    return code;
}
