#include "capture/tally.h"

#include "base/err.h"
#include "engine/fingerprint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The file: TALLY_RECENT slots, that of frame N at N modulo their number; then one record a frame.
 * In the machine's byte order: it belongs to a run folder, which does not travel. */

struct record { /* what comes before a frame */
    uint64_t run, number, place;
    struct tally_counts counts;
    uint64_t is_partial;
    uint64_t check; /* of all of the above */
};

struct slot {
    struct record record;
    struct judge_window window;
    uint64_t window_check;
};

enum { RECORDS_AT = TALLY_RECENT * sizeof(struct slot), LOOK_BACK = 1 << 20, LIVE = 0 };

struct tally {
    char *path;
    int fd; /* -1: not there yet */
    uint64_t run;
    struct tally_counts counts;
    struct judge_window window;
    int is_partial;
};

int tally_open(const char *path, uint64_t run, struct tally **tally)
{
    struct tally *t = calloc(1, sizeof *t);
    if (t) t->path = strdup(path);
    if (!t || !t->path) {
        free(t);
        return err_set(ERR_NOMEM, "no memory to count rows");
    }
    t->run = run;
    t->fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    *tally = t;
    return ERR_OK;
}

void tally_close(struct tally *t)
{
    if (!t) return;
    if (t->fd >= 0) close(t->fd);
    free(t->path);
    free(t);
}

/* ---- records ---- */

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    for (; bytes >= sizeof hash; at += sizeof hash, bytes -= sizeof hash) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        hash = fingerprint_add_u64(hash, word);
    }
    return hash;
}

static uint64_t check_of(const struct record *r)
{
    return hash_bytes(1, r, offsetof(struct record, check));
}

static uint64_t check_of_window(const struct slot *s)
{
    return hash_bytes(s->record.check, &s->window, sizeof s->window);
}

static uint64_t place_of(const struct cursor *c)
{
    return hash_bytes(2, c, sizeof *c);
}

static int is_whole(const struct tally *t, const struct record *r, uint64_t number)
{
    return r->run == t->run && r->number == number && r->check == check_of(r);
}

static int read_at(const struct tally *t, void *out, size_t bytes, uint64_t at)
{
    return t->fd >= 0 && pread(t->fd, out, bytes, (off_t)at) == (ssize_t)bytes;
}

static int find_slot(const struct tally *t, uint64_t number, struct slot *slot)
{
    return read_at(t, slot, sizeof *slot, number % TALLY_RECENT * sizeof *slot) &&
           is_whole(t, &slot->record, number) && slot->window_check == check_of_window(slot);
}

static int find_record(const struct tally *t, uint64_t number, struct record *record)
{
    return read_at(t, record, sizeof *record, RECORDS_AT + number * sizeof *record) &&
           is_whole(t, record, number);
}

/* ---- taking up ---- */

static void take(struct tally *t, const struct record *record)
{
    t->counts = record->counts;
    t->is_partial = record->is_partial != 0;
}

/* The next best: as far as anything is known. What lies between is lost, and nothing else. */
static void seek_before(struct tally *t, uint64_t number)
{
    struct record record;
    uint64_t least = number > LOOK_BACK ? number - LOOK_BACK : 0;
    while (number > least)
        if (find_record(t, --number, &record)) {
            t->counts = record.counts;
            break;
        }
    t->is_partial = 1;
}

/* That of the last frame that has one, up to `number`. */
static void seek_window(struct tally *t, uint64_t number)
{
    struct slot slot;
    for (uint64_t back = 0; back < TALLY_RECENT && back < number; back++)
        if (find_slot(t, number - back, &slot)) {
            t->window = slot.window;
            return;
        }
}

static int find_at(const struct tally *t, uint64_t number, uint64_t place, struct record *record)
{
    return find_record(t, number, record) && record->place == place;
}

void tally_seek(struct tally *t, uint64_t number, const struct cursor *cursor)
{
    struct slot slot;
    struct record record;
    uint64_t place = place_of(cursor);
    t->counts = (struct tally_counts){0};
    t->window = (struct judge_window){0};
    t->is_partial = 0;
    if (number <= 1) return;
    if (find_slot(t, number, &slot) && slot.record.place == place)
        take(t, &slot.record);
    else if (find_at(t, number, place, &record))
        take(t, &record);
    else
        seek_before(t, number);
    seek_window(t, number);
}

void tally_add(struct tally *t, enum filter_verdict verdict)
{
    struct tally_counts *c = &t->counts;
    c->kept_rows += verdict == FILTER_KEEP;
    c->special_rows += verdict == FILTER_SPECIAL;
    c->first_rows += verdict == FILTER_FIRST;
    c->norm_rows += verdict == FILTER_NORM;
    c->rejected_rows += verdict == FILTER_NOT_FINITE;
    if (verdict != FILTER_SPECIAL && verdict != FILTER_FIRST)
        judge_add(&t->window, verdict == FILTER_NORM);
}

/* ---- putting down ---- */

static int failed(const struct tally *t)
{
    int full = errno == ENOSPC || errno == EDQUOT;
    return err_set(full ? ERR_NOSPC : ERR_IO, "cannot write %s: %s%s", t->path, strerror(errno),
                   full ? "; HINT: free space on that disk" : "");
}

static int write_at(struct tally *t, const void *data, size_t bytes, uint64_t at)
{
    ssize_t n = pwrite(t->fd, data, bytes, (off_t)at);
    if (n == (ssize_t)bytes) return ERR_OK;
    if (n >= 0) errno = ENOSPC;
    return failed(t);
}

/* What is lost may be known farther on, where this frame was reached before. */
static void mend(struct tally *t, uint64_t number, uint64_t place)
{
    struct record record;
    if (t->is_partial && find_at(t, number, place, &record) && !record.is_partial) take(t, &record);
}

static int put(struct tally *t, uint64_t number, uint64_t place)
{
    struct slot slot = {.record = {.run = t->run,
                                   .number = number,
                                   .place = place,
                                   .counts = t->counts,
                                   .is_partial = (uint64_t)t->is_partial},
                        .window = t->window};
    slot.record.check = check_of(&slot.record);
    slot.window_check = check_of_window(&slot);
    if (t->fd < 0) t->fd = open(t->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (t->fd < 0) return failed(t);
    int rc =
        write_at(t, &slot.record, sizeof slot.record, RECORDS_AT + number * sizeof slot.record);
    return rc ? rc : write_at(t, &slot, sizeof slot, number % TALLY_RECENT * sizeof slot);
}

int tally_mark(struct tally *t, uint64_t number, const struct cursor *cursor)
{
    uint64_t place = place_of(cursor);
    mend(t, number, place);
    return put(t, number, place);
}

/* ---- live ---- */

int tally_seek_live(struct tally *t)
{
    struct slot slot;
    if (!find_slot(t, LIVE, &slot)) return 0;
    take(t, &slot.record);
    t->window = slot.window;
    return 1;
}

int tally_mark_live(struct tally *t, const struct tally_counts *counts)
{
    t->counts = *counts;
    return put(t, LIVE, 0);
}

/* ---- asking ---- */

static void raise(uint64_t *count, uint64_t other)
{
    if (other > *count) *count = other;
}

void tally_raise(struct tally_counts *counts, const struct tally_counts *others)
{
    raise(&counts->kept_rows, others->kept_rows);
    raise(&counts->special_rows, others->special_rows);
    raise(&counts->first_rows, others->first_rows);
    raise(&counts->norm_rows, others->norm_rows);
    raise(&counts->rejected_rows, others->rejected_rows);
}

void tally_farthest(const struct tally *t, struct tally_counts *counts)
{
    for (uint64_t i = 0; i < TALLY_RECENT; i++) {
        struct record r;
        if (!read_at(t, &r, sizeof r, i * sizeof(struct slot))) return;
        if (is_whole(t, &r, r.number)) tally_raise(counts, &r.counts);
    }
}

const struct tally_counts *tally_counts(const struct tally *t)
{
    return &t->counts;
}

const struct judge_window *tally_window(const struct tally *t)
{
    return &t->window;
}

int tally_is_partial(const struct tally *t)
{
    return t->is_partial;
}
