/*
 * Layout of a state, all little-endian:
 *   magic 8 | version u32 | producers u32 | slabs u64 | name 64 | stream, checkpoint_request u64 |
 *   finished u32, 0 u32 | rows_drawn, rows_held_out, rows_skipped u64 | rng 4 x u64 | passed u64 |
 *   producers x (lowest u64, cursor 32, harvested u64, epoch u32, 0 u32) |
 *   slabs x (number, drawn, identities_hash u64, producer u32, finished, harvested u16) | XXH3-64
 * of all before it A change of it raises STATE_VERSION, and decode keeps reading the older ones.
 */
#include "buffer/consumer.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structs are written as they lie");
_Static_assert(sizeof(struct consumer_slab) == 32, "written as it lies");
_Static_assert(sizeof(struct consumer_producer) == 56, "written as it lies");

static const char state_magic[8] = {'S', 'L', 'U', 'C', 'O', 'N', 'S', '\n'};
static const char progress_magic[8] = {'S', 'L', 'U', 'P', 'R', 'O', 'G', '\n'};

enum { STATE_VERSION = 1, STATE_MAX_BYTES = 1 << 30 };

struct state_head {
    char magic[8];
    uint32_t version;
    uint32_t producers;
    uint64_t slabs;
    char name[CONSUMER_NAME_BYTES];
    uint64_t stream, checkpoint_request;
    uint32_t finished, reserved;
    uint64_t rows_drawn, rows_held_out, rows_skipped;
    uint64_t rng[4];
    uint64_t passed;
};
_Static_assert(sizeof(struct state_head) == 176, "written as it lies");

static int by_place(const struct consumer_slab *slab, uint32_t producer, uint64_t number)
{
    if (slab->producer != producer) return slab->producer < producer ? -1 : 1;
    if (slab->number != number) return slab->number < number ? -1 : 1;
    return 0;
}

int consumer_state_encode(const struct consumer_state *state, void **data, size_t *bytes)
{
    struct state_head head = {
        .version = STATE_VERSION,
        .producers = state->producers,
        .slabs = state->slabs,
        .stream = state->stream,
        .checkpoint_request = state->checkpoint_request,
        .finished = state->finished,
        .rows_drawn = state->rows_drawn,
        .rows_held_out = state->rows_held_out,
        .rows_skipped = state->rows_skipped,
        .passed = state->passed,
    };
    memcpy(head.magic, state_magic, sizeof head.magic);
    memcpy(head.name, state->name, sizeof head.name);
    memcpy(head.rng, state->rng, sizeof head.rng);
    size_t producer_bytes = state->producers * sizeof *state->producer;
    size_t slab_bytes = state->slabs * sizeof *state->slab;
    size_t size = sizeof head + producer_bytes + slab_bytes + sizeof(uint64_t);
    char *out = malloc(size);
    if (!out) return err_set(ERR_NOMEM, "no memory for a consumer state of %zu bytes", size);
    memcpy(out, &head, sizeof head);
    if (producer_bytes) memcpy(out + sizeof head, state->producer, producer_bytes);
    if (slab_bytes) memcpy(out + sizeof head + producer_bytes, state->slab, slab_bytes);
    uint64_t sum = XXH3_64bits(out, size - sizeof sum);
    memcpy(out + size - sizeof sum, &sum, sizeof sum);
    *data = out;
    *bytes = size;
    return ERR_OK;
}

/* What must hold for every lookup in the state, whoever wrote it. */
static int state_check(const struct consumer_state *state)
{
    int ok = memchr(state->name, 0, sizeof state->name) != NULL && state->finished <= 1 &&
             state->passed <= state->slabs;
    for (uint32_t p = 0; ok && p < state->producers; p++)
        ok = state->producer[p].lowest > 0 && state->producer[p].reserved == 0;
    const struct consumer_slab *last = NULL;
    for (size_t i = 0; ok && i < state->slabs; i++) {
        const struct consumer_slab *slab = &state->slab[i];
        ok = slab->finished <= 1 && slab->harvested <= 1 && slab->producer < state->producers &&
             slab->number > 0 && slab->number >= state->producer[slab->producer].lowest;
        if (ok && last) ok = slab->finished && by_place(last, slab->producer, slab->number) < 0;
        if (slab->finished) last = slab;
    }
    return ok ? ERR_OK : err_set(ERR_FORMAT, "a consumer state whose fields contradict each other");
}

int consumer_state_decode(const void *data, size_t bytes, struct consumer_state *state)
{
    struct state_head head;
    uint64_t sum;
    memset(state, 0, sizeof *state);
    if (bytes < sizeof head + sizeof sum)
        return err_set(ERR_FORMAT, "%zu bytes are too few for a consumer state", bytes);
    memcpy(&head, data, sizeof head);
    if (memcmp(head.magic, state_magic, sizeof head.magic) != 0)
        return err_set(ERR_FORMAT, "not a consumer state: its first bytes are others");
    memcpy(&sum, (const char *)data + bytes - sizeof sum, sizeof sum);
    if (XXH3_64bits(data, bytes - sizeof sum) != sum)
        return err_set(ERR_CHECKSUM, "consumer state: its checksum does not match");
    if (head.version != STATE_VERSION) /* behind the checksum, which every version has at its end */
        return err_set(ERR_VERSION, "consumer state of version %u, this build knows %d",
                       head.version, STATE_VERSION);
    size_t room = bytes - sizeof head - sizeof sum;
    size_t producer_bytes = head.producers * sizeof *state->producer;
    if (head.producers > CONSUMER_MAX_PRODUCERS || producer_bytes > room ||
        (room - producer_bytes) % sizeof *state->slab != 0 ||
        (room - producer_bytes) / sizeof *state->slab != head.slabs || head.reserved != 0)
        return err_set(ERR_FORMAT, "consumer state: its counts do not match its length");
    memcpy(state->name, head.name, sizeof state->name);
    memcpy(state->rng, head.rng, sizeof state->rng);
    state->stream = head.stream;
    state->checkpoint_request = head.checkpoint_request;
    state->finished = head.finished;
    state->rows_drawn = head.rows_drawn;
    state->rows_held_out = head.rows_held_out;
    state->rows_skipped = head.rows_skipped;
    state->passed = head.passed;
    struct consumer_state whole = *state;
    whole.producers = head.producers;
    whole.slabs = head.slabs;
    whole.producer = malloc(producer_bytes + 1);
    whole.slab = malloc(room - producer_bytes + 1);
    int result = ERR_OK;
    if (!whole.producer || !whole.slab) {
        result = err_set(ERR_NOMEM, "no memory for a consumer state of %zu bytes", bytes);
    } else {
        const char *from = (const char *)data + sizeof head;
        memcpy(whole.producer, from, producer_bytes);
        memcpy(whole.slab, from + producer_bytes, room - producer_bytes);
        result = state_check(&whole);
    }
    if (result != ERR_OK) {
        consumer_state_free(&whole);
        memset(state, 0, sizeof *state);
        return result;
    }
    *state = whole;
    return ERR_OK;
}

void consumer_state_free(struct consumer_state *state)
{
    free(state->producer);
    free(state->slab);
    memset(state, 0, sizeof *state);
}

static int path_of(const char *buffer_dir, const char *name, const char *suffix, char *path)
{
    if (!name[0] || name[0] == '.' || strchr(name, '/') || strlen(name) >= CONSUMER_NAME_BYTES)
        return err_set(ERR_USAGE, "'%s' is no name for a consumer", name);
    int length = snprintf(path, PATH_MAX, "%s/CONSUMERS/%s%s", buffer_dir, name, suffix);
    if (length >= PATH_MAX) return err_set(ERR_IO, "path too long: %s", buffer_dir);
    return ERR_OK;
}

static int make_folder(const char *buffer_dir)
{
    char folder[PATH_MAX];
    if (snprintf(folder, sizeof folder, "%s/CONSUMERS", buffer_dir) >= (int)sizeof folder)
        return err_set(ERR_IO, "path too long: %s", buffer_dir);
    int result = own_make(buffer_dir, 1); /* on another disk, maybe */
    return result == ERR_OK ? own_make(folder, 0) : result;
}

int consumer_write(const char *buffer_dir, const struct consumer_state *state)
{
    char path[PATH_MAX];
    void *data = NULL;
    size_t bytes = 0;
    int result = path_of(buffer_dir, state->name, ".state", path);
    if (result == ERR_OK) result = make_folder(buffer_dir);
    if (result == ERR_OK) result = consumer_state_encode(state, &data, &bytes);
    if (result == ERR_OK) result = file_replace(path, data, bytes);
    free(data);
    return result;
}

int consumer_read(const char *buffer_dir, const char *name, struct consumer_state *state)
{
    char path[PATH_MAX], *data;
    size_t bytes;
    int result = path_of(buffer_dir, name, ".state", path);
    if (result == ERR_OK) result = own_read(path, STATE_MAX_BYTES, &data, &bytes);
    if (result != ERR_OK) return result;
    result = consumer_state_decode(data, bytes, state);
    free(data);
    if (result != ERR_OK)
        return err_set(result,
                       "%s: %s; HINT: move it away: a trainer writes it from its checkpoint", path,
                       err_text());
    if (strcmp(state->name, name) != 0) {
        consumer_state_free(state);
        return err_set(ERR_FORMAT,
                       "%s is the state of another consumer; HINT: move it away: a trainer writes "
                       "it from its checkpoint",
                       path);
    }
    return ERR_OK;
}

int consumer_drop(const char *buffer_dir, const char *name)
{
    char path[PATH_MAX];
    const char *suffixes[] = {".state", ".progress"};
    for (int i = 0; i < 2; i++) {
        int result = path_of(buffer_dir, name, suffixes[i], path);
        if (result != ERR_OK) return result;
        if (unlink(path) != 0 && errno != ENOENT)
            return err_set(ERR_IO, "cannot remove %s: %s", path, strerror(errno));
    }
    return ERR_OK;
}

static size_t unfinished(const struct consumer_state *state)
{
    size_t low = 0, high = state->slabs;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (state->slab[middle].finished)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

int consumer_finished(const struct consumer_state *state, uint32_t producer, uint64_t number)
{
    if (state->finished) return 1;
    if (producer >= state->producers) return 0;
    if (number < state->producer[producer].lowest) return 1;
    size_t low = unfinished(state), high = state->slabs;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = by_place(&state->slab[middle], producer, number);
        if (order == 0) return 1;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

uint64_t consumer_finished_slabs(const struct consumer_state *state)
{
    uint64_t count = state->slabs - unfinished(state);
    for (uint32_t p = 0; p < state->producers; p++) count += state->producer[p].lowest - 1;
    return count;
}

struct progress_record {
    char magic[8];
    struct consumer_progress progress;
};

int consumer_progress_open(const char *buffer_dir, const char *name, int *fd)
{
    char path[PATH_MAX];
    int result = path_of(buffer_dir, name, ".progress", path);
    if (result == ERR_OK) result = make_folder(buffer_dir);
    return result == ERR_OK ? own_open(path, O_WRONLY | O_CREAT, fd) : result;
}

int consumer_progress_write(int fd, const struct consumer_progress *progress)
{
    struct progress_record record = {.progress = *progress};
    memcpy(record.magic, progress_magic, sizeof record.magic);
    ssize_t n;
    do n = pwrite(fd, &record, sizeof record, 0);
    while (n < 0 && errno == EINTR);
    if (n != sizeof record)
        return err_set(ERR_IO, "cannot write a progress record: %s", strerror(errno));
    return ERR_OK;
}

int consumer_progress_read(const char *buffer_dir, const char *name,
                           struct consumer_progress *progress)
{
    char path[PATH_MAX], *data;
    size_t bytes;
    int result = path_of(buffer_dir, name, ".progress", path);
    if (result == ERR_OK) result = own_read(path, 4096, &data, &bytes);
    if (result != ERR_OK) return result;
    struct progress_record record;
    if (bytes == 0)
        result = err_set(ERR_NOTFOUND, "%s is empty yet", path);
    else if (bytes != sizeof record || memcmp(data, progress_magic, sizeof progress_magic) != 0)
        result = err_set(ERR_FORMAT, "%s is not a progress record", path);
    else
        memcpy(progress, data + offsetof(struct progress_record, progress), sizeof *progress);
    free(data);
    return result;
}
