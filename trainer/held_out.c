#include "trainer/held_out.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "buffer/aged.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { GROWTH_ROWS = 1024, PENDING_ROWS = 64 };

struct held_out {
    int fd; /* -1: none */
    char *path;
    const float *scale; /* (width) */
    float *values;      /* (room, width), scaled */
    float *pending;     /* (pending_room, width), as drawn: the last rows, not in the file yet */
    uint64_t rows, room, limit_rows, pending_rows, pending_room;
    uint32_t width;
    XXH3_state_t *hash;    /* of all rows as drawn */
    struct aged *aged;     /* NULL: rows do not go by age */
    struct aged_row *ages; /* (room), of an aged one */
    uint64_t taken;        /* of an aged one: rows ever */
};

static int write_error(const struct held_out *h)
{
    int full = errno == ENOSPC || errno == EDQUOT;
    return err_set(full ? ERR_NOSPC : ERR_IO, "cannot write held-out rows to %s: %s%s", h->path,
                   strerror(errno), full ? "; HINT: free space on that disk" : "");
}

static int make_room(struct held_out *h)
{
    if (h->rows < h->room) return ERR_OK;
    uint64_t room = h->room + (h->room / 2 > GROWTH_ROWS ? h->room / 2 : GROWTH_ROWS);
    if (room > h->limit_rows) room = h->limit_rows;
    float *values = realloc(h->values, (size_t)room * h->width * sizeof *values);
    if (!values)
        return err_set(ERR_NOMEM, "no memory for %llu held-out rows; HINT: lower trainer.eval_rows",
                       (unsigned long long)room);
    h->values = values;
    struct aged_row *ages = h->aged ? realloc(h->ages, room * sizeof *ages) : NULL;
    if (h->aged && !ages) return err_set(ERR_NOMEM, "no memory for the ages of held-out rows");
    h->ages = ages;
    h->room = room;
    return ERR_OK;
}

static int make_pending_room(struct held_out *h)
{
    if (h->pending_rows < h->pending_room) return ERR_OK;
    uint64_t room = h->pending_room ? 2 * h->pending_room : PENDING_ROWS;
    float *pending = realloc(h->pending, (size_t)room * h->width * sizeof *pending);
    if (!pending) return err_set(ERR_NOMEM, "no memory for the held-out rows");
    h->pending = pending;
    h->pending_room = room;
    return ERR_OK;
}

static void keep_scaled(struct held_out *h, const float *values)
{
    float *row = h->values + (size_t)h->rows * h->width;
    for (uint32_t d = 0; d < h->width; d++) row[d] = values[d] * h->scale[d];
    h->rows++;
}

static size_t row_bytes(const struct held_out *h)
{
    return h->width * sizeof(float);
}

static int damaged(const struct held_out *h, const char *how)
{
    return err_set(ERR_CORRUPT, "%s %s; HINT: put the file back, or start over with --fresh",
                   h->path, how);
}

/* As drawn: a sound row may be beyond float32 once it is scaled. */
static int is_finite(const struct held_out *h, const float *row)
{
    for (uint32_t d = 0; d < h->width; d++)
        if (!isfinite(row[d])) return 0;
    return 1;
}

static int load(struct held_out *h, uint64_t rows)
{
    float *row = h->pending;
    int result = ERR_OK;
    while (result == ERR_OK && h->rows < rows) {
        ssize_t n = pread(h->fd, row, row_bytes(h), (off_t)(h->rows * row_bytes(h)));
        if (n != (ssize_t)row_bytes(h))
            result = err_set(ERR_IO, "cannot read %s: %s", h->path,
                             n < 0 ? strerror(errno) : "it became shorter");
        if (result == ERR_OK && !is_finite(h, row))
            result = damaged(h, "holds values that are not finite");
        if (result == ERR_OK) result = make_room(h);
        if (result == ERR_OK) XXH3_64bits_update(h->hash, row, row_bytes(h));
        if (result == ERR_OK) keep_scaled(h, row);
    }
    return result;
}

/* Nothing is cut off before all of it was found to be right. */
static int check(const struct held_out *h, uint64_t rows, uint64_t hash)
{
    if (rows > 0 && hash != 0 && held_out_hash(h) != hash)
        return damaged(h, "is not as the checkpoint left it");
    return ERR_OK;
}

/* At the place where they belong, so that a disk that was full can be tried again. */
static int write_pending(struct held_out *h)
{
    uint64_t at = (h->rows - h->pending_rows) * row_bytes(h);
    if (file_put_at(h->fd, h->pending, h->pending_rows * row_bytes(h), at) != 0)
        return write_error(h);
    h->pending_rows = 0;
    return ERR_OK;
}

static int has_rows(const struct held_out *h, uint64_t rows)
{
    struct stat st;
    char how[120];
    if (fstat(h->fd, &st) != 0)
        return err_set(ERR_IO, "cannot look at %s: %s", h->path, strerror(errno));
    if ((uint64_t)st.st_size / row_bytes(h) >= rows) return ERR_OK;
    snprintf(how, sizeof how, "has %lld bytes, but the checkpoint counts %llu rows of %zu in it",
             (long long)st.st_size, (unsigned long long)rows, row_bytes(h));
    return damaged(h, how);
}

int held_out_open(const char *path, uint32_t width, const float *scale, uint64_t limit_rows,
                  uint64_t rows, uint64_t hash, struct held_out **held_out)
{
    struct held_out *h = calloc(1, sizeof *h);
    if (!h) return err_set(ERR_NOMEM, "no memory for the held-out rows");
    int result = own_open(path, O_RDWR | O_CREAT, &h->fd);
    h->width = width;
    h->scale = scale;
    h->limit_rows = limit_rows > rows ? limit_rows : rows;
    h->path = strdup(path);
    h->hash = XXH3_createState();
    if (result == ERR_OK && (!h->path || !h->hash))
        result = err_set(ERR_NOMEM, "no memory for the held-out rows");
    if (result == ERR_OK) result = make_pending_room(h);
    if (result == ERR_OK) XXH3_64bits_reset(h->hash);
    if (result == ERR_OK) result = has_rows(h, rows);
    if (result == ERR_OK) result = load(h, rows);
    if (result == ERR_OK) result = check(h, rows, hash);
    if (result == ERR_OK && ftruncate(h->fd, (off_t)(rows * row_bytes(h))) != 0)
        result = write_error(h);
    if (result != ERR_OK) {
        held_out_close(h);
        return result;
    }
    *held_out = h;
    return ERR_OK;
}

void held_out_close(struct held_out *h)
{
    if (!h) return;
    if (h->fd >= 0) close(h->fd);
    aged_close(h->aged);
    free(h->ages);
    XXH3_freeState(h->hash);
    free(h->values);
    free(h->pending);
    free(h->path);
    free(h);
}

/* ---- rows that go by age ---- */

static int take_aged(void *arg, const struct aged_row *row, const float *values)
{
    struct held_out *h = arg;
    int result = make_room(h);
    if (result != ERR_OK) return result;
    h->ages[h->rows] = *row;
    keep_scaled(h, values);
    return ERR_OK;
}

int held_out_open_aged(const char *path, uint32_t width, const float *scale, uint64_t limit_rows,
                       uint64_t taken, uint64_t oldest_ns, uint64_t *lost,
                       struct held_out **held_out)
{
    struct aged_counts counts = {0};
    struct held_out *h = calloc(1, sizeof *h);
    if (!h) return err_set(ERR_NOMEM, "no memory for the held-out rows");
    *h = (struct held_out){.fd = -1, .scale = scale, .width = width, .taken = taken};
    int result = aged_open(path, width, &h->aged);
    h->limit_rows = UINT64_MAX; /* however many there were */
    if (result == ERR_OK) result = aged_load(h->aged, taken, oldest_ns, take_aged, h, &counts);
    h->limit_rows = limit_rows > h->rows ? limit_rows : h->rows;
    if (result != ERR_OK) {
        held_out_close(h);
        return result;
    }
    *lost = counts.damaged;
    *held_out = h;
    return ERR_OK;
}

static int add_aged(struct held_out *h, uint64_t captured_ns, const float *values)
{
    struct aged_row row = {.number = h->taken++, .captured_ns = captured_ns};
    if (h->rows == h->limit_rows) return ERR_OK;
    int result = make_room(h);
    if (result == ERR_OK) result = aged_put(h->aged, &row, values);
    if (result == ERR_NOSPC) return ERR_OK;
    if (result != ERR_OK) return result;
    h->ages[h->rows] = row;
    keep_scaled(h, values);
    return ERR_OK;
}

int held_out_expire(struct held_out *h, uint64_t oldest_ns, uint64_t *expired)
{
    size_t bytes = row_bytes(h);
    *expired = 0;
    for (uint64_t i = 0; h->aged && i < h->rows;) {
        if (h->ages[i].captured_ns >= oldest_ns) {
            i++;
            continue;
        }
        int result = aged_clear(h->aged, h->ages[i].slot);
        if (result != ERR_OK) return result;
        h->rows--;
        h->ages[i] = h->ages[h->rows];
        memmove(h->values + i * h->width, h->values + h->rows * h->width, bytes);
        ++*expired;
    }
    return ERR_OK;
}

uint64_t held_out_taken(const struct held_out *h)
{
    return h->aged ? h->taken : h->rows;
}

/* ---- taking, and asking ---- */

int held_out_add(struct held_out *h, uint64_t captured_ns, const float *values)
{
    if (h->aged) return add_aged(h, captured_ns, values);
    if (h->rows == h->limit_rows) return ERR_OK;
    int result = make_room(h);
    if (result == ERR_OK) result = make_pending_room(h);
    if (result != ERR_OK) return result;
    memcpy(h->pending + (size_t)h->pending_rows++ * h->width, values, row_bytes(h));
    XXH3_64bits_update(h->hash, values, row_bytes(h));
    keep_scaled(h, values);
    /* What the disk does not take now is held_out_sync()'s to try again, and to tell. */
    if (h->pending_rows % PENDING_ROWS == 0) (void)write_pending(h);
    return ERR_OK;
}

int held_out_sync(struct held_out *h)
{
    if (h->aged) return aged_sync(h->aged);
    int result = write_pending(h);
    if (result == ERR_OK && fsync(h->fd) != 0) result = write_error(h);
    return result;
}

uint64_t held_out_hash(const struct held_out *h)
{
    if (h->aged) return 0;
    uint64_t hash = XXH3_64bits_digest(h->hash);
    return hash ? hash : 1;
}

uint64_t held_out_rows(const struct held_out *h)
{
    return h->rows;
}

const float *held_out_values(const struct held_out *h)
{
    return h->values;
}
