/* Rows into the ring: places are taken, filled, and published. */
#include "base/clock.h"
#include "client/stream.h"

#include "base/rng.h"

#include <string.h>
#include <time.h>

static const uint64_t reader_gone_ns = UINT64_C(5000000000);
static const uint64_t second = UINT64_C(256000000000); /* of the limiter's time */

int sluice_is_on(const struct sluice *s)
{
    if (!stream_is_ours(s)) return 0;
    return atomic_load_explicit(&s->ring->control.is_on, memory_order_relaxed) &&
           atomic_load_explicit(&s->ring->reader.verdict, memory_order_relaxed) != RING_REFUSED;
}

uint64_t sluice_sequence(struct sluice *s)
{
    if (!sluice_is_on(s)) return 0;
    uint64_t number = atomic_fetch_add(&s->ring->host.number, 1) + 1;
    uint32_t share = atomic_load_explicit(&s->ring->control.share, memory_order_relaxed);
    stream_count(s, RING_SEQUENCES, 1);
    uint64_t draw = hash_words(s->ring->facts.identity, number, 0, 0) >> 32;
    if ((share == UINT32_MAX || draw < share) && number >> RING_NUMBER_BITS == 0) return number;
    stream_count(s, RING_NOT_TAKEN, 1);
    return 0;
}

/* ---- the limit ---- */

/* How many of n rows may go now: `next` is when the next row's time comes, never before the clock nor
 * more than a burst past it (the generic cell rate algorithm, ITU-T I.371, as a virtual schedule). A
 * burst is the rows of a second, or one, where that is less. */
static uint32_t within_rate(struct sluice *s, uint32_t n)
{
    uint64_t interval = atomic_load_explicit(&s->ring->control.interval, memory_order_relaxed);
    if (!interval) return n;
    uint64_t burst = interval > second ? interval : second;
    uint64_t now = (clock_ns(CLOCK_MONOTONIC) - s->ring->facts.born_steady_ns) * 256;
    uint64_t next = atomic_load_explicit(&s->ring->host.next, memory_order_relaxed), to, rows;
    do {
        uint64_t from = next < now ? now : next;
        if (from > now + burst) from = now + burst; /* of a lower rate than now */
        rows = (now + burst - from) / interval;
        if (rows > n) rows = n;
        to = from + rows * interval;
    } while (to != next && !atomic_compare_exchange_weak(&s->ring->host.next, &next, to));
    stream_count(s, RING_LIMITED, n - rows);
    return (uint32_t)rows;
}

/* ---- room ---- */

/* Take up to n places, or none where there is no room for `least`; how many is returned. The tail is
 * read before the head, which is then never behind it, and once more where there seems to be too little
 * room: others may have taken, and the reader read, any number of places in between. */
static uint32_t take(struct sluice *s, uint32_t least, uint32_t n, uint64_t *first)
{
    _Atomic uint64_t *head = &s->ring->host.head, *tail = &s->ring->reader.tail;
    uint32_t records = s->ring->facts.records;
    for (;;) {
        uint64_t read = atomic_load_explicit(tail, memory_order_acquire);
        *first = atomic_load_explicit(head, memory_order_acquire);
        uint64_t used = *first - read, room = used < records ? records - used : 0;
        uint64_t rows = n < room ? n : room;
        if (rows < n && atomic_load_explicit(tail, memory_order_acquire) != read) continue;
        if (rows < least || !rows) return 0;
        if (atomic_compare_exchange_weak(head, first, *first + rows)) return (uint32_t)rows;
    }
}

/* It looks twice a second. What it saw far in the future was before the clock was set back. */
static int has_reader(const struct sluice *s)
{
    uint64_t seen = atomic_load(&s->ring->reader.seen_ns), now = clock_ns(CLOCK_REALTIME);
    uint64_t away = seen < now ? now - seen : seen - now;
    return seen && away < reader_gone_ns && sluice_is_on(s);
}

/* Wait for room for all n, as far as the ring ever has it. */
static uint32_t wait_for_room(struct sluice *s, uint32_t n, uint64_t *first)
{
    uint32_t all = n < s->ring->facts.records ? n : s->ring->facts.records, rows;
    while (!(rows = take(s, all, all, first)) && has_reader(s))
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    return rows ? rows : take(s, 1, all, first);
}

uint32_t sluice_reserve(struct sluice *s, uint32_t n, struct sluice_place *place)
{
    *place = (struct sluice_place){0};
    if (!n || !sluice_is_on(s)) return 0;
    stream_count(s, RING_OFFERED, n);
    n = within_rate(s, n);
    if (n)
        place->rows = s->policy == SLUICE_BLOCK ? wait_for_room(s, n, &place->first)
                                                : take(s, 1, n, &place->first);
    stream_count(s, RING_SHED, n - place->rows);
    return place->rows;
}

/* ---- values ---- */

static void copy_values(const struct sluice *s, uint64_t at, uint32_t offset, uint32_t width,
                        const float *values)
{
    uint8_t *to = (uint8_t *)stream_record(s, at) + offset;
    if (s->ring->facts.dtype == DTYPE_F32) {
        memcpy(to, values, (size_t)width * sizeof *values);
        return;
    }
    uint16_t *half = (uint16_t *)to;
    for (uint32_t i = 0; i < width; i++) half[i] = bf16_from_f32(values[i]);
}

void sluice_write(struct sluice *s, const struct sluice_place *place, uint32_t i, uint32_t hook,
                  const float *values)
{
    if (!stream_is_ours(s) || i >= place->rows || hook >= s->ring->facts.hooks) return;
    copy_values(s, place->first + i, s->hook_at[hook], s->ring->facts.hook[hook].width, values);
}

static void publish(const struct sluice *s, uint64_t place, const struct row_id *id, uint32_t flags,
                    uint64_t captured_ns)
{
    struct ring_record *r = stream_record(s, place);
    r->id = *id;
    r->flags = flags;
    r->captured_ns = captured_ns;
    atomic_store_explicit(&r->turn, place + 1, memory_order_release);
}

void sluice_publish(struct sluice *s, const struct sluice_place *place,
                    const struct sluice_row *rows)
{
    if (!stream_is_ours(s) || !place->rows) return;
    uint64_t now = clock_ns(CLOCK_REALTIME), written = 0;
    for (uint32_t i = 0; i < place->rows; i++) {
        struct row_id id = {rows[i].sequence, rows[i].position, rows[i].token};
        uint32_t flags = rows[i].flags & (SLUICE_SPECIAL | SLUICE_FIRST);
        written += rows[i].sequence != 0;
        publish(s, place->first + i, &id, rows[i].sequence ? flags : RING_ROW_NONE, now);
    }
    stream_count(s, RING_WRITTEN, written);
    stream_count(s, RING_ABANDONED, place->rows - written);
}

void sluice_abandon(struct sluice *s, const struct sluice_place *place)
{
    struct row_id nobody = {0};
    if (!stream_is_ours(s)) return;
    for (uint32_t i = 0; i < place->rows; i++)
        publish(s, place->first + i, &nobody, RING_ROW_NONE, 0);
    stream_count(s, RING_ABANDONED, place->rows);
}

uint32_t sluice_put(struct sluice *s, uint32_t n, const struct sluice_row *rows,
                    const float *values)
{
    uint32_t taken = 0;
    if (!sluice_is_on(s)) return 0;
    uint32_t most = (s->ring->facts.records + 1) / 2; /* so that a reader need not wait for us */
    for (uint32_t i = 0, run; i < n; i += run) {
        struct sluice_place place;
        run = 1;
        if (!rows[i].sequence) continue;
        while (i + run < n && run < most && rows[i + run].sequence) run++;
        sluice_reserve(s, run, &place);
        for (uint32_t r = 0; r < place.rows; r++)
            copy_values(s, place.first + r, sizeof(struct ring_record), s->ring->facts.width,
                        values + (size_t)(i + r) * s->ring->facts.width);
        sluice_publish(s, &place, rows + i);
        taken += place.rows;
    }
    return taken;
}
