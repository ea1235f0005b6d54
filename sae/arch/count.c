/*
 * The architecture `count`: one counter a row, checkpointed like weights. After any storm of kills
 * every counter must equal the number of times that its row was to be trained on.
 *
 * An open-addressing table of (sequence, position) that doubles when half full.
 */
#include "sae/arch/arch.h"

#include "base/err.h"
#include "base/newfile.h"
#include "base/rng.h"
#include "sae/saved.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct counter {
    uint64_t sequence;
    uint32_t position;
    uint32_t count; /* 0: a free place */
};

struct counts {
    struct counter *table; /* (room), room a power of two */
    size_t room, used;
};

static uint64_t count_bytes(const struct sae_options *options, uint64_t *shared)
{
    (void)options;
    *shared = 0;
    return sizeof(struct counts);
}

static int count_make(struct sae *sae)
{
    sae->state = calloc(1, sizeof(struct counts));
    return sae->state ? ERR_OK : err_set(ERR_NOMEM, "no memory for counters");
}

static void count_free(struct sae *sae)
{
    struct counts *c = sae->state;
    if (c) free(c->table);
    free(c);
}

/* The row's place, or the free one where it would go; room must be > used. */
static struct counter *find(const struct counts *c, uint64_t sequence, uint32_t position)
{
    size_t at = hash_words(sequence, position, 0, 0) & (c->room - 1);
    while (c->table[at].count &&
           (c->table[at].sequence != sequence || c->table[at].position != position))
        at = (at + 1) & (c->room - 1);
    return &c->table[at];
}

/* Make room for `more` rows that may all be new. */
static int reserve(struct counts *c, size_t more)
{
    size_t room = c->room ? c->room : 1024;
    while (room / 2 < c->used + more) room *= 2;
    if (room == c->room) return ERR_OK;
    struct counts grown = {calloc(room, sizeof *grown.table), room, c->used};
    if (!grown.table) return err_set(ERR_NOMEM, "no memory for %zu counters", room);
    for (size_t i = 0; i < c->room; i++)
        if (c->table[i].count)
            *find(&grown, c->table[i].sequence, c->table[i].position) = c->table[i];
    free(c->table);
    *c = grown;
    return ERR_OK;
}

static int count_train(struct sae *sae, const struct sae_batch *batch, struct sae_step *step)
{
    struct counts *c = sae->state;
    int result = reserve(c, batch->rows);
    if (result != ERR_OK) return result;
    for (uint32_t r = 0; r < batch->rows; r++) {
        const struct row_id *id = &batch->ids[r];
        struct counter *counter = find(c, id->sequence, id->position);
        if (counter->count == 0) {
            counter->sequence = id->sequence;
            counter->position = id->position;
            c->used++;
        }
        counter->count++;
    }
    step->l0 = 1;
    sae->steps++;
    return ERR_OK;
}

static int by_row(const void *a, const void *b)
{
    const struct counter *x = a, *y = b;
    if (x->sequence != y->sequence) return x->sequence < y->sequence ? -1 : 1;
    return x->position < y->position ? -1 : x->position > y->position;
}

/* All counters in order of their rows; the caller frees them. */
static struct counter *sorted(const struct counts *c)
{
    struct counter *list = malloc((c->used + 1) * sizeof *list);
    size_t n = 0;
    if (!list) return NULL;
    for (size_t i = 0; i < c->room; i++)
        if (c->table[i].count) list[n++] = c->table[i];
    if (n > 1) qsort(list, n, sizeof *list, by_row);
    return list;
}

static int count_save(const struct sae *sae, struct checkpoint_writer *writer, const char *name)
{
    const struct counts *c = sae->state;
    struct counter *list = sorted(c);
    if (!list) return err_set(ERR_NOMEM, "no memory to save %zu counters", c->used);
    saved_put(writer, name, "steps", &sae->steps, sizeof sae->steps);
    int result = saved_put(writer, name, "counters", list, c->used * sizeof *list);
    free(list);
    return result;
}

static int count_load(struct sae *sae, const struct checkpoint *checkpoint, const char *name)
{
    const void *steps, *list;
    size_t bytes, n;
    int result = saved_find(checkpoint, name, "steps", sizeof sae->steps, &steps, &n);
    if (result == ERR_OK)
        result = saved_find(checkpoint, name, "counters", SIZE_MAX, &list, &bytes);
    if (result != ERR_OK) return result;
    const struct counter *counter = list;
    struct counts loaded = {0};
    n = bytes / sizeof *counter;
    result = bytes % sizeof *counter ? err_set(ERR_FORMAT, "counters of %zu bytes", bytes)
                                     : reserve(&loaded, n);
    for (size_t i = 0; i < n && result == ERR_OK; i++) {
        struct counter *place = find(&loaded, counter[i].sequence, counter[i].position);
        if (place->count || !counter[i].count || counter[i].count > UINT32_MAX / 2)
            result = err_set(ERR_FORMAT, "counter %zu is empty, too large or there twice", i);
        *place = counter[i];
    }
    if (result != ERR_OK) {
        free(loaded.table);
        return result;
    }
    struct counts *c = sae->state;
    free(c->table);
    *c = loaded;
    c->used = n;
    memcpy(&sae->steps, steps, sizeof sae->steps);
    return ERR_OK;
}

static const struct machine count_machine = {
    .bytes = count_bytes,
    .make = count_make,
    .free = count_free,
    .train = count_train,
    .save = count_save,
    .load = count_load,
};

const struct arch arch_count = {.machine = &count_machine};

uint32_t sae_count_of(const struct sae *sae, uint64_t sequence, uint32_t position)
{
    const struct counts *c = sae->state;
    if (sae->arch != &arch_count || c->room == 0) return 0;
    return find(c, sequence, position)->count;
}

int sae_count_visit(const struct sae *sae,
                    int (*visit)(void *arg, uint64_t sequence, uint32_t position, uint32_t count),
                    void *arg)
{
    const struct counts *c = sae->state;
    if (sae->arch != &arch_count)
        return err_set(ERR_STATE, "%s has no counters", sae_arch_name(sae->options.arch));
    struct counter *list = sorted(c);
    if (!list) return err_set(ERR_NOMEM, "no memory to list %zu counters", c->used);
    int result = 0;
    for (size_t i = 0; i < c->used && result == 0; i++)
        result = visit(arg, list[i].sequence, list[i].position, list[i].count);
    free(list);
    return result;
}

static int write_line(void *arg, uint64_t sequence, uint32_t position, uint32_t count)
{
    char line[80];
    int n = snprintf(line, sizeof line, "%" PRIu64 " %" PRIu32 " %" PRIu32 "\n", sequence, position,
                     count);
    return newfile_write(arg, line, (size_t)n);
}

int sae_count_dump(const struct sae *sae, const char *path)
{
    struct newfile *file;
    int result = newfile_begin(path, &file);
    if (result != ERR_OK) return result;
    result = sae_count_visit(sae, write_line, file);
    if (result != ERR_OK) {
        newfile_abort(file);
        return result;
    }
    return newfile_commit(file);
}
