#include "sink/retention.h"

#include "base/err.h"
#include "config/made.h"
#include "runtime/process.h"
#include "sink/held_out.h"
#include "sink/indexes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { NAP_MS = 20 };
static const uint64_t clear_ns = UINT64_C(8000000000); /* a drain may take ten seconds */
#define FILES_EACH UINT64_C(5000000000)
/* Trainers see to their own held-out rows each 15 seconds. */
#define GRACE      UINT64_C(25000000000)

static int is_on(const struct retention *r)
{
    return r->keeper->options.ledger->config->sink.retention_seconds > 0;
}

/* ---- freed pages ---- */

static void take_counts(struct retention *r, const struct store_scrub *scrub)
{
    if (scrub->scrubbed_pages < r->buffer_pages) /* of another buffer */
        r->earlier_pages += r->buffer_pages;
    r->buffer_pages = scrub->scrubbed_pages;
    r->counters.scrubbed_pages = r->earlier_pages + r->buffer_pages;
    r->counters.oldest_seconds = (double)scrub->oldest_ns / 1e9;
}

/* 1: something is left to be overwritten. */
static int scrub(struct retention *r, uint64_t now_ns)
{
    struct ledger *l = r->keeper->options.ledger;
    struct store_scrub scrub;
    if (!ledger_is_open(l)) return 0;
    if (now_ns < l->retry_ns) return 1;
    int result = store_scrub(l->stock.store, now_ns, &scrub);
    take_counts(r, &scrub);
    if (result == ERR_OK && scrub.wants_commit) result = ledger_put(l, now_ns, NULL, NULL);
    if (result != ERR_OK) ledger_note_trouble(l, result, now_ns);
    return result != ERR_OK || scrub.oldest_ns > 0 || scrub.wants_commit;
}

/* ---- beside the buffer ---- */

/* A buffer that was set aside is of rows whose ages nobody looks at any more. */
static int remove_set_aside(void *arg, const struct made_entry *entry)
{
    struct retention *r = arg;
    if (entry->kind == MADE_FOREIGN || strncmp(entry->path, "buffer.damaged-", 15) != 0)
        return ERR_OK;
    int is_folder = entry->kind == MADE_FOLDER;
    if (unlinkat(entry->folder, entry->name, is_folder ? AT_REMOVEDIR : 0) == 0)
        r->counters.removed_buffers += (uint64_t)is_folder;
    else if (errno != ENOENT)
        return err_set(ERR_IO, "cannot remove %s: %s", entry->path, strerror(errno));
    return ERR_OK;
}

/* Whole seconds: one that is too old by part of one goes a second later. */
static int remove_indexes(struct retention *r, uint64_t wall_ns)
{
    const struct config *config = r->keeper->options.ledger->config;
    uint64_t before = r->counters.removed_indexes, now = wall_ns / 1000000000;
    uint64_t age = config->sink.retention_seconds;
    int result =
        indexes_expire(config->run_dir, now > age ? now - age : 0, &r->counters.removed_indexes);
    if (r->counters.removed_indexes > before)
        log_event(LOG_INFO, "feature indexes were removed for the age of their rows",
                  LOG_U("removed", r->counters.removed_indexes - before));
    return result;
}

/* wall_ns UINT64_MAX: the end. */
static int wipe_held_out(struct retention *r, uint64_t wall_ns)
{
    const struct ledger *l = r->keeper->options.ledger;
    uint64_t age_ns = l->config->sink.retention_seconds * UINT64_C(1000000000) + GRACE;
    uint64_t now_ns = wall_ns == UINT64_MAX ? process_wall_ns() : wall_ns;
    struct held_out_sweep sweep = {.config = l->config,
                                   .width = l->stock.descriptor.width,
                                   .oldest_ns = now_ns > age_ns ? now_ns - age_ns : 0,
                                   .is_end = wall_ns == UINT64_MAX};
    int result = sweep.width ? held_out_sweep(&sweep) : ERR_OK;
    if (sweep.rows + sweep.files > 0)
        log_event(LOG_INFO, "held-out rows were taken out for their age, of trainers that are away",
                  LOG_U("rows", sweep.rows), LOG_U("files", sweep.files));
    return result;
}

static void look_through_files(struct retention *r, uint64_t now_ns, uint64_t wall_ns)
{
    struct ledger *l = r->keeper->options.ledger;
    uint64_t before = r->counters.removed_buffers;
    if (now_ns < r->files_ns) return;
    r->files_ns = now_ns + FILES_EACH;
    struct err_first failed = {0};
    err_first_take(&failed, made_walk(l->config, NULL, remove_set_aside, r));
    err_first_take(&failed, remove_indexes(r, wall_ns));
    err_first_take(&failed, wipe_held_out(r, wall_ns));
    if (r->counters.removed_buffers > before)
        log_event(LOG_WARN, "damaged buffers are not kept beside a stream with a retention",
                  LOG_U("removed", r->counters.removed_buffers - before));
    if (err_first_of(&failed) != ERR_OK && log_allowed(&l->failed))
        log_error("rows that are too old are still there: %s", err_text());
}

/* ---- the whole ---- */

void retention_poll(struct retention *r, uint64_t now_ns, uint64_t wall_ns)
{
    if (!is_on(r)) return;
    keeper_expire(r->keeper, now_ns, wall_ns);
    scrub(r, now_ns);
    look_through_files(r, now_ns, wall_ns);
}

/* 1: rows are there still, or readers that may be at them. */
static int clear_once(struct retention *r, uint64_t now_ns)
{
    struct ledger *l = r->keeper->options.ledger;
    uint64_t before = r->keeper->counters.expired_slabs, pages = r->counters.scrubbed_pages;
    if (!ledger_is_open(l)) return 0;
    keeper_expire(r->keeper, now_ns, UINT64_MAX);
    int is_left = scrub(r, now_ns) || store_count(l->stock.store) > 0;
    int went_on = r->keeper->counters.expired_slabs > before || r->counters.scrubbed_pages > pages;
    if (is_left && !went_on) {
        poll(NULL, 0, NAP_MS);
        store_tick(l->stock.store); /* of readers that died just now */
    }
    return is_left;
}

void retention_clear(struct retention *r, uint64_t now_ns)
{
    struct ledger *l = r->keeper->options.ledger;
    uint64_t begin_ns = process_now_ns(), took_ns = 0;
    int is_left = 1;
    if (!is_on(r)) return;
    r->files_ns = 0;
    look_through_files(r, now_ns, UINT64_MAX);
    if (ledger_is_open(l)) store_scrub_at_end(l->stock.store);
    while (is_left && took_ns < clear_ns) {
        is_left = clear_once(r, now_ns + took_ns);
        took_ns = process_now_ns() - begin_ns;
    }
    r->files_ns = 0;
    look_through_files(r, now_ns, UINT64_MAX); /* what was begun meanwhile */
    if (is_left)
        log_warn(
            "rows of the stream that has ended are in %s/buffer still; HINT: remove that folder",
            l->config->run_dir);
}
