#include "sink/sessions.h"

#include "base/err.h"
#include "base/rng.h"

#include <inttypes.h>
#include <string.h>

static const uint64_t silence_ns = UINT64_C(15000000000);
static const uint64_t resync_again_ns = UINT64_C(1000000000);

void sessions_init(struct sessions *s, uint32_t producers, uint64_t sink_life)
{
    memset(s, 0, sizeof *s);
    s->producers = producers;
    s->sink_life = sink_life;
    for (uint32_t i = 0; i < producers; i++) {
        s->session[i].record.next_number = 1;
        s->session[i].expected = 1;
    }
}

void sessions_record(struct sessions *s, uint32_t producer, const struct store_producer *record)
{
    s->session[producer].record = *record;
    s->session[producer].expected = record->next_number;
}

int sessions_epoch(const struct sessions *s, uint32_t producer, uint32_t epoch, uint32_t link,
                   uint32_t *granted)
{
    const struct session *one = &s->session[producer];
    uint32_t newest = one->record.epoch;
    if (epoch && epoch < newest)
        return err_set(
            ERR_FENCED,
            "producer %u of epoch %u: a newer one of epoch %u has taken over; HINT: only "
            "one process may run a producer's share",
            producer, epoch, newest);
    if (epoch > newest)
        return err_set(
            ERR_STATE,
            "producer %u says that it has epoch %u, the last one that was given to it is "
            "%u; HINT: start the capture again, it is given a new one (was the buffer "
            "lost, or is this another run folder?)",
            producer, epoch, newest);
    /* A connection belongs to one life: asked twice before the first answer came, it stays one. */
    int is_asked_again = one->session && one->link == link;
    if (!epoch && !is_asked_again && newest == UINT32_MAX)
        return err_set(ERR_LIMIT,
                       "producer %u has had %" PRIu32
                       " epochs, and there is no number for another; "
                       "HINT: begin the stream anew (sluice up --fresh), or under another "
                       "stream.name",
                       producer, newest);
    *granted = epoch || is_asked_again ? newest : newest + 1;
    return ERR_OK;
}

void sessions_end(struct sessions *s, uint32_t producer)
{
    struct session *one = &s->session[producer];
    one->session = 0;
    one->link = 0;
    one->is_measuring = 0;
    one->credit = one->told_credit = 0;
    one->resync_ns = 0;
    one->expected = one->record.next_number;
}

void sessions_begin(struct sessions *s, uint32_t producer, uint32_t link, uint64_t now_ns,
                    uint32_t *replaced)
{
    struct session *one = &s->session[producer];
    *replaced = one->session && one->link != link ? one->link : 0;
    sessions_end(s, producer);
    do one->session = hash_words(one->record.epoch, s->sink_life, s->broker_life, ++s->count);
    while (!one->session);
    one->link = link;
    one->heard_ns = now_ns;
}

int sessions_find(const struct sessions *s, uint32_t link, uint64_t session)
{
    int i = sessions_on_link(s, link);
    return i >= 0 && s->session[i].session == session ? i : -1;
}

int sessions_on_link(const struct sessions *s, uint32_t link)
{
    for (uint32_t i = 0; i < s->producers; i++)
        if (s->session[i].session && s->session[i].link == link) return (int)i;
    return -1;
}

int sessions_silent(const struct sessions *s, uint64_t now_ns)
{
    for (uint32_t i = 0; i < s->producers; i++)
        if (s->session[i].session && now_ns > s->session[i].heard_ns + silence_ns) return (int)i;
    return -1;
}

enum sessions_verdict sessions_judge(const struct session *one, uint64_t number)
{
    if (number < one->expected) return SESSIONS_DUPLICATE;
    if (number > one->credit) return SESSIONS_BEYOND_CREDIT;
    return number > one->expected ? SESSIONS_GAP : SESSIONS_TAKE;
}

int sessions_resync_due(struct session *one, uint64_t now_ns)
{
    if (one->resync_ns && now_ns < one->resync_ns + resync_again_ns) return 0;
    one->resync_ns = now_ns;
    return 1;
}

int sessions_all_ended(const struct sessions *s)
{
    for (uint32_t i = 0; i < s->producers; i++)
        if (!s->session[i].record.ended) return 0;
    return 1;
}

uint32_t sessions_live(const struct sessions *s)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < s->producers; i++) live += s->session[i].session != 0;
    return live;
}
