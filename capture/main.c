/*
 * sluice-capture: an engine's rows into frames, and the frames to the broker.
 */
#include "base/err.h"
#include "base/streams.h"
#include "capture/ending.h"
#include "capture/gauges.h"
#include "capture/maker.h"
#include "capture/sender.h"
#include "capture/stage.h"
#include "engine/engine.h"
#include "runtime/process.h"
#include "wiring/processes.h"
#include "wiring/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct capture {
    struct process *process;
    struct sender *sender;
    struct maker *maker;
    struct ending ending;
    struct room room;
    int has_room;        /* it was made */
    struct stage told;   /* as the log has it */
    uint64_t acked_seen; /* rows, when it was last asked whether it is ready */
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
    int result = producer_index(options, &index);
    if (result == ERR_OK)
        processes_name(PROCESS_CAPTURE,
                       processes_which(config, PROCESS_CAPTURE, (uint32_t)index, which), out,
                       MESSAGE_NAME_BYTES);
    return result;
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

static void end_if_due(struct capture *c)
{
    if (ending_is_due(&c->ending, process_config(c->process), process_now_ns()))
        maker_end(c->maker);
}

static int capture_start(struct process *process)
{
    struct capture *c = process_state(process);
    const struct config *config = process_config(process);
    long long index;
    c->process = process;
    int result = producer_index(process_options(process), &index);
    if (result == ERR_OK && index >= config->capture.producers)
        result = err_set(ERR_USAGE, "--producer %lld, but capture.producers is %u (0 to %u)", index,
                         config->capture.producers, config->capture.producers - 1);
    if (result != ERR_OK) return result;
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
    result = sender_open(process, &options, &c->sender);
    if (result == ERR_OK)
        result = maker_start(config, (uint32_t)index, c->sender, &c->room, &c->maker);
    if (result == ERR_OK) end_if_due(c);
    return result;
}

static void capture_drain(struct process *process)
{
    struct capture *c = process_state(process);
    sender_leave(c->sender);
}

static void show_stage(struct capture *c, const struct sender_status *status)
{
    struct stage stage;
    struct maker_counters made = maker_counters(c->maker);
    stage_look(&stage, process_config(c->process), status, &made, maker_opening(c->maker));
    stage_report(&stage, process_metrics(c->process));
    stage_log(&stage, &c->told);
}

static void show_left_out(struct metrics *m, const struct left_out *l)
{
    double rows[REPORT_FATES] = {
        [REPORT_KEPT] = (double)l->kept_rows,         [REPORT_SPECIAL] = (double)l->special_rows,
        [REPORT_FIRST] = (double)l->first_rows,       [REPORT_NORM] = (double)l->norm_rows,
        [REPORT_REJECTED] = (double)l->rejected_rows,
    };
    metrics_set(m, GAUGE_DOCUMENTS_READ, (double)l->documents);
    for (uint32_t i = 0; i < LEFT_OUT_SKIPS; i++)
        metrics_set_at(m, GAUGE_DOCUMENTS_SKIPPED, i, (double)l->skipped[i]);
    metrics_set(m, GAUGE_DOCUMENTS_REPLACED, (double)l->replaced);
    for (uint32_t i = 0; i < REPORT_FATES; i++) metrics_set_at(m, GAUGE_STREAM_ROWS, i, rows[i]);
    metrics_set(m, GAUGE_STREAM_SHED, (double)l->shed_rows);
    metrics_set(m, GAUGE_STREAM_EXPIRED, (double)l->expired_rows);
}

static void show_rings(struct metrics *m, const struct engine_rings *r)
{
    metrics_set(m, GAUGE_RINGS, r->rings);
    metrics_set(m, GAUGE_RINGS_REFUSED, r->refused);
    metrics_set(m, GAUGE_RING_WAITING, (double)r->waiting_rows);
    for (uint32_t i = 0; i < RING_SEQUENCES; i++)
        metrics_set_at(m, GAUGE_RING_ROWS, i, (double)r->count[i]);
    for (uint32_t i = RING_SEQUENCES; i < RING_COUNTS; i++)
        metrics_set_at(m, GAUGE_RING_SEQUENCES, i - RING_SEQUENCES, (double)r->count[i]);
}

static void capture_stats(struct process *process)
{
    struct capture *c = process_state(process);
    struct metrics *m = process_metrics(process);
    struct sender_status s;
    end_if_due(c);
    sender_status(c->sender, &s);
    show_stage(c, &s);
    struct maker_counters made = maker_counters(c->maker);
    metrics_set(m, GAUGE_ROWS, (double)s.counters.totals.captured_rows);
    metrics_set(m, GAUGE_TOKENS, (double)made.tokens);
    metrics_set(m, GAUGE_DOCUMENTS, (double)made.documents);
    metrics_set(m, GAUGE_BAD_TEXT, (double)made.bad_text);
    metrics_set_at(m, GAUGE_FILTERED, 0, (double)made.special_rows);
    metrics_set_at(m, GAUGE_FILTERED, REPORT_FIRST - REPORT_SPECIAL, (double)made.first_rows);
    metrics_set_at(m, GAUGE_FILTERED, REPORT_NORM - REPORT_SPECIAL, (double)made.norm_rows);
    metrics_set(m, GAUGE_REJECTED, (double)s.counters.totals.rejected_rows);
    metrics_set(m, GAUGE_SHED, (double)s.counters.totals.shed_rows);
    metrics_set(m, GAUGE_ACKED, (double)s.counters.acked_rows);
    metrics_set(m, GAUGE_IN_FLIGHT, (double)s.in_flight_rows);
    metrics_set(m, GAUGE_FRAMES, (double)s.counters.sent_frames);
    metrics_set(m, GAUGE_RESENT, (double)s.counters.resent_frames);
    metrics_set(m, GAUGE_BYTES, (double)s.counters.sent_bytes);
    metrics_set(m, GAUGE_WINDOW_BYTES, (double)s.window_bytes);
    metrics_set(m, GAUGE_CREDIT, (double)s.credit_frames);
    metrics_set(m, GAUGE_SESSIONS, (double)s.counters.sessions);
    metrics_set(m, GAUGE_RESYNCS, (double)s.counters.resyncs);
    metrics_set(m, GAUGE_BLOCKED, s.blocked_seconds);
    metrics_set(m, GAUGE_PLANNED, (double)made.planned_rows);
    metrics_set(m, GAUGE_ENDED, s.phase == PRODUCER_ENDED);
    metrics_set(m, GAUGE_EXPIRED, (double)made.expired_rows);
    show_rings(m, &made.rings);
    show_left_out(m, &made.left_out);
    room_show(&c->room, m, GAUGE_DISK_WAITING, process_now_ns());
}

/* Not while it waits for a session, or for room: unless a frame was acked since. */
static int capture_ready(struct process *process)
{
    struct capture *c = process_state(process);
    struct sender_status s;
    sender_status(c->sender, &s);
    int has_moved = s.counters.acked_rows != c->acked_seen;
    c->acked_seen = s.counters.acked_rows;
    if (s.phase == PRODUCER_ASKING)
        return err_set(ERR_STATE, "no session: %s",
                       s.text[0] ? s.text : "nothing is heard from the broker");
    int is_held = s.phase == PRODUCER_STREAMING && s.in_flight_rows && !s.credit_frames;
    if (is_held && !has_moved)
        return err_set(ERR_STATE, "no room in the buffer for what was captured: nothing was taken");
    return room_health(&c->room);
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

static const struct environment_spec environment[] = {
    {"SLUICE_PREPARED", ENGINE_PREPARED_MEANING},
};

static const struct process_spec capture_process = {
    .program = {.name = "sluice-capture",
                .summary = "run a model over a corpus and stream its activations",
                .description =
                    "Runs the engine of the configuration's capture section, filters and "
                    "frames its rows, and sends them to the broker. Exits 0 when its share "
                    "has ended and the sink has committed it.",
                .options = options,
                .options_count = sizeof options / sizeof *options,
                .environment = environment,
                .environment_count = sizeof environment / sizeof *environment},
    .section = "capture",
    .name = capture_name,
    .check = source_needs,
    .metrics = capture_gauges,
    .metrics_count = GAUGES,
    .state_bytes = sizeof(struct capture),
    .start = capture_start,
    .drain = capture_drain,
    .stats = capture_stats,
    .ready = capture_ready,
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
