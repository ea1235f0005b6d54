/*
 * sluice-sink: commits frames to the shuffle buffer, then acks them; frees what all consumers have
 * covered.
 */
#include "base/err.h"
#include "base/limits.h"
#include "base/streams.h"
#include "runtime/process.h"
#include "runtime/room.h"
#include "sink/desk.h"
#include "wiring/link.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    TICK_MS = 50,
    TURN_FRAMES = 8,         /* most of one commit, by and large: what a cache holds */
    TURN_FRAMES_SYNCED = 64, /* where a commit waits for the disk */
    HIGH_WATER = 1 << 16,
};

enum gauge {
    ROWS,
    FRAMES,
    BYTES,
    KNOWN,
    DUPLICATES,
    GAPS,
    STALE,
    BEYOND,
    REFUSED,
    MALFORMED,
    COMMITS,
    FAILED,
    COMMIT_SECONDS,
    ACKS,
    FREED,
    REPLACED,
    REWINDS,
    REQUESTS,
    BUFFER_SLABS,
    BUFFER_ROWS,
    CAPACITY_SLABS,
    CAPACITY_ROWS,
    RESERVED,
    PRODUCERS,
    LIVE,
    ENDED_PRODUCERS,
    ENDED,
    MORE_IS_COMING,
    ATTACHED,
    PLANNED,
    LAG,
    STREAM_ROWS,
    ROOM,
};

#define COUNTER(name, help)                                                                        \
    {                                                                                              \
        name, METRIC_COUNTER, help, NULL, 0,                                                       \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define GAUGE(name, help)                                                                          \
    {                                                                                              \
        name, METRIC_GAUGE, help, NULL, 0,                                                         \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

static const struct metric metrics[] = {
    [ROWS] = COUNTER("sluice_sink_rows_total", "Rows committed."),
    [FRAMES] = COUNTER("sluice_sink_frames_total", "Frames committed."),
    [BYTES] = COUNTER("sluice_sink_bytes_total", "Raw bytes of frames committed."),
    [KNOWN] = COUNTER("sluice_sink_known_frames_total",
                      "Frames made again that were stored, or needed by nobody: acked."),
    [DUPLICATES] = COUNTER("sluice_sink_duplicate_frames_total", "Frames that came twice."),
    [GAPS] = COUNTER("sluice_sink_gap_frames_total", "Frames that came too early."),
    [STALE] = COUNTER("sluice_sink_stale_frames_total", "Frames of a session that was over."),
    [BEYOND] = COUNTER("sluice_sink_beyond_credit_frames_total", "Frames above the credit."),
    [REFUSED] = COUNTER("sluice_sink_refused_frames_total", "Frames that were damaged or wrong."),
    [MALFORMED] = COUNTER("sluice_sink_malformed_messages_total", "Bytes that are no message."),
    [COMMITS] = COUNTER("sluice_sink_commits_total", "Transactions with frames."),
    [FAILED] = COUNTER("sluice_sink_failed_commits_total", "Transactions that failed."),
    [COMMIT_SECONDS] = COUNTER("sluice_sink_commit_seconds_total", "Time in transactions."),
    [ACKS] = COUNTER("sluice_sink_acks_total", "States sent to producers."),
    [FREED] =
        COUNTER("sluice_buffer_freed_slabs_total", "Slabs freed: all consumers covered them."),
    [REPLACED] =
        COUNTER("sluice_buffer_replaced_slabs_total", "Slabs thrown out by the shed policy."),
    [REWINDS] = COUNTER("sluice_sink_rewinds_total", "Times a producer had to go back."),
    [REQUESTS] = COUNTER("sluice_sink_checkpoint_requests_total", "Checkpoints asked for."),
    [BUFFER_SLABS] = GAUGE("sluice_buffer_slabs", "Slabs stored."),
    [BUFFER_ROWS] = GAUGE("sluice_buffer_rows", "Rows stored."),
    [CAPACITY_SLABS] = GAUGE("sluice_buffer_capacity_slabs", "Slabs that the buffer holds."),
    [CAPACITY_ROWS] = GAUGE("sluice_buffer_capacity_rows", "Rows that the buffer holds."),
    [RESERVED] = GAUGE("sluice_sink_reserved_slabs", "Slabs promised and not stored yet."),
    [PRODUCERS] = GAUGE("sluice_sink_producers", "Producers declared."),
    [LIVE] = GAUGE("sluice_sink_live_producers", "Producers in a session."),
    [ENDED_PRODUCERS] = GAUGE("sluice_sink_ended_producers", "Producers whose end is committed."),
    [ENDED] = GAUGE("sluice_stream_ended", "1 when the stream has ended."),
    [MORE_IS_COMING] = GAUGE("sluice_buffer_more_is_coming",
                             "1 while a slab is free and a producer holds credit for it."),
    [ATTACHED] = GAUGE("sluice_sink_attached", "1 while the broker knows this sink."),
    [PLANNED] = GAUGE("sluice_stream_planned_rows", "Rows of the whole stream, 0 where not known."),
    [LAG] = GAUGE("sluice_sink_lag_seconds", "Age of the newest row at the last report."),
    [STREAM_ROWS] = GAUGE("sluice_stream_rows", "Rows committed in all lives of the sink."),
    [ROOM] = ROOM_METRICS("sluice_sink_"),
};

struct sink {
    struct process *process;
    struct link *link;
    struct desk *desk;
    struct process_timer *timer;
    struct process_wake *end_of_turn;
    struct room room;
    char buffer_dir[CONFIG_PATH_BYTES];
};

static void say(void *arg, uint32_t link, const struct message *m)
{
    struct sink *s = arg;
    uint8_t data[MESSAGE_HEADER_BYTES + 4096];
    size_t bytes = message_bytes(m);
    uint8_t *out = bytes <= sizeof data ? data : malloc(bytes);
    if (!out) return;
    if (!message_encode(m, out))
        link_send(s->link, NULL, link ? &link : NULL, link ? sizeof link : 0, out, bytes);
    if (out != data) free(out);
}

static void look_whether_over(struct sink *s)
{
    int code;
    if (!desk_is_over(s->desk, process_now_ns(), &code)) return;
    if (!code) log_info("the stream has ended and nobody needs more of it");
    process_finish(s->process, code);
}

static void on_end_of_turn(void *arg)
{
    struct sink *s = arg;
    desk_flush(s->desk, process_now_ns());
    look_whether_over(s);
}

static void on_tick(void *arg)
{
    struct sink *s = arg;
    desk_tick(s->desk, process_now_ns());
    look_whether_over(s);
}

static void release(void *owner)
{
    link_message_free(owner);
}

static void take_frame(struct sink *s, uint32_t number, struct link_message *message, uint32_t part)
{
    size_t bytes;
    struct link_message *kept = link_keep(message);
    if (!kept) return; /* without memory: the gap will be asked for again */
    const uint8_t *data = link_data(kept, part, &bytes);
    struct parcel parcel = {data, bytes, kept, release};
    if (!desk_frame(s->desk, number, &parcel, process_now_ns())) link_message_free(kept);
    process_wake_send(s->end_of_turn);
}

static void on_message(void *arg, struct link *link, struct link_message *message)
{
    (void)link;
    struct sink *s = arg;
    uint32_t number = 0, part = link_parts(message) - 1;
    size_t bytes, prefix_bytes;
    if (part) {
        const uint8_t *prefix = link_data(message, 0, &prefix_bytes);
        if (prefix_bytes == sizeof number) memcpy(&number, prefix, sizeof number);
    }
    const uint8_t *data = link_data(message, part, &bytes);
    if (number && message_is_frame(data, bytes))
        take_frame(s, number, message, part);
    else
        desk_message(s->desk, number, data, bytes, process_now_ns());
}

static int connect_broker(struct sink *s)
{
    const struct config *config = process_config(s->process);
    int is_synced = config->sink.durability == CONFIG_POWER;
    struct link_options options = {
        .high_water_messages = HIGH_WATER,
        .linger_ms = 300,
        .budget_messages = is_synced ? TURN_FRAMES_SYNCED : TURN_FRAMES,
        .on_message = on_message,
        .arg = s,
    };
    return wiring_connect(s->process, CONFIG_BACK, options, &s->link);
}

static int sink_start(struct process *process)
{
    struct sink *s = process_state(process);
    struct desk_options options = {
        .config = process_config(process), .name = process_name(process), .say = say, .arg = s};
    s->process = process;
    room_init(&s->room);
    if (getrandom(&options.life, sizeof options.life, 0) != sizeof options.life)
        return err_set(ERR_IO, "the system gives no random numbers");
    s->timer = process_timer_new(process, on_tick, s);
    s->end_of_turn = process_wake_new(process, on_end_of_turn, s);
    if (!s->timer || !s->end_of_turn) return err_set(ERR_NOMEM, "no memory for a timer");
    int rc = limits_file(options.config->sink.size_bytes, "the buffer (sink.size)");
    if (!rc) rc = config_buffer_dir(options.config, s->buffer_dir);
    if (!rc) rc = desk_new(&options, process_now_ns(), &s->desk);
    if (!rc) rc = connect_broker(s);
    if (!rc) process_timer_set(s->timer, TICK_MS);
    return rc;
}

static void sink_drain(struct process *process)
{
    struct sink *s = process_state(process);
    desk_flush(s->desk, process_now_ns());
    process_finish(process, ERR_OK);
}

static void show_counters(struct metrics *m, const struct desk_counters *c)
{
    metrics_set(m, ROWS, (double)c->rows);
    metrics_set(m, FRAMES, (double)c->frames);
    metrics_set(m, BYTES, (double)c->bytes);
    metrics_set(m, KNOWN, (double)c->known_frames);
    metrics_set(m, DUPLICATES, (double)c->duplicate_frames);
    metrics_set(m, GAPS, (double)c->gap_frames);
    metrics_set(m, STALE, (double)c->stale_frames);
    metrics_set(m, BEYOND, (double)c->beyond_credit_frames);
    metrics_set(m, REFUSED, (double)c->refused_frames);
    metrics_set(m, MALFORMED, (double)c->malformed);
    metrics_set(m, COMMITS, (double)c->commits);
    metrics_set(m, FAILED, (double)c->failed_commits);
    metrics_set(m, COMMIT_SECONDS, c->commit_seconds);
    metrics_set(m, ACKS, (double)c->acks);
    metrics_set(m, FREED, (double)c->freed_slabs);
    metrics_set(m, REPLACED, (double)c->replaced_slabs);
    metrics_set(m, REWINDS, (double)c->rewinds);
    metrics_set(m, REQUESTS, (double)c->checkpoint_requests);
    if (c->newest_captured_ns)
        metrics_set(m, LAG, ((double)process_wall_ns() - (double)c->newest_captured_ns) / 1e9);
}

static void show_room(struct sink *s, const struct desk_gauges *g)
{
    if (g->trouble[0])
        room_short(&s->room, s->buffer_dir, g->slab_bytes, g->trouble);
    else
        room_found(&s->room);
    room_show(&s->room, process_metrics(s->process), ROOM, process_now_ns());
}

static void sink_stats(struct process *process)
{
    struct sink *s = process_state(process);
    struct metrics *m = process_metrics(process);
    struct desk_counters c = desk_counters(s->desk);
    struct desk_gauges g = desk_gauges(s->desk);
    show_counters(m, &c);
    metrics_set(m, BUFFER_SLABS, (double)g.slabs);
    metrics_set(m, BUFFER_ROWS, (double)g.rows);
    metrics_set(m, CAPACITY_SLABS, (double)g.capacity_slabs);
    metrics_set(m, CAPACITY_ROWS, (double)g.capacity_rows);
    metrics_set(m, RESERVED, (double)g.reserved_slabs);
    metrics_set(m, PRODUCERS, g.producers);
    metrics_set(m, LIVE, g.live_producers);
    metrics_set(m, ENDED_PRODUCERS, g.ended_producers);
    metrics_set(m, ENDED, g.has_ended);
    metrics_set(m, MORE_IS_COMING, g.more_is_coming);
    metrics_set(m, ATTACHED, g.is_attached);
    metrics_set(m, PLANNED, (double)g.planned_rows);
    metrics_set(m, STREAM_ROWS, (double)g.stream_rows);
    show_room(s, &g);
}

static int sink_health(struct process *process)
{
    struct sink *s = process_state(process);
    struct desk_gauges g = desk_gauges(s->desk);
    if (g.trouble[0]) return err_set(ERR_IO, "the buffer cannot be written: %s", g.trouble);
    return g.is_attached ? ERR_OK : err_set(ERR_STATE, "the broker is not there");
}

static void sink_stop(struct process *process)
{
    struct sink *s = process_state(process);
    if (s->desk && s->link) desk_leave(s->desk, process_now_ns());
    process_report_to(process, NULL);
    if (s->link) link_close(s->link);
    desk_free(s->desk);
    room_fini(&s->room);
}

static const struct process_spec sink_process = {
    .program = {.name = "sluice-sink",
                .summary = "store the rows of a stream in its shuffle buffer",
                .description =
                    "Commits the frames that producers send to the shuffle buffer, then "
                    "acks them, and frees what all consumers have covered by a checkpoint. "
                    "Exits 0 when the stream has ended and no consumer needs more of it."},
    .section = "sink",
    .metrics = metrics,
    .metrics_count = sizeof metrics / sizeof *metrics,
    .state_bytes = sizeof(struct sink),
    .start = sink_start,
    .drain = sink_drain,
    .stats = sink_stats,
    .health = sink_health,
    .stop = sink_stop,
};

int main(int argc, char **argv)
{
    streams_open();
    process_keep_freed_memory();
    return process_main(&sink_process, argc, argv);
}
