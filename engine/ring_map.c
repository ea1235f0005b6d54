#include "engine/ring_map.h"

#include "base/err.h"
#include "base/own.h"
#include "proto/ring_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- opening ---- */

/* A copy of a ring has its rows once more. */
static int has_its_name(const struct ring_map *m)
{
    char name[64];
    const char *slash = strrchr(m->path, '/');
    ring_name(&m->facts, name, sizeof name);
    return strcmp(slash ? slash + 1 : m->path, name) == 0;
}

static int read_facts(struct ring_map *m)
{
    struct stat st;
    if (fstat(m->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(ERR_FORMAT, "%s is no ring of rows", m->path);
    int result = own_judge("file", m->path, &st);
    if (result != ERR_OK) return result;
    if (pread(m->fd, &m->facts, sizeof m->facts, 0) != (ssize_t)sizeof m->facts)
        return err_set(ERR_FORMAT, "%s is shorter than a ring", m->path);
    result = ring_check(&m->facts, (uint64_t)st.st_size);
    if (result != ERR_OK) return err_set(result, "%s: %s", m->path, err_text());
    if (!has_its_name(m))
        return err_set(ERR_FORMAT, "%s is a copy of a ring, or has another's name", m->path);
    m->bytes = ring_bytes(&m->facts);
    return ERR_OK;
}

int ring_map_open(const char *path, struct ring_map *m)
{
    *m = (struct ring_map){.fd = -1};
    snprintf(m->path, sizeof m->path, "%s", path);
    int result = own_open(path, O_RDWR, &m->fd);
    if (result == ERR_OK) result = read_facts(m);
    if (result == ERR_OK) {
        void *at = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
        if (at == MAP_FAILED)
            result = err_set(ERR_NOMEM, "%s: no address space for its %llu bytes", path,
                             (unsigned long long)m->bytes);
        else
            m->ring = at, m->told_shed = atomic_load(&m->ring->reader.told_shed);
    }
    if (result != ERR_OK) ring_map_close(m);
    return result;
}

void ring_map_close(struct ring_map *m)
{
    if (m->ring) munmap(m->ring, m->bytes);
    if (m->fd >= 0) close(m->fd);
    m->ring = NULL;
    m->fd = -1;
}

/* ---- the verdict ---- */

void ring_map_take(struct ring_map *m, uint32_t epoch)
{
    atomic_store(&m->ring->reader.epoch, epoch);
    atomic_store(&m->ring->reader.verdict, RING_READ);
    m->is_refused = 0;
}

void ring_map_refuse(struct ring_map *m, const char *reason)
{
    snprintf(m->ring->reader.reason, sizeof m->ring->reader.reason, "%s", reason);
    atomic_store(&m->ring->reader.verdict, RING_REFUSED);
    m->is_refused = 1;
}

void ring_map_limit(struct ring_map *m, double share, double rows_per_second,
                    uint64_t bytes_per_second)
{
    struct ring_control *c = &m->ring->control;
    uint64_t interval = ring_interval(&m->facts, rows_per_second, bytes_per_second);
    uint32_t part = ring_share(share);
    if (part < atomic_load(&c->share)) atomic_store(&c->share, part);
    if (interval > atomic_load(&c->interval)) atomic_store(&c->interval, interval);
}

void ring_map_seen(struct ring_map *m, uint64_t now_ns)
{
    atomic_store(&m->ring->reader.seen_ns, now_ns);
}

/* ---- rows ---- */

static struct ring_record *record_of(const struct ring_map *m, uint64_t place)
{
    uint64_t at = (place & (m->facts.records - 1)) * m->facts.record_bytes;
    return (struct ring_record *)((uint8_t *)m->ring + m->facts.header_bytes + at);
}

static int is_published(const struct ring_map *m, uint64_t place)
{
    return atomic_load_explicit(&record_of(m, place)->turn, memory_order_acquire) == place + 1;
}

static void copy_values(const struct ring_map *m, const struct ring_record *r, float *values)
{
    if (m->facts.dtype == DTYPE_F32) {
        memcpy(values, r + 1, m->facts.width * sizeof *values);
        return;
    }
    const uint16_t *half = (const uint16_t *)(r + 1);
    for (uint32_t i = 0; i < m->facts.width; i++) values[i] = bf16_to_f32(half[i]);
}

/* A reader that dies here leaves a place that is no row, or one that is read again whole. */
static void wipe(const struct ring_map *m, struct ring_record *r)
{
    r->flags = RING_ROW_NONE;
    atomic_thread_fence(memory_order_release);
    memset(&r->id, 0, sizeof r->id);
    memset(r + 1, 0, m->facts.record_bytes - sizeof *r);
}

uint32_t ring_map_rows(struct ring_map *m, uint32_t most, struct row_id *ids, uint8_t *flags,
                       uint64_t *captured_ns, float *values)
{
    struct ring_reader *reader = &m->ring->reader;
    uint64_t tail = atomic_load_explicit(&reader->tail, memory_order_relaxed);
    uint32_t rows = 0;
    for (; rows < most && is_published(m, tail); tail++) {
        struct ring_record *r = record_of(m, tail);
        uint32_t what = r->flags;
        if (!(what & RING_ROW_NONE)) {
            ids[rows] = r->id;
            flags[rows] = (uint8_t)what;
            if (captured_ns) captured_ns[rows] = r->captured_ns;
            copy_values(m, r, values + (size_t)rows * m->facts.width);
            rows++;
        }
        wipe(m, r);
        atomic_store_explicit(&reader->tail, tail + 1, memory_order_release);
    }
    atomic_fetch_add(&reader->rows, rows);
    return rows;
}

void ring_map_wipe(struct ring_map *m)
{
    uint64_t tail = atomic_load_explicit(&m->ring->reader.tail, memory_order_relaxed);
    for (; is_published(m, tail); tail++) {
        wipe(m, record_of(m, tail));
        atomic_store_explicit(&m->ring->reader.tail, tail + 1, memory_order_release);
    }
}

uint64_t ring_map_waiting(const struct ring_map *m)
{
    uint64_t head = atomic_load(&m->ring->host.head), tail = atomic_load(&m->ring->reader.tail);
    return head - tail <= m->facts.records ? head - tail : 0;
}

/* ---- the end ---- */

int ring_map_is_over(const struct ring_map *m)
{
    return ring_is_over(m->fd, &m->facts, m->ring);
}

int ring_map_pass_over(struct ring_map *m)
{
    uint64_t head = atomic_load(&m->ring->host.head), tail = atomic_load(&m->ring->reader.tail);
    if (head - tail > m->facts.records) return 0; /* damaged */
    for (; tail < head && !is_published(m, tail); tail++) {
        wipe(m, record_of(m, tail));
        m->gone_rows++;
    }
    atomic_store(&m->ring->reader.tail, tail);
    return tail < head;
}
