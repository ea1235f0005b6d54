#include "broker/history.h"

#include "base/err.h"
#include "broker/history_file.h"
#include "proto/message.h"
#include "runtime/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BRIDGED_SECONDS = 2, /* a second that the clock went over, as timers are late */
    LEFT_OUT_KEPT = 256,
    SCAN_SECONDS = 3600, /* between two looks for series that are over */
    AGAIN_SECONDS = 60,  /* between two tries to write all of it: that is 32 MiB */
};

struct history {
    char *path; /* NULL: there is to be no file */
    char stream[MESSAGE_NAME_BYTES];
    struct history_table table;
    uint64_t key[HISTORY_FILE_SERIES]; /* of the names */
    float value[HISTORY_FILE_SERIES];
    uint64_t set_ns[HISTORY_FILE_SERIES]; /* 0: never in this life */
    struct grid *grid[HISTORY_FILE_GRIDS];
    int fd;            /* -1: no file */
    int is_behind;     /* the file lacks what could not be written */
    uint64_t again_ns; /* not before is that tried again */
    uint64_t last_seconds, scanned_seconds;
    uint64_t left_out[LEFT_OUT_KEPT]; /* keys of names */
    uint32_t left_out_count;
};

/* ---- the file ---- */

/* Told once, until it works again. */
static void note(struct history *h, int result)
{
    if (result == ERR_OK || h->is_behind) return;
    log_event(LOG_WARN,
              "the history of this run cannot be written and goes on in memory: what the live page "
              "shows of the past ends with this broker",
              LOG_S("why", err_text()));
    h->is_behind = 1;
}

static int write_all(struct history *h)
{
    int result = history_file_put_lives(h->fd, &h->table.lives);
    for (uint32_t i = 0; i < h->table.count && result == ERR_OK; i++)
        result = history_file_put_name(h->fd, i, h->table.name[i]);
    for (uint32_t g = 0; g < HISTORY_FILE_GRIDS && h->grid[g] && result == ERR_OK; g++)
        result = history_file_put_grid(h->fd, g, h->grid[g]);
    return result;
}

static void open_file(struct history *h)
{
    int result = history_file_open(h->path, h->stream, &h->table, &h->fd);
    if (result == ERR_CORRUPT || result == ERR_VERSION) {
        log_event(LOG_WARN,
                  "the history of earlier lives is of no use: it is set aside as history.damaged",
                  LOG_S("why", err_text()));
        result = history_file_set_aside(h->path);
        if (result == ERR_OK) result = history_file_open(h->path, h->stream, &h->table, &h->fd);
    }
    if (result != ERR_OK) h->fd = -1;
    note(h, result);
}

/* ---- series ---- */

static int add_grid(struct history *h, uint32_t index)
{
    if (h->grid[index]) return ERR_OK;
    h->grid[index] = calloc(1, sizeof *h->grid[index]);
    return h->grid[index] ? ERR_OK : err_set(ERR_NOMEM, "no memory for the history");
}

static int read_grids(struct history *h)
{
    int result = ERR_OK;
    for (uint32_t i = 0; i < h->table.count && result == ERR_OK; i += GRID_SERIES) {
        result = add_grid(h, i / GRID_SERIES);
        if (result == ERR_OK && h->fd >= 0)
            note(h, history_file_read_grid(h->fd, i / GRID_SERIES, h->grid[i / GRID_SERIES]));
    }
    for (uint32_t i = 0; i < h->table.count; i++) h->key[i] = stream_key(h->table.name[i]);
    return result;
}

/* `is_behind`: that the file is of no use was told. */
static int begin(const char *path, const char *stream, int is_behind, struct history **history)
{
    struct history *h = calloc(1, sizeof *h);
    if (!h) return err_set(ERR_NOMEM, "no memory for the history");
    h->fd = -1;
    h->is_behind = is_behind;
    strncpy(h->stream, stream, sizeof h->stream - 1);
    h->path = path ? strdup(path) : NULL;
    int result = path && !h->path ? err_set(ERR_NOMEM, "no memory for the history") : ERR_OK;
    if (h->path) open_file(h);
    if (result == ERR_OK) result = read_grids(h);
    if (result != ERR_OK) {
        history_close(h);
        return result;
    }
    *history = h;
    return ERR_OK;
}

int history_open(const char *path, const char *stream, struct history **history)
{
    return begin(path, stream, 0, history);
}

void history_close(struct history *h)
{
    if (!h) return;
    if (h->fd >= 0) close(h->fd);
    for (int i = 0; i < HISTORY_FILE_GRIDS; i++) free(h->grid[i]);
    free(h->path);
    free(h);
}

uint32_t history_count(const struct history *h)
{
    return h->table.count;
}

const char *history_name(const struct history *h, uint32_t index)
{
    return h->table.name[index];
}

static int find(const struct history *h, uint64_t key)
{
    for (uint32_t i = 0; i < h->table.count; i++)
        if (h->key[i] == key) return (int)i;
    return -1;
}

int history_find(const struct history *h, const char *name)
{
    return find(h, stream_key(name));
}

uint32_t history_left_out(const struct history *h)
{
    return h->left_out_count;
}

static void leave_out(struct history *h, const char *name, uint64_t key)
{
    for (uint32_t i = 0; i < h->left_out_count; i++)
        if (h->left_out[i] == key) return;
    if (h->left_out_count == LEFT_OUT_KEPT) return;
    if (h->left_out_count == 0)
        log_event(LOG_WARN, "the history has no room for all series: some are left out",
                  LOG_S("first", name), LOG_U("kept", h->table.count));
    h->left_out[h->left_out_count++] = key;
}

/* One that had no value for a month; -1: there is none. The look takes some milliseconds. */
static int find_old(struct history *h)
{
    uint64_t now = h->last_seconds, span = grid_span_seconds(GRID_RESOLUTIONS - 1);
    if (!now || now < h->scanned_seconds + SCAN_SECONDS) return -1;
    h->scanned_seconds = now;
    for (uint32_t i = 0; i < h->table.count; i++)
        if (!h->set_ns[i] &&
            isnan(history_mean(h, i, GRID_RESOLUTIONS - 1, now > span ? now - span : 0, now + 1)))
            return (int)i;
    return -1;
}

static int add(struct history *h, const char *name, uint64_t key)
{
    int index = (int)h->table.count;
    if (index == HISTORY_FILE_SERIES) index = find_old(h);
    if (index < 0 || add_grid(h, (uint32_t)index / GRID_SERIES) != ERR_OK) {
        leave_out(h, name, key);
        return -1;
    }
    memset(h->table.name[index], 0, sizeof h->table.name[index]);
    strncpy(h->table.name[index], name, sizeof h->table.name[index] - 1);
    h->key[index] = key;
    if (index == (int)h->table.count) h->table.count++;
    if (h->fd >= 0) note(h, history_file_put_name(h->fd, (uint32_t)index, name));
    return index;
}

void history_set(struct history *h, const char *name, double value, uint64_t now_ns)
{
    uint64_t key = stream_key(name);
    int index = find(h, key);
    if (index < 0 && !isfinite(value)) return;
    if (index < 0 && history_file_name_ok(name)) index = add(h, name, key);
    if (index < 0) return;
    h->value[index] = (float)value;
    h->set_ns[index] = now_ns;
}

void history_hold(struct history *h, const char *name, uint64_t now_ns)
{
    int index = find(h, stream_key(name));
    if (index >= 0 && h->set_ns[index]) h->set_ns[index] = now_ns;
}

/* ---- time ---- */

static void put(struct history *h, uint32_t g, uint64_t seconds, const float *value)
{
    grid_put(h->grid[g], seconds, value);
    for (int r = 0; r < GRID_RESOLUTIONS && h->fd >= 0 && !h->is_behind; r++) {
        uint32_t place = grid_place(r, seconds);
        note(h, history_file_put_record(h->fd, g, place, &h->grid[g]->record[place]));
    }
}

static void values_of(const struct history *h, uint32_t g, uint64_t now_ns, float *value)
{
    const uint64_t holds_ns = HISTORY_HOLDS_SECONDS * UINT64_C(1000000000);
    for (uint32_t i = 0; i < GRID_SERIES; i++) {
        uint32_t index = g * GRID_SERIES + i;
        int holds =
            index < h->table.count && h->set_ns[index] && now_ns <= h->set_ns[index] + holds_ns;
        value[i] = holds ? h->value[index] : NAN;
    }
}

/* ---- a file that could not be written, or opened, and can be again ---- */

/* The values of one series over those of another one's that have no value at that time. */
static void merge_series(struct history *h, uint32_t index, const struct history *from, uint32_t i)
{
    struct grid *to = h->grid[index / GRID_SERIES];
    for (uint32_t p = 0; p < GRID_RECORDS; p++) {
        const struct grid_record *new = &from->grid[i / GRID_SERIES]->record[p];
        struct grid_record *r = &to->record[p];
        if (isnan(new->value[i % GRID_SERIES]) || new->tick < r->tick) continue;
        for (int k = 0; new->tick != r->tick &&k < GRID_SERIES; k++) r->value[k] = NAN;
        r->tick = new->tick;
        r->value[index % GRID_SERIES] = new->value[i % GRID_SERIES];
    }
}

/* Into what the file holds goes what was kept in memory without it. */
static void merge(struct history *h, const struct history *from)
{
    h->last_seconds = from->last_seconds;
    for (uint32_t i = 0; i < from->table.count; i++) {
        int index = find(h, from->key[i]);
        if (index < 0) index = add(h, from->table.name[i], from->key[i]);
        if (index < 0) continue;
        h->value[index] = from->value[i];
        h->set_ns[index] = from->set_ns[i];
        merge_series(h, (uint32_t)index, from, i);
    }
    lives_merge(&h->table.lives, &from->table.lives);
}

/* *h is what the file held and what was in memory, or what it was. */
static int open_again(struct history *h)
{
    struct history *whole;
    int result = begin(h->path, h->stream, 1, &whole);
    if (result != ERR_OK) return result;
    if (whole->fd < 0) {
        history_close(whole);
        return ERR_IO;
    }
    merge(whole, h);
    whole->again_ns = h->again_ns;
    for (int i = 0; i < HISTORY_FILE_GRIDS; i++) free(h->grid[i]);
    free(h->path);
    *h = *whole;
    free(whole);
    return ERR_OK;
}

/* Not often: it is much that is written before it fails, by the loop that forwards frames. */
static void catch_up(struct history *h, uint64_t now_ns)
{
    if (!h->path || !h->is_behind || now_ns < h->again_ns) return;
    h->again_ns = now_ns + AGAIN_SECONDS * UINT64_C(1000000000);
    if (h->fd < 0 && open_again(h) != ERR_OK) return;
    if (write_all(h) != ERR_OK) return;
    h->is_behind = 0;
    log_info("the history is written again");
}

void history_tick(struct history *h, uint64_t seconds, uint64_t now_ns)
{
    uint64_t first = seconds, last = h->last_seconds;
    catch_up(h, now_ns);
    if (last && seconds > last && seconds <= last + BRIDGED_SECONDS) first = last + 1;
    for (uint32_t g = 0; g < HISTORY_FILE_GRIDS && h->grid[g]; g++) {
        float value[GRID_SERIES];
        values_of(h, g, now_ns, value);
        for (uint64_t t = first; t <= seconds; t++) put(h, g, t, value);
    }
    h->last_seconds = seconds;
}

double history_mean(const struct history *h, uint32_t index, int resolution, uint64_t from,
                    uint64_t to)
{
    return grid_mean(h->grid[index / GRID_SERIES], index % GRID_SERIES, resolution, from, to);
}

struct lives *history_lives(struct history *h)
{
    return &h->table.lives;
}

void history_keep_lives(struct history *h)
{
    if (h->fd >= 0) note(h, history_file_put_lives(h->fd, &h->table.lives));
}
