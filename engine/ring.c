/*
 * The engine `ring`: rows that running programs write into rings in shared memory (proto/ring.h).
 *
 * Rows come when they come, and once: nothing can be made again. A ring has an epoch, unique in the
 * stream, and a row's sequence is that epoch before the number that its host gave. The next epoch is in
 * every cursor, so that whoever goes on with the stream gives none twice.
 */
#include "base/clock.h"
#include "base/err.h"
#include "engine/backend.h"
#include "engine/fingerprint.h"
#include "engine/ring_folder.h"
#include "engine/ring_judge.h"
#include "engine/ring_map.h"
#include "engine/span.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RINGS_MOST = 64, REMEMBERED = 64, EPOCH_BITS = 64 - RING_NUMBER_BITS };

static const uint64_t scan_ns = UINT64_C(500000000);
static const uint64_t patience_ns = UINT64_C(200000000); /* of one engine_next() */

struct ring {
    struct engine_options options;
    struct engine_info *info;
    struct ring_folder folder;
    struct ring_map map[RINGS_MOST];
    uint32_t epoch[RINGS_MOST]; /* 0: none yet */
    uint32_t maps, turn;
    uint64_t unread[REMEMBERED]; /* hashes of paths that were told to be left unread */
    uint32_t unread_next;
    struct ring_judge judge;
    uint64_t next_epoch; /* counted for this share alone */
    uint64_t scanned_ns;
    uint64_t made;
    uint64_t gone[ENGINE_RING_COUNTS]; /* counts of rings that are no more */
    uint64_t lost_rows;                /* that programs shed, each told once, whoever reads */
    int has_told_waiting;

    uint32_t batch_rows;
    struct row_id *ids;
    uint8_t *flags;
    struct cursor *cursors;
    float *values;
    uint64_t *captured_ns;
};

static void tell(const struct ring *r, int is_warning, const char *sentence)
{
    if (r->options.watch.tell) r->options.watch.tell(r->options.watch.arg, is_warning, sentence);
}

/* ---- which rings are taken ---- */

static int is_taken(const struct ring *r, const char *path)
{
    for (uint32_t i = 0; i < r->maps; i++)
        if (strcmp(r->map[i].path, path) == 0) return 1;
    return 0;
}

/* For now: what is in its way may go. Told once. */
static void leave_unread(struct ring *r, const char *path)
{
    char text[1400];
    uint64_t hash = fingerprint_add_text(0, path);
    for (uint32_t i = 0; i < REMEMBERED; i++)
        if (r->unread[i] == hash) return;
    r->unread[r->unread_next++ % REMEMBERED] = hash;
    snprintf(text, sizeof text, "a ring is left unread: %s", err_text());
    tell(r, 1, text);
}

/* Its epoch, where an earlier life of this reader gave it one. */
static void take_up_epoch(struct ring *r, uint32_t i)
{
    uint32_t share = r->options.share_count, had = atomic_load(&r->map[i].ring->reader.epoch);
    r->epoch[i] = 0;
    if (!had || had >> EPOCH_BITS || (had - 1) % share != r->options.share_index) return;
    uint64_t number = (had - 1) / share;
    r->epoch[i] = had;
    if (r->next_epoch <= number) r->next_epoch = number + 1;
}

static void take_ring(struct ring *r, struct ring_map *m)
{
    char text[400];
    int result = ring_judge(&r->judge, &m->facts);
    if (result == ERR_OK && !r->judge.is_described)
        result = ring_judge_describe(&r->judge, &m->facts);
    uint32_t i = r->maps++;
    r->map[i] = *m;
    if (result != ERR_OK) {
        ring_map_refuse(&r->map[i], err_text());
        snprintf(text, sizeof text, "rows of %s (process %u) are refused: %.250s", m->facts.program,
                 m->facts.pid, err_text());
    } else {
        take_up_epoch(r, i);
        if (!r->epoch[i]) /* later, what a person sets holds */
            ring_map_limit(&r->map[i], r->options.share, r->options.rows_per_second,
                           r->options.bytes_per_second);
        ring_map_take(&r->map[i], r->epoch[i]);
        snprintf(text, sizeof text, "takes the rows of %s (process %u), model %.150s",
                 m->facts.program, m->facts.pid, m->facts.model);
    }
    tell(r, result != ERR_OK, text);
}

static int found(void *arg, const char *path)
{
    struct ring *r = arg;
    struct ring_map m;
    if (is_taken(r, path)) return ERR_OK;
    if (r->maps == RINGS_MOST) {
        err_set(ERR_LIMIT, "%s: %d programs write to this stream already", path, RINGS_MOST);
        leave_unread(r, path);
    } else if (ring_map_open(path, &m) != ERR_OK) {
        if (access(path, F_OK) == 0) leave_unread(r, path);
    } else {
        take_ring(r, &m);
    }
    return ERR_OK;
}

/* ---- rings that end ---- */

static void add_counts(const struct ring_map *m, uint64_t *counts)
{
    for (int c = 0; c < RING_COUNTS; c++) counts[c] += atomic_load(&m->ring->host.count[c]);
}

/* What it shed since that was told last; of a program that is refused nothing is the stream's. */
static void tell_shed(struct ring *r, uint32_t i)
{
    struct ring_header *ring = r->map[i].ring;
    uint64_t shed = atomic_load(&ring->host.count[RING_SHED]);
    uint64_t told = r->map[i].told_shed;
    if (r->map[i].is_refused || shed <= told) return;
    r->lost_rows += shed - told;
    r->map[i].told_shed = shed;
}

/* Else whoever reads it next has to tell of them. */
static int is_counted(const struct ring_map *m)
{
    return m->is_refused || m->told_shed == atomic_load(&m->ring->reader.told_shed);
}

static void rings_counted(void *state)
{
    struct ring *r = state;
    for (uint32_t i = 0; i < r->maps; i++)
        atomic_store(&r->map[i].ring->reader.told_shed, r->map[i].told_shed);
}

static void drop_ring(struct ring *r, uint32_t i)
{
    struct ring_map *m = &r->map[i];
    char text[300];
    uint64_t counts[RING_COUNTS] = {0};
    add_counts(m, counts);
    for (int c = 0; c < RING_COUNTS; c++) r->gone[c] += counts[c];
    snprintf(text, sizeof text,
             "%s (process %u) has %s: %" PRIu64 " rows written, %" PRIu64 " shed, %" PRIu64
             " unfinished",
             m->facts.program, m->facts.pid,
             atomic_load(&m->ring->host.is_closed) ? "left the stream" : "died",
             counts[RING_WRITTEN], counts[RING_SHED], m->gone_rows);
    tell(r, 0, text);
    unlink(m->path);
    ring_map_close(m);
    r->maps--;
    r->map[i] = r->map[r->maps];
    r->epoch[i] = r->epoch[r->maps];
}

/* After a look that found no row in it. */
static int is_done(struct ring_map *m)
{
    return ring_map_is_over(m) && !ring_map_pass_over(m);
}

static int scan(struct ring *r)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    if (r->scanned_ns && now < r->scanned_ns + scan_ns) return ERR_OK;
    r->scanned_ns = now;
    int result = ring_folder_each(&r->folder, found, r);
    for (uint32_t i = r->maps; i-- > 0;) {
        ring_map_seen(&r->map[i], clock_ns(CLOCK_REALTIME));
        if (r->map[i].is_refused) ring_map_wipe(&r->map[i]); /* nobody is to have them */
        int done = is_done(&r->map[i]);
        tell_shed(r, i);
        if (done && is_counted(&r->map[i])) drop_ring(r, i);
    }
    return result;
}

/* ---- opening ---- */

static struct engine_lack lacks(const struct engine_options *options)
{
    if (!options->hooks_count)
        return (struct engine_lack){"stream.hooks",
                                    "is required by the ring engine: which points of the "
                                    "model programs hand over, such as [resid_post.15]"};
    return (struct engine_lack){0};
}

/* Rows have a width once a program has opened its ring. */
static int await_first(struct ring *r)
{
    const struct engine_watch *w = &r->options.watch;
    char text[1200];
    snprintf(
        text, sizeof text,
        "no program writes to stream %s yet; HINT: start one with `sluice tap FILE -- PROGRAM`, or "
        "one that is linked to libsluice (its rings lie in %s)",
        r->options.stream, r->folder.path);
    for (;;) {
        r->scanned_ns = 0;
        int result = scan(r);
        if (result != ERR_OK || r->judge.is_described) return result;
        if (r->options.forecast || (w->is_over && w->is_over(w->arg)))
            return err_set(ERR_AGAIN, "%s", text);
        if (!r->has_told_waiting) tell(r, 0, text);
        r->has_told_waiting = 1;
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    }
}

static int allocate(struct ring *r)
{
    uint32_t width = 0;
    for (uint32_t h = 0; h < r->info->hooks; h++) width += r->info->hook[h].width;
    size_t n = r->batch_rows = span_batch_rows(width);
    r->ids = calloc(n, sizeof *r->ids);
    r->flags = calloc(n, 1);
    r->cursors = calloc(n + 1, sizeof *r->cursors);
    r->values = malloc(n * width * sizeof *r->values);
    r->captured_ns = calloc(n, sizeof *r->captured_ns);
    if (r->ids && r->flags && r->cursors && r->values && r->captured_ns) return ERR_OK;
    return err_set(ERR_NOMEM, "no memory for rows of %u values", width);
}

static void close_ring(void *state)
{
    struct ring *r = state;
    for (uint32_t i = 0; i < r->maps; i++) ring_map_close(&r->map[i]);
    ring_folder_close(&r->folder);
    free(r->ids);
    free(r->flags);
    free(r->cursors);
    free(r->values);
    free(r->captured_ns);
    free(r);
}

static int open_ring(const struct engine_options *options, struct engine_info *info, void **state)
{
    struct ring *r = calloc(1, sizeof *r);
    if (!r) return err_set(ERR_NOMEM, "no memory for an engine");
    r->options = *options;
    r->info = info;
    r->judge = (struct ring_judge){.options = &r->options, .info = info};
    int result =
        ring_folder_open(options->rings ? options->rings : "", options->stream, &r->folder);
    if (result == ERR_OK) result = await_first(r);
    if (result == ERR_OK) result = allocate(r);
    if (result != ERR_OK) {
        close_ring(r);
        return result;
    }
    *state = r;
    return ERR_OK;
}

/* ---- rows ---- */

static int give_epoch(struct ring *r, uint32_t i)
{
    uint64_t epoch = r->next_epoch * r->options.share_count + r->options.share_index + 1;
    if (epoch >> EPOCH_BITS)
        return err_set(ERR_LIMIT,
                       "a stream has %d programs at most, one after another; HINT: begin a "
                       "new one",
                       1 << EPOCH_BITS);
    r->next_epoch++;
    r->epoch[i] = (uint32_t)epoch;
    ring_map_take(&r->map[i], r->epoch[i]);
    return ERR_OK;
}

/* What a host says of a row, as an engine says it. */
static void name_rows(struct ring *r, uint32_t from, uint32_t to, uint32_t epoch)
{
    for (uint32_t i = from; i < to; i++) {
        struct row_id *id = &r->ids[i];
        int is_first = r->flags[i] & RING_ROW_FIRST || id->position == 0;
        r->flags[i] = (uint8_t)((r->flags[i] & RING_ROW_SPECIAL ? ENGINE_ROW_SPECIAL : 0) |
                                (is_first ? ENGINE_ROW_FIRST : 0));
        id->sequence = (uint64_t)epoch << RING_NUMBER_BITS |
                       (id->sequence & ((UINT64_C(1) << RING_NUMBER_BITS) - 1));
        r->cursors[i] = (struct cursor){r->next_epoch, r->made + i, id->sequence, id->position, 0};
    }
}

/* A slab's age goes by these: what a program says of the future would keep it for so long. */
static void bound_times(struct ring *r, uint32_t from, uint32_t to)
{
    uint64_t now = clock_ns(CLOCK_REALTIME);
    for (uint32_t i = from; i < to; i++)
        if (r->captured_ns[i] > now) r->captured_ns[i] = now;
}

static int gather(struct ring *r, uint32_t *rows)
{
    *rows = 0;
    for (uint32_t n = 0; n < r->maps && *rows < r->batch_rows; n++) {
        uint32_t i = (r->turn + n) % r->maps, from = *rows, width = r->map[i].facts.width;
        if (r->map[i].is_refused) continue;
        *rows += ring_map_rows(&r->map[i], r->batch_rows - from, r->ids + from, r->flags + from,
                               r->captured_ns + from, r->values + (size_t)from * width);
        int result = *rows > from && !r->epoch[i] ? give_epoch(r, i) : ERR_OK;
        if (result != ERR_OK) return result;
        name_rows(r, from, *rows, r->epoch[i]);
        bound_times(r, from, *rows);
    }
    r->turn++;
    return ERR_OK;
}

static int next(void *state, struct engine_batch *batch)
{
    struct ring *r = state;
    uint32_t rows = 0;
    long nap_ns = 2000000;
    uint64_t until = clock_ns(CLOCK_MONOTONIC) + patience_ns;
    *batch = (struct engine_batch){0};
    for (;;) {
        int result = scan(r);
        if (result == ERR_OK) result = gather(r, &rows);
        if (result != ERR_OK) return result;
        for (uint32_t i = 0; i < r->maps; i++) tell_shed(r, i);
        if (rows) break;
        if (clock_ns(CLOCK_MONOTONIC) > until) return err_set(ERR_AGAIN, "no row for now");
        nanosleep(&(struct timespec){.tv_nsec = nap_ns}, NULL);
        if (nap_ns < 10000000) nap_ns += 1000000; /* nobody writes much */
    }
    r->made += rows;
    r->cursors[rows] = (struct cursor){.document = r->next_epoch, .offset = r->made};
    *batch = (struct engine_batch){rows, r->ids, r->flags, r->cursors, r->values, r->captured_ns};
    return ERR_OK;
}

/* Nothing is made again; what counts is that no epoch is given twice. */
static int seek(void *state, const struct cursor *cursor)
{
    struct ring *r = state;
    if (r->next_epoch < cursor->document) r->next_epoch = cursor->document;
    return ERR_OK;
}

/* The next reader of the stream, of another run, takes them again. */
static void finish(void *state)
{
    struct ring *r = state;
    char text[200];
    uint64_t unread = 0;
    for (uint32_t i = 0; i < r->maps; i++) {
        if (!r->map[i].is_refused) unread += ring_map_waiting(&r->map[i]);
        ring_map_refuse(&r->map[i], "the stream has ended");
        ring_map_wipe(&r->map[i]);
        atomic_store(&r->map[i].ring->reader.epoch, 0);
    }
    if (!unread) return;
    snprintf(text, sizeof text,
             "the stream has ended: %" PRIu64 " rows that lay in programs' rings were wiped unread",
             unread);
    tell(r, 0, text);
}

/* ---- counts ---- */

static struct engine_counters counters(const void *state)
{
    const struct ring *r = state;
    return (struct engine_counters){.tokens = r->made};
}

_Static_assert((int)ENGINE_RING_COUNTS == (int)RING_COUNTS, "engine.h shows what rings count");

static void rings(const void *state, struct engine_rings *out)
{
    const struct ring *r = state;
    *out = (struct engine_rings){.rings = r->maps};
    memcpy(out->count, r->gone, sizeof out->count);
    for (uint32_t i = 0; i < r->maps; i++) {
        add_counts(&r->map[i], out->count);
        out->refused += (uint32_t)r->map[i].is_refused;
        out->waiting_rows += ring_map_waiting(&r->map[i]);
    }
    out->lost_rows = r->lost_rows;
}

static int count_rows(void *state, uint64_t *rows, void (*progress)(void *arg, uint64_t tokens),
                      void *arg)
{
    (void)state;
    (void)progress;
    (void)arg;
    *rows = 0;
    return ERR_OK;
}

const struct backend backend_ring = {
    .lacks = lacks,
    .open = open_ring,
    .counters = counters,
    .rings = rings,
    .rings_counted = rings_counted,
    .count_rows = count_rows,
    .finish = finish,
    .seek = seek,
    .next = next,
    .close = close_ring,
};
