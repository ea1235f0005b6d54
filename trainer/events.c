#include "trainer/events.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "trainer/event.pb-c.h"
#include "trainer/grown.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <isa-l/crc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Readers take files in the order of their names. */
#define NAME_FORMAT "events.out.tfevents.%010" PRIu64 ".sluice"
enum { NAME_BYTES = 64, RECORD_LIMIT_BYTES = 1 << 20, VALUES = EVENTS_SCALARS + EVENTS_HISTOGRAMS };

struct head { /* of a record, as it lies in a file: little endian */
    uint64_t length;
    uint32_t check; /* of length */
} __attribute__((packed));
enum { HEAD_BYTES = sizeof(struct head), TAIL_BYTES = sizeof(uint32_t) };

struct events {
    char folder[CONFIG_PATH_BYTES + 96];
    uint64_t covered_steps; /* of the checkpoint, later of the last point */
    int is_taken_up;
    int is_named;    /* this life has its file */
    int is_begun;    /* and has told START there */
    uint64_t newest; /* the number in the newest file's name; 0: there is none */
    uint32_t files;
    struct grown file; /* the newest */
    uint8_t *buffer;   /* (room): what is to be written */
    size_t used, room;
};

int events_new(const char *folder, uint64_t steps, struct events **events)
{
    struct events *e = calloc(1, sizeof *e);
    if (!e) return err_set(ERR_NOMEM, "no memory for %s", folder);
    e->covered_steps = steps;
    int result = ERR_OK;
    if (snprintf(e->folder, sizeof e->folder, "%s", folder) >= (int)sizeof e->folder)
        result = err_set(ERR_LIMIT, "the path %.80s... is too long", folder);
    if (result != ERR_OK) {
        events_free(e);
        return result;
    }
    *events = e;
    return ERR_OK;
}

void events_free(struct events *e)
{
    if (!e) return;
    free(e->buffer);
    free(e);
}

/* ---- the files that are there ---- */

static int is_ours(const char *name, uint64_t *number)
{
    char again[NAME_BYTES];
    if (sscanf(name, "events.out.tfevents.%" SCNu64, number) != 1) return 0;
    snprintf(again, sizeof again, NAME_FORMAT, *number);
    return strcmp(name, again) == 0;
}

static void name_file(struct events *e, uint64_t number)
{
    e->newest = number;
    snprintf(e->file.path, sizeof e->file.path, "%s/" NAME_FORMAT, e->folder, number);
    e->file.bytes = 0;
}

/* Sets files and newest; of a run that begins anew all are removed. */
static int look(struct events *e)
{
    uint64_t number, newest = 0;
    struct dirent *entry;
    e->files = 0;
    e->newest = 0;
    int result = own_folder(e->folder, 0);
    if (result != ERR_OK) return result;
    DIR *dir = opendir(e->folder);
    if (!dir) return file_error("cannot read", e->folder);
    while (result == ERR_OK && (entry = readdir(dir))) {
        if (!is_ours(entry->d_name, &number)) continue;
        if (e->covered_steps == 0 && unlinkat(dirfd(dir), entry->d_name, 0) != 0)
            result = file_error("cannot remove a file in", e->folder);
        e->files += e->covered_steps > 0;
        if (e->covered_steps > 0 && number > newest) newest = number;
    }
    closedir(dir);
    if (newest) name_file(e, newest);
    return result;
}

/* ---- records ---- */

static uint32_t masked(const void *data, size_t bytes)
{
    uint32_t crc = ~crc32_iscsi((unsigned char *)(uintptr_t)data, (int)bytes, ~0u);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

/* Bytes of the next record, if it is whole and sound; else 0. `room` takes the largest. */
static size_t record_of(FILE *in, uint8_t *room)
{
    struct head head;
    uint32_t check;
    if (fread(&head, HEAD_BYTES, 1, in) != 1) return 0;
    uint64_t length = le64toh(head.length);
    if (le32toh(head.check) != masked(&head.length, sizeof head.length)) return 0;
    if (length > RECORD_LIMIT_BYTES || fread(room, 1, length, in) != length) return 0;
    if (fread(&check, TAIL_BYTES, 1, in) != 1 || le32toh(check) != masked(room, length)) return 0;
    return HEAD_BYTES + length + TAIL_BYTES;
}

static int mend(struct events *e, uint64_t *cut)
{
    FILE *in;
    uint8_t *room = malloc(RECORD_LIMIT_BYTES);
    int result = room ? own_stream(e->file.path, &in)
                      : err_set(ERR_NOMEM, "no memory to read %s", e->file.path);
    if (result == ERR_OK) {
        size_t bytes;
        while ((bytes = record_of(in, room)) > 0) e->file.bytes += bytes;
        fclose(in);
        result = grown_cut(&e->file, cut);
    }
    free(room);
    return result;
}

int events_take_up(struct events *e, uint64_t *cut)
{
    *cut = 0;
    if (e->is_taken_up) return ERR_OK;
    int result = look(e);
    if (result == ERR_OK && e->newest) result = mend(e, cut);
    if (result == ERR_NOTFOUND) result = ERR_OK; /* no folder yet */
    e->is_taken_up = result == ERR_OK;
    return result;
}

/* Append a message to what is to be written. */
static int put(struct events *e, const Event__Record *record)
{
    size_t length = event__record__get_packed_size(record);
    size_t bytes = HEAD_BYTES + length + TAIL_BYTES;
    if (e->used + bytes > e->room) {
        uint8_t *more = realloc(e->buffer, e->used + 2 * bytes);
        if (!more) return err_set(ERR_NOMEM, "no memory for a point of %s", e->folder);
        e->buffer = more;
        e->room = e->used + 2 * bytes;
    }
    uint8_t *at = e->buffer + e->used;
    struct head head = {.length = htole64(length)};
    head.check = htole32(masked(&head.length, sizeof head.length));
    event__record__pack(record, at + HEAD_BYTES);
    uint32_t check = htole32(masked(at + HEAD_BYTES, length));
    memcpy(at, &head, HEAD_BYTES);
    memcpy(at + HEAD_BYTES + length, &check, TAIL_BYTES);
    e->used += bytes;
    return ERR_OK;
}

static Event__Record record_at(double wall_seconds, uint64_t steps)
{
    Event__Record record = EVENT__RECORD__INIT;
    record.wall_time = wall_seconds;
    record.has_step = 1;
    record.step = (int64_t)steps;
    return record;
}

static int put_version(struct events *e, double wall_seconds)
{
    char version[] = "brain.Event:2";
    Event__Record record = record_at(wall_seconds, 0);
    record.has_step = 0;
    record.file_version = version;
    return put(e, &record);
}

/* Points of `steps` and behind are forgotten. */
static int put_start(struct events *e, double wall_seconds, uint64_t steps)
{
    Event__Record record = record_at(wall_seconds, steps);
    Event__Session session = EVENT__SESSION__INIT;
    session.status = EVENT__SESSION__STATUS__START;
    record.session = &session;
    return put(e, &record);
}

static Event__Histogram histogram_of(const struct histogram *h)
{
    Event__Histogram out = EVENT__HISTOGRAM__INIT;
    out.min = h->min;
    out.max = h->max;
    out.num = h->num;
    out.sum = h->sum;
    out.sum_squares = h->sum_squares;
    out.n_bucket_limit = out.n_bucket = h->buckets;
    out.bucket_limit = (double *)(uintptr_t)h->limit; /* it is only read */
    out.bucket = (double *)(uintptr_t)h->count;
    return out;
}

static int put_point(struct events *e, const struct events_point *p)
{
    Event__Value values[VALUES], *list[VALUES];
    Event__Histogram histograms[EVENTS_HISTOGRAMS];
    Event__Summary summary = EVENT__SUMMARY__INIT;
    Event__Record record = record_at(p->wall_seconds, p->steps);
    for (uint32_t i = 0; i < p->scalars; i++) {
        if (!isfinite(p->scalar[i].value)) continue;
        Event__Value *v = list[summary.n_value] = &values[summary.n_value];
        event__value__init(v);
        v->tag = (char *)(uintptr_t)p->scalar[i].tag;
        v->has_number = 1;
        v->number = (float)p->scalar[i].value;
        summary.n_value++;
    }
    for (uint32_t i = 0; i < p->histograms; i++) {
        Event__Value *v = list[summary.n_value] = &values[summary.n_value];
        event__value__init(v);
        v->tag = (char *)(uintptr_t)p->histogram[i].tag;
        histograms[i] = histogram_of(p->histogram[i].values);
        v->histogram = &histograms[i];
        summary.n_value++;
    }
    summary.value = list;
    record.summary = &summary;
    return put(e, &record);
}

/* ---- one point ---- */

/* A file of this life. Its name comes behind the others', also where the clock was set back. */
static int begin_file(struct events *e, double wall_seconds)
{
    char parent[sizeof e->folder];
    snprintf(parent, sizeof parent, "%s", e->folder);
    *strrchr(parent, '/') = '\0';
    int result = own_make(parent, 0);
    if (result == ERR_OK) result = own_make(e->folder, 0);
    if (result != ERR_OK) return result;
    uint64_t now = (uint64_t)wall_seconds;
    name_file(e, now > e->newest ? now : e->newest + 1);
    e->is_named = 1;
    return ERR_OK;
}

static int put_all(struct events *e, const struct events_point *p)
{
    int result = ERR_OK;
    e->used = 0;
    if (!e->is_named && (!e->newest || e->files < EVENTS_FILES))
        result = begin_file(e, p->wall_seconds);
    if (result == ERR_OK && e->file.bytes == 0) result = put_version(e, p->wall_seconds);
    if (result == ERR_OK && !e->is_begun)
        result = put_start(e, p->wall_seconds, e->covered_steps + 1);
    else if (result == ERR_OK && p->steps <= e->covered_steps)
        result = put_start(e, p->wall_seconds, p->steps);
    if (result == ERR_OK) result = put_point(e, p);
    return result;
}

int events_add(struct events *e, const struct events_point *p)
{
    uint64_t cut;
    int result = events_take_up(e, &cut);
    if (result == ERR_OK) result = put_all(e, p);
    if (result == ERR_OK) result = grown_put(&e->file, e->buffer, e->used);
    if (result == ERR_NOTFOUND) e->is_taken_up = e->is_named = e->is_begun = 0; /* look again */
    if (result != ERR_OK) return result;
    e->is_begun = 1;
    e->covered_steps = p->steps;
    return ERR_OK;
}
