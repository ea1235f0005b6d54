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
#include "sink/gauges.h"
#include "wiring/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    TICK_MS = 50,
    TURN_FRAMES = 8,         /* most of one commit, by and large: what a cache holds */
    TURN_FRAMES_SYNCED = 64, /* where a commit waits for the disk */
    HIGH_WATER = 1 << 16,
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
    int result;
    if (!desk_is_over(s->desk, process_now_ns(), &result)) return;
    if (result == ERR_OK) log_info("the stream has ended and nobody needs more of it");
    process_finish(s->process, result);
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
        .send_high_water = HIGH_WATER,
        .receive_high_water = HIGH_WATER,
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
    int result = limits_file(options.config->sink.size_bytes, "the buffer (sink.size)");
    if (result == ERR_OK) result = config_buffer_dir(options.config, s->buffer_dir);
    if (result == ERR_OK) result = desk_new(&options, process_now_ns(), &s->desk);
    if (result == ERR_OK) result = connect_broker(s);
    if (result == ERR_OK) process_timer_set(s->timer, TICK_MS);
    return result;
}

static void sink_drain(struct process *process)
{
    struct sink *s = process_state(process);
    desk_flush(s->desk, process_now_ns());
    process_finish(process, ERR_OK);
}

/* 0 where the clock was set back meanwhile. */
static double seconds_since(uint64_t wall_ns)
{
    uint64_t now_ns = process_wall_ns();
    return now_ns > wall_ns ? (double)(now_ns - wall_ns) / 1e9 : 0;
}

static void show_counters(struct metrics *m, const struct desk_counters *c)
{
    metrics_set(m, GAUGE_ROWS, (double)c->rows);
    metrics_set(m, GAUGE_FRAMES, (double)c->frames);
    metrics_set(m, GAUGE_BYTES, (double)c->bytes);
    metrics_set(m, GAUGE_KNOWN, (double)c->known_frames);
    metrics_set(m, GAUGE_DUPLICATES, (double)c->duplicate_frames);
    metrics_set(m, GAUGE_GAPS, (double)c->gap_frames);
    metrics_set(m, GAUGE_STALE, (double)c->stale_frames);
    metrics_set(m, GAUGE_BEYOND, (double)c->beyond_credit_frames);
    metrics_set(m, GAUGE_REFUSED, (double)c->refused_frames);
    metrics_set(m, GAUGE_MALFORMED, (double)c->malformed);
    metrics_set(m, GAUGE_COMMITS, (double)c->commits);
    metrics_set(m, GAUGE_FAILED, (double)c->failed_commits);
    metrics_set(m, GAUGE_COMMIT_SECONDS, c->commit_seconds);
    metrics_set(m, GAUGE_ACKS, (double)c->acks);
    metrics_set(m, GAUGE_FREED, (double)c->freed_slabs);
    metrics_set(m, GAUGE_REPLACED, (double)c->replaced_slabs);
    metrics_set(m, GAUGE_EXPIRED, (double)c->expired_slabs);
    metrics_set(m, GAUGE_SCRUBBED, (double)c->scrubbed_pages);
    metrics_set(m, GAUGE_REWINDS, (double)c->rewinds);
    metrics_set(m, GAUGE_REQUESTS, (double)c->checkpoint_requests);
    metrics_set(m, GAUGE_SET_ASIDE, (double)c->set_aside);
    if (c->newest_captured_ns) metrics_set(m, GAUGE_LAG, seconds_since(c->newest_captured_ns));
}

static void show_room(struct sink *s, const struct desk_gauges *g)
{
    if (g->trouble[0])
        room_short(&s->room, s->buffer_dir, g->slab_bytes, g->trouble);
    else
        room_found(&s->room);
    room_show(&s->room, process_metrics(s->process), GAUGE_DISK_WAITING, process_now_ns());
}

static void show_settings(struct metrics *m, const struct config *config)
{
    for (uint32_t i = 0; i < SINK_POLICIES; i++)
        metrics_set_at(m, GAUGE_POLICY, i, i == (uint32_t)config->stream.policy);
    metrics_set(m, GAUGE_CONSUMERS, config->trainer.consumers.count);
}

/* Who is through with its part, for whoever misses it: the broker forgets, and may be a new one. */
static void show_who_is_through(struct metrics *m, const struct desk *desk,
                                const struct config_list *consumers)
{
    const struct sessions *s = desk_sessions(desk);
    char number[16];
    for (uint32_t i = 0; i < s->producers; i++) {
        snprintf(number, sizeof number, "%u", i);
        metrics_label(m, GAUGE_PRODUCER_ENDED, i, number);
        metrics_set_at(m, GAUGE_PRODUCER_ENDED, i, s->session[i].record.ended);
    }
    for (uint32_t i = 0; i < consumers->count; i++) {
        metrics_label(m, GAUGE_CONSUMER_FINISHED, i, consumers->item[i]);
        metrics_set_at(m, GAUGE_CONSUMER_FINISHED, i, desk_finished(desk, i));
    }
}

static void sink_stats(struct process *process)
{
    struct sink *s = process_state(process);
    struct metrics *m = process_metrics(process);
    struct desk_counters c = desk_counters(s->desk);
    struct desk_gauges g = desk_gauges(s->desk);
    show_counters(m, &c);
    show_settings(m, process_config(process));
    show_who_is_through(m, s->desk, &process_config(process)->trainer.consumers);
    metrics_set(m, GAUGE_BUFFER_SLABS, (double)g.slabs);
    metrics_set(m, GAUGE_BUFFER_ROWS, (double)g.rows);
    metrics_set(m, GAUGE_CAPACITY_SLABS, (double)g.capacity_slabs);
    metrics_set(m, GAUGE_CAPACITY_ROWS, (double)g.capacity_rows);
    metrics_set(m, GAUGE_RESERVED, (double)g.reserved_slabs);
    metrics_set(m, GAUGE_PRODUCERS, g.producers);
    metrics_set(m, GAUGE_LIVE, g.live_producers);
    metrics_set(m, GAUGE_ENDED_PRODUCERS, g.ended_producers);
    metrics_set(m, GAUGE_ENDED, g.has_ended);
    metrics_set(m, GAUGE_MORE_IS_COMING, g.more_is_coming);
    metrics_set(m, GAUGE_ATTACHED, g.is_attached);
    metrics_set(m, GAUGE_PLANNED, (double)g.planned_rows);
    metrics_set(m, GAUGE_UNSCRUBBED, g.unscrubbed_seconds);
    metrics_set(m, GAUGE_STREAM_ROWS, (double)g.stream_rows);
    show_room(s, &g);
}

/* Also where no producer is there: a model takes its time to be opened, and a live stream has none
 * before the first program comes. A producer that should be there is missed by its own name. */
static int sink_ready(struct process *process)
{
    struct sink *s = process_state(process);
    struct desk_gauges g = desk_gauges(s->desk);
    if (g.trouble[0]) return err_set(ERR_IO, "the buffer cannot be written: %s", g.trouble);
    if (!g.is_attached) return err_set(ERR_STATE, "the broker is not there");
    return ERR_OK;
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
    .metrics = sink_gauges,
    .metrics_count = GAUGES,
    .state_bytes = sizeof(struct sink),
    .start = sink_start,
    .drain = sink_drain,
    .stats = sink_stats,
    .ready = sink_ready,
    .stop = sink_stop,
};

int main(int argc, char **argv)
{
    streams_open();
    process_keep_freed_memory();
    return process_main(&sink_process, argc, argv);
}
