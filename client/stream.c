#include "client/stream.h"

#include "base/alive.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/model_file.h"
#include "base/rng.h"
#include "client/place.h"
#include "proto/name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const uint64_t default_bytes = UINT64_C(64) << 20;

/* ---- facts ---- */

static int copy_text(char *out, size_t bytes, const char *what, const char *text)
{
    if (snprintf(out, bytes, "%s", text) < (int)bytes) return ERR_OK;
    return err_set(ERR_LIMIT, "%s is longer than %zu bytes", what, bytes - 1);
}

static int check_name(const char *name)
{
    if (name && message_name_ok(name) && name[0] != '.') return ERR_OK;
    return err_set(
        ERR_USAGE,
        "stream \"%s\": a name is 1 to 63 letters, digits, dots, dashes and underscores, "
        "and begins with no dot",
        name ? name : "");
}

static int take_hooks(const struct sluice_options *o, struct ring_facts *f)
{
    if (o->hooks_count < 1 || o->hooks_count > ROW_MAX_HOOKS)
        return err_set(ERR_USAGE, "%u hooks: a stream has 1 to %d", o->hooks_count, ROW_MAX_HOOKS);
    f->hooks = o->hooks_count;
    for (uint32_t h = 0; h < f->hooks; h++) {
        const struct sluice_hook *hook = &o->hooks[h];
        if (!hook->name || !hook->name[0]) return err_set(ERR_USAGE, "hook %u has no name", h);
        if (hook->width < 1 || hook->width > ROW_MAX_WIDTH - f->width)
            return err_set(ERR_USAGE, "hook %s: a row has 1 to %d values, all hooks together",
                           hook->name, ROW_MAX_WIDTH);
        int result = copy_text(f->hook[h].name, sizeof f->hook[h].name, hook->name, hook->name);
        if (result != ERR_OK) return result;
        f->hook[h].width = hook->width;
        f->width += hook->width;
    }
    return ERR_OK;
}

/* As many records as fit, a power of 2. */
static int take_size(const struct sluice_options *o, struct ring_facts *f)
{
    uint64_t bytes = o->ring_bytes ? o->ring_bytes : default_bytes;
    f->header_bytes = sizeof(struct ring_header);
    f->record_bytes = ring_record_bytes(f->dtype, f->width);
    if (bytes > RING_MAX_BYTES || bytes < f->header_bytes + (uint64_t)f->record_bytes)
        return err_set(
            ERR_USAGE,
            "a ring of %llu bytes: a row of it takes %u, and what is before the rows %u; "
            "HINT: give it 64 MiB",
            (unsigned long long)bytes, f->record_bytes, f->header_bytes);
    uint64_t fit = (bytes - f->header_bytes) / f->record_bytes;
    f->records = 1;
    while (2 * (uint64_t)f->records <= fit && f->records < RING_MAX_RECORDS) f->records *= 2;
    return ERR_OK;
}

static void take_process(struct ring_facts *f)
{
    f->pid = (uint32_t)getpid();
    f->pid_started = alive_since(f->pid);
    f->born_ns = clock_ns(CLOCK_REALTIME);
    f->born_steady_ns = clock_ns(CLOCK_MONOTONIC);
    f->identity = hash_words(f->born_ns, f->born_steady_ns, f->pid, (uint64_t)(uintptr_t)f);
}

/* What tells its model from others is of the file as this program sees it, now. */
static int take_model(const struct sluice_options *o, struct ring_facts *f)
{
    f->model_key = o->model_key;
    if (f->model_key || !f->model_file[0]) return ERR_OK;
    if (model_file_key(f->model_file, &f->model_key) == ERR_OK) return ERR_OK;
    return err_set(ERR_USAGE,
                   "model_file: %s; HINT: leave it out, and give a model_key that no other model "
                   "has",
                   err_text());
}

static int take_facts(const struct sluice_options *o, struct ring_facts *f)
{
    memset(f, 0, sizeof *f);
    memcpy(f->magic, RING_MAGIC, sizeof f->magic);
    f->version = RING_VERSION;
    f->dtype = o->dtype == SLUICE_F32 ? DTYPE_F32 : DTYPE_BF16;
    f->prepends_bos = !!o->prepends_bos;
    int result = check_name(o->stream);
    if (result == ERR_OK) result = take_hooks(o, f);
    if (result == ERR_OK) result = take_size(o, f);
    if (result == ERR_OK) result = copy_text(f->stream, sizeof f->stream, "stream", o->stream);
    if (result == ERR_OK)
        result = copy_text(f->model, sizeof f->model, "model", o->model ? o->model : "unknown");
    if (result == ERR_OK)
        result = copy_text(f->model_file, sizeof f->model_file, "model_file",
                           o->model_file ? o->model_file : "");
    if (result == ERR_OK)
        result = copy_text(f->precision, sizeof f->precision, "precision",
                           o->precision ? o->precision : "");
    snprintf(f->program, sizeof f->program, "%s",
             o->program ? o->program : program_invocation_short_name);
    take_process(f);
    return result == ERR_OK ? take_model(o, f) : result;
}

/* ---- opening ---- */

static int map(struct sluice *s, const struct ring_facts *facts)
{
    long page = sysconf(_SC_PAGESIZE);
    s->is_ours =
        mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->is_ours == MAP_FAILED) {
        s->is_ours = NULL;
        return err_set(ERR_NOMEM, "no memory for a stream");
    }
    if (madvise(s->is_ours, (size_t)page, MADV_WIPEONFORK) != 0)
        return err_set(ERR_IO, "the system cannot wipe a page on fork (Linux 4.14 can)");
    s->bytes = ring_bytes(facts);
    void *at = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->file.fd, 0);
    if (at == MAP_FAILED)
        return err_set(ERR_NOMEM, "no address space for a ring of %llu bytes",
                       (unsigned long long)s->bytes);
    s->ring = at;
    s->records = (uint8_t *)at + facts->header_bytes;
    *s->is_ours = 1;
    return ERR_OK;
}

static void lay_hooks(struct sluice *s, const struct ring_facts *f)
{
    uint32_t at = sizeof(struct ring_record);
    for (uint32_t h = 0; h < f->hooks; h++) {
        s->hook_at[h] = at;
        at += f->hook[h].width * ring_value_bytes(f->dtype);
    }
}

int stream_open(const struct sluice_options *o, struct sluice **stream)
{
    struct ring_facts facts;
    int fd = -1, result = take_facts(o, &facts);
    if (result != ERR_OK) return result;
    struct sluice *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory for a stream");
    s->policy = o->policy;
    lay_hooks(s, &facts);
    result = place_make(o->folder, &facts, s->path, sizeof s->path, &fd);
    held_take(&s->file, fd);
    if (result == ERR_OK) result = map(s, &facts);
    if (result == ERR_OK) {
        s->ring->facts = facts;
        result = stream_set(s, !o->starts_off, o->share, o->rows_per_second);
    }
    if (result == ERR_OK) result = place_publish(s->path, sizeof s->path);
    if (result != ERR_OK) {
        if (s->path[0]) unlink(s->path);
        stream_close(s);
        return result;
    }
    *stream = s;
    return ERR_OK;
}

/* Nothing in it is for a reader. */
static int is_spent(const struct ring_header *ring)
{
    return atomic_load(&ring->host.head) == atomic_load(&ring->reader.tail) &&
           ring_shed_is_told(ring);
}

void stream_close(struct sluice *s)
{
    int is_host = s->ring && *s->is_ours; /* in a child of a fork the ring is its parent's */
    if (is_host) {
        atomic_store(&s->ring->host.is_closed, 1);
        if (is_spent(s->ring)) unlink(s->path);
    }
    if (s->ring) munmap(s->ring, s->bytes);
    if (s->is_ours) munmap(s->is_ours, (size_t)sysconf(_SC_PAGESIZE));
    held_close(&s->file);
    free(s);
}

/* ---- settings ---- */

/* A reader's limit in bytes may be lower than a person may set one: whoever hands it back keeps it. */
static int is_rate(const struct sluice *s, double rows_per_second)
{
    return rows_per_second == 0 ||
           (rows_per_second >= RING_LOWEST_RATE && rows_per_second <= RING_HIGHEST_RATE) ||
           rows_per_second == ring_rate(atomic_load(&s->ring->control.interval));
}

int stream_set(struct sluice *s, int is_on, double share, double rows_per_second)
{
    if (!(share >= 0 && share <= 1))
        return err_set(ERR_USAGE, "a share of %g: it is above 0 and at most 1; 0: all", share);
    if (!is_rate(s, rows_per_second))
        return err_set(ERR_USAGE, "%g rows per second: from 0.001 to 1e9; 0: no limit",
                       rows_per_second);
    struct ring_control *c = &s->ring->control;
    atomic_store(&c->interval, ring_interval(&s->ring->facts, rows_per_second, 0));
    atomic_store(&c->share, ring_share(share));
    atomic_store(&c->is_on, (uint32_t) !!is_on);
    return ERR_OK;
}

void stream_count(struct sluice *s, enum ring_count count, uint64_t rows)
{
    if (rows) atomic_fetch_add_explicit(&s->ring->host.count[count], rows, memory_order_relaxed);
}
