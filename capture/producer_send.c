/* What a producer says, and when: each message is due at a time of its own, frames as credit and
 * acks let them. */
#include "capture/producer_parts.h"

#include <stdio.h>

#define MILLISECONDS   UINT64_C(1000000)
#define HELLO_AGAIN    (2000 * MILLISECONDS) /* no answer at all */
#define PING_EACH      (1000 * MILLISECONDS)
#define END_AGAIN      (1000 * MILLISECONDS)
#define DESCRIBE_AGAIN (2000 * MILLISECONDS)

static struct message blank(const struct producer *p, uint8_t type)
{
    struct message m = {.type = type, .stream = p->stream, .session = p->session};
    m.producer = p->options.producer;
    m.epoch = p->epoch;
    m.totals = p->counters.totals;
    return m;
}

static struct message hello(const struct producer *p)
{
    struct message m = blank(p, MESSAGE_HELLO);
    m.session = 0;
    m.flags = p->options.shed ? MESSAGE_SHED : 0;
    m.share_count = p->options.share_count;
    m.totals = (struct frame_totals){0};
    snprintf(m.name, sizeof m.name, "%s", p->options.name);
    m.text = p->introduction.data;
    m.text_bytes = (uint32_t)p->introduction.bytes;
    return m;
}

static struct message describe(const struct producer *p)
{
    struct message m = blank(p, MESSAGE_DESCRIBE);
    m.text = p->described.data;
    m.text_bytes = (uint32_t)p->described.bytes;
    return m;
}

/* Tells how far it has sent, so that a frame lost on the way is missed even if none follows it. */
static struct message ping(const struct producer *p)
{
    struct message m = blank(p, MESSAGE_PING);
    m.next_number = p->phase == PRODUCER_STREAMING ? p->send_next : 0;
    return m;
}

static struct message end(const struct producer *p)
{
    struct message m = blank(p, MESSAGE_END);
    m.next_number = p->end_number;
    return m;
}

/* The sink gives back what counts as shed and reached it all the same. Where a live source is: its
 * rows are not made again. */
static struct message bye(const struct producer *p)
{
    struct message m = blank(p, MESSAGE_BYE);
    m.next_number = p->shed_from;
    if (p->options.shed) m.cursor = p->end;
    return m;
}

static int next_frame(struct producer *p, struct producer_send *send)
{
    if (p->phase != PRODUCER_STREAMING || p->send_next > p->credit) return 0;
    send->frame = window_find(p->window, p->send_next);
    return send->frame != NULL;
}

/* What to say, if anything; frames are behind these but for the END. */
static uint8_t due(const struct producer *p, uint64_t now_ns)
{
    int has_left = p->leaving && !(p->window && window_rows(p->window));
    if (has_left || is_over(p)) return p->session ? MESSAGE_BYE : 0;
    if (p->phase == PRODUCER_ASKING) return now_ns >= p->hello_ns ? MESSAGE_HELLO : 0;
    if (p->phase == PRODUCER_MEASURING && p->described.data && now_ns >= p->describe_ns)
        return MESSAGE_DESCRIBE;
    if (p->phase == PRODUCER_MEASURING && p->declines && now_ns >= p->end_ns) return MESSAGE_END;
    if (p->phase != PRODUCER_MEASURING && p->phase != PRODUCER_STREAMING) return 0;
    if (now_ns >= p->ping_ns) return MESSAGE_PING;
    if (p->phase == PRODUCER_MEASURING) return 0;
    if (p->has_ended && p->send_next >= p->end_number && now_ns >= p->end_ns) return MESSAGE_END;
    return 0;
}

int producer_next(struct producer *p, uint64_t now_ns, struct producer_send *send)
{
    *send = (struct producer_send){0};
    uint8_t type = due(p, now_ns);
    if (type == MESSAGE_HELLO)
        send->message = hello(p);
    else if (type == MESSAGE_DESCRIBE)
        send->message = describe(p);
    else if (type == MESSAGE_PING)
        send->message = ping(p);
    else if (type == MESSAGE_END)
        send->message = end(p);
    else if (type)
        send->message = bye(p);
    if (type) return 1;
    if (!next_frame(p, send)) return 0;
    send->frame->header.session = p->session;
    send->frame->header.epoch = p->epoch;
    return 1;
}

static void frame_sent(struct producer *p, const struct window_frame *frame)
{
    uint64_t number = frame->header.number;
    p->counters.sent_frames++;
    p->counters.sent_bytes += FRAME_HEADER_BYTES + frame->header.packed_bytes;
    if (number <= p->sent_most)
        p->counters.resent_frames++;
    else
        p->sent_most = number;
    p->send_next = number + 1;
}

void producer_sent(struct producer *p, uint64_t now_ns, const struct producer_send *send)
{
    if (send->frame) {
        frame_sent(p, send->frame);
        return;
    }
    switch (send->message.type) {
    case MESSAGE_HELLO:
        p->hello_ns = now_ns + HELLO_AGAIN;
        break;
    case MESSAGE_DESCRIBE:
        p->describe_ns = now_ns + DESCRIBE_AGAIN;
        break;
    case MESSAGE_PING:
        p->ping_ns = now_ns + PING_EACH;
        break;
    case MESSAGE_END:
        p->end_ns = now_ns + END_AGAIN;
        break;
    case MESSAGE_BYE:
        p->session = 0;
        if (!is_over(p)) p->phase = PRODUCER_GONE;
        break;
    default:
        break;
    }
}
