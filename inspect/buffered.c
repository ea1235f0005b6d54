#include "inspect/buffered.h"

#include "base/err.h"
#include "buffer/scan.h"
#include "inspect/block.h"
#include "proto/rows.h"
#include "wiring/view.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double nap_seconds = 0.05;

struct buffered {
    struct subject *subject;
    struct scan *scan;
    struct descriptor stream;
    struct view view;
    float *row, *seen; /* (the stream's width), (the view's) */
    struct block block;
};

/* ---- opening ---- */

static int find_view(struct buffered *b)
{
    const struct subject *s = b->subject;
    json_t *names = json_array();
    for (uint32_t h = 0; h < s->hooks; h++) json_array_append_new(names, json_string(s->hook[h]));
    int result = view_of_names(names, &b->stream, &b->view);
    json_decref(names);
    if (result != ERR_OK)
        return err_set(ERR_USAGE,
                       "%s: the stream '%s' has not the hooks that it sees: %s; HINT: "
                       "the buffer of the run that trained it",
                       s->name, b->stream.stream, err_text());
    for (uint32_t h = 0; h < s->hooks; h++)
        if (b->view.values[h] != s->hook_width[h])
            return err_set(ERR_USAGE,
                           "%s has rows of %u values at %s, and the stream '%s' has %u; HINT: the "
                           "buffer of the run that trained it",
                           s->name, s->hook_width[h], s->hook[h], b->stream.stream,
                           b->view.values[h]);
    if (s->model_hash && s->model_hash != b->stream.model_hash)
        return err_set(ERR_MISMATCH,
                       "%s was trained on rows of another model than those of the stream '%s'; "
                       "HINT: the buffer of the run that trained it",
                       s->name, b->stream.stream);
    return ERR_OK;
}

static int take_stream(struct buffered *b)
{
    const char *text = scan_descriptor(b->scan);
    int result = descriptor_decode(text, strlen(text), &b->stream);
    if (result == ERR_OK && b->stream.width != scan_width(b->scan))
        result = err_set(ERR_CORRUPT, "the buffer's rows are not as wide as its descriptor tells");
    if (result == ERR_OK && b->stream.drops_tokens)
        result = err_set(ERR_USAGE,
                         "the rows of the stream '%s' have no token ids (stream.keep_tokens: "
                         "false), so no context can be shown; HINT: inspect it over a corpus",
                         b->stream.stream);
    if (result == ERR_OK) result = find_view(b);
    if (result != ERR_OK) return result;
    b->row = malloc(b->stream.width * sizeof *b->row);
    b->seen = malloc(b->view.width * sizeof *b->seen);
    return b->row && b->seen ? ERR_OK : err_set(ERR_NOMEM, "no memory to read rows");
}

int buffered_open(const char *dir, struct subject *subject, struct buffered **buffered)
{
    struct buffered *b = calloc(1, sizeof *b);
    if (!b) return err_set(ERR_NOMEM, "no memory to read rows");
    b->subject = subject;
    int result = scan_open(dir, &b->scan);
    if (result == ERR_OK) result = take_stream(b);
    if (result != ERR_OK)
        buffered_close(b);
    else
        *buffered = b;
    return result;
}

void buffered_close(struct buffered *b)
{
    if (!b) return;
    scan_close(b->scan);
    descriptor_free(&b->stream);
    free(b->row);
    free(b->seen);
    free(b);
}

const struct descriptor *buffered_stream(const struct buffered *b)
{
    return &b->stream;
}

uint64_t buffered_retention_seconds(const struct buffered *b)
{
    return scan_retention_seconds(b->scan);
}

/* ---- reading ---- */

static int take_slab(struct buffered *b, const struct scan_slab *slab, uint64_t most,
                     uint64_t *rows)
{
    int result = ERR_OK;
    for (uint32_t i = 0; i < slab->rows && result == ERR_OK && *rows < most; i++, ++*rows) {
        struct row_id id = rows_id(slab->raw, i);
        scan_values(b->scan, slab, i, b->row);
        view_gather(&b->view, b->row, b->stream.width, 1, b->seen);
        block_add(&b->block, &id, 0, b->seen); /* the stream's filters have been */
        if (b->block.rows == GATHER_ROWS) result = block_write(&b->block);
    }
    return result;
}

/* Nothing is there now. *ends: nor will be, or it takes too long. */
static void wait_for_more(const struct buffered *b, const struct buffered_options *o,
                          double *waited, struct buffered_counts *counts, int *ends)
{
    *ends = o->most_rows == 0 || scan_ended(b->scan);
    if (!*ends && *waited >= o->wait_seconds) *ends = counts->waited_in_vain = 1;
    if (*ends) return;
    nanosleep(&(struct timespec){0, (long)(nap_seconds * 1e9)}, NULL);
    *waited += nap_seconds;
}

static int read_slabs(struct buffered *b, const struct buffered_options *o,
                      struct buffered_counts *counts)
{
    struct scan_slab slab;
    uint64_t most = o->most_rows ? o->most_rows : UINT64_MAX;
    double waited = 0;
    int ends = 0, result = ERR_OK;
    while (result == ERR_OK && !ends && counts->rows < most) {
        result = scan_next(b->scan, &slab);
        if (result == ERR_OK && slab.captured_ns < o->captured_from_ns) {
            counts->old_slabs++;
        } else if (result == ERR_OK) {
            result = take_slab(b, &slab, most, &counts->rows);
            waited = 0;
        } else if (result == ERR_NOTFOUND) {
            result = ERR_OK;
            wait_for_more(b, o, &waited, counts, &ends);
        }
        if (result == ERR_OK && o->after) result = o->after(o->arg, counts->rows);
    }
    return result;
}

int buffered_gather(struct buffered *b, const struct buffered_options *options,
                    struct records *records, struct buffered_counts *counts)
{
    *counts = (struct buffered_counts){0};
    int result = block_init(&b->block, b->subject, records);
    if (result == ERR_OK) result = read_slabs(b, options, counts);
    if (result == ERR_OK && b->block.rows) result = block_write(&b->block);
    block_fini(&b->block);
    struct scan_counts scanned = scan_counts(b->scan);
    counts->slabs = scanned.slabs;
    counts->missed_slabs = scanned.missed_slabs;
    return result;
}
