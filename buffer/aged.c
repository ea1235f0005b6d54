#include "buffer/aged.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

struct head {          /* of a slot that is taken; behind it the values */
    uint64_t number_1; /* number + 1 */
    uint64_t captured_ns;
    uint64_t hash; /* of all else in the slot */
};

struct aged {
    int fd;
    char *path;
    uint32_t width;
    uint64_t slots;  /* of the file */
    uint64_t *empty; /* (empty_room): those without a row */
    size_t empties, empty_room;
    char *record; /* (record_bytes): one slot */
};

static size_t record_bytes(const struct aged *a)
{
    return sizeof(struct head) + a->width * sizeof(float);
}

static off_t place_of(const struct aged *a, uint64_t slot)
{
    return (off_t)(slot * record_bytes(a));
}

static uint64_t hash_of(const struct aged *a)
{
    struct head head;
    memcpy(&head, a->record, sizeof head);
    const uint64_t seed = head.number_1 * 3 ^ head.captured_ns;
    return XXH3_64bits_withSeed(a->record + sizeof head, a->width * sizeof(float), seed);
}

static int open_file(const char *path, uint32_t width, int flags, struct aged **aged)
{
    struct aged *a = calloc(1, sizeof *a);
    struct stat st;
    if (!a) return err_set(ERR_NOMEM, "no memory for the held-out rows");
    a->fd = -1;
    a->width = width;
    a->path = strdup(path);
    a->record = malloc(record_bytes(a));
    int result =
        a->path && a->record ? ERR_OK : err_set(ERR_NOMEM, "no memory for the held-out rows");
    if (result == ERR_OK) result = own_open(path, O_RDWR | flags, &a->fd);
    if (result == ERR_OK && fstat(a->fd, &st) != 0) result = file_error("cannot look at", path);
    if (result != ERR_OK) {
        aged_close(a);
        return result;
    }
    a->slots = ((uint64_t)st.st_size + record_bytes(a) - 1) / record_bytes(a);
    *aged = a;
    return ERR_OK;
}

int aged_open(const char *path, uint32_t width, struct aged **aged)
{
    return open_file(path, width, O_CREAT, aged);
}

void aged_close(struct aged *a)
{
    if (!a) return;
    if (a->fd >= 0) close(a->fd);
    free(a->path);
    free(a->empty);
    free(a->record);
    free(a);
}

static int note_empty(struct aged *a, uint64_t slot)
{
    if (a->empties == a->empty_room) {
        size_t room = 2 * a->empty_room + 256;
        uint64_t *grown = realloc(a->empty, room * sizeof *grown);
        if (!grown) return err_set(ERR_NOMEM, "no memory for the held-out rows");
        a->empty = grown;
        a->empty_room = room;
    }
    a->empty[a->empties++] = slot;
    return ERR_OK;
}

static int write_record(struct aged *a, uint64_t slot)
{
    if (file_put_at(a->fd, a->record, record_bytes(a), (uint64_t)place_of(a, slot)) == 0)
        return ERR_OK;
    return file_error("cannot write held-out rows to", a->path);
}

int aged_clear(struct aged *a, uint64_t slot)
{
    memset(a->record, 0, record_bytes(a));
    int result = write_record(a, slot);
    return result == ERR_OK ? note_empty(a, slot) : result;
}

/* The record that was read is a row, whole. */
static int is_sound(const struct aged *a, const struct head *head, size_t bytes)
{
    const char *values = a->record + sizeof *head;
    if (bytes != record_bytes(a) || head->hash != hash_of(a)) return 0;
    for (uint32_t d = 0; d < a->width; d++) {
        float x;
        memcpy(&x, values + d * sizeof x, sizeof x);
        if (!isfinite(x)) return 0;
    }
    return 1;
}

static int is_zero(const char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i]) return 0;
    return 1;
}

int aged_load(struct aged *a, uint64_t below, uint64_t oldest_ns,
              int (*take)(void *arg, const struct aged_row *row, const float *values), void *arg,
              struct aged_counts *counts)
{
    int result = ERR_OK;
    *counts = (struct aged_counts){0};
    for (uint64_t slot = 0; slot < a->slots && result == ERR_OK; slot++) {
        struct head head;
        ssize_t n = pread(a->fd, a->record, record_bytes(a), place_of(a, slot));
        if (n < 0) return file_error("cannot read", a->path);
        memcpy(&head, a->record, sizeof head);
        if (is_zero(a->record, (size_t)n)) {
            result = note_empty(a, slot);
            continue;
        }
        int sound = is_sound(a, &head, (size_t)n);
        counts->damaged += !sound;
        counts->uncovered += sound && head.number_1 > below;
        counts->expired += sound && head.number_1 <= below && head.captured_ns < oldest_ns;
        if (sound && head.number_1 <= below && head.captured_ns >= oldest_ns) {
            struct aged_row row = {head.number_1 - 1, head.captured_ns, slot};
            result = take(arg, &row, (const float *)(const void *)(a->record + sizeof head));
        } else {
            result = aged_clear(a, slot);
        }
    }
    return result;
}

int aged_put(struct aged *a, struct aged_row *row, const float *values)
{
    struct head head = {row->number + 1, row->captured_ns, 0};
    uint64_t slot = a->empties ? a->empty[a->empties - 1] : a->slots;
    memcpy(a->record, &head, sizeof head);
    memcpy(a->record + sizeof head, values, a->width * sizeof *values);
    head.hash = hash_of(a);
    memcpy(a->record, &head, sizeof head);
    int result = write_record(a, slot);
    if (result != ERR_OK) { /* what is half written goes, as far as the disk lets it */
        if (!a->empties) (void)note_empty(a, a->slots++);
        memset(a->record, 0, record_bytes(a));
        (void)write_record(a, slot);
        return result;
    }
    if (a->empties)
        a->empties--;
    else
        a->slots++;
    row->slot = slot;
    return ERR_OK;
}

/* 1: its head is zeros, its values are not all: somebody died in overwriting it. Where its trainer is
 * just putting a row there, which begins with the head, the second look finds that. */
static int is_half_clear(struct aged *a, uint64_t slot)
{
    for (int look = 0; look < 2; look++) {
        struct head head;
        ssize_t n = pread(a->fd, a->record, record_bytes(a), place_of(a, slot));
        memcpy(&head, a->record, sizeof head);
        if (n <= (ssize_t)sizeof head || head.number_1 || is_zero(a->record, (size_t)n)) return 0;
    }
    return 1;
}

int aged_wipe(const char *path, uint32_t width, uint64_t oldest_ns, uint64_t *wiped)
{
    struct aged *a;
    struct head head;
    int result = open_file(path, width, 0, &a);
    if (result != ERR_OK) return result;
    for (uint64_t slot = 0; slot < a->slots && result == ERR_OK; slot++) {
        ssize_t n = pread(a->fd, &head, sizeof head, place_of(a, slot));
        if (n < 0) result = file_error("cannot read", path);
        if (n != sizeof head) continue;
        if (head.number_1 ? head.captured_ns >= oldest_ns : !is_half_clear(a, slot)) continue;
        result = aged_clear(a, slot);
        *wiped += result == ERR_OK;
    }
    aged_close(a);
    return result;
}

int aged_sync(struct aged *a)
{
    return fsync(a->fd) == 0 ? ERR_OK : file_error("cannot sync", a->path);
}
