#include "trainer/held_out.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROWTH_ROWS = 1024 };

struct held_out {
    FILE *file;
    char *path;
    const float *scale; /* (width) */
    float *values;      /* (room, width), scaled */
    uint64_t rows, room, limit_rows;
    uint32_t width;
};

static int write_error(const struct held_out *h)
{
    int full = errno == ENOSPC || errno == EDQUOT;
    return err_set(full ? ERR_NOSPC : ERR_IO, "cannot write held-out rows to %s: %s%s", h->path,
                   strerror(errno),
                   full ? "; HINT: free space on that disk, then run again: it resumes" : "");
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
    h->room = room;
    return ERR_OK;
}

static void keep_scaled(struct held_out *h, const float *values)
{
    float *row = h->values + (size_t)h->rows * h->width;
    for (uint32_t d = 0; d < h->width; d++) row[d] = values[d] * h->scale[d];
    h->rows++;
}

static int load(struct held_out *h, uint64_t rows)
{
    float *row = malloc(h->width * sizeof *row);
    if (!row) return err_set(ERR_NOMEM, "no memory for a held-out row");
    int result = ERR_OK;
    while (result == ERR_OK && h->rows < rows) {
        if (fread(row, sizeof *row, h->width, h->file) != h->width) {
            result = err_set(ERR_IO, "cannot read %s: %s", h->path, strerror(errno));
            break;
        }
        result = make_room(h);
        if (result == ERR_OK) keep_scaled(h, row);
    }
    free(row);
    return result;
}

static int cut(struct held_out *h, uint64_t rows)
{
    struct stat st;
    off_t bytes = (off_t)(rows * h->width * sizeof(float));
    if (fstat(fileno(h->file), &st) != 0)
        return err_set(ERR_IO, "cannot look at %s: %s", h->path, strerror(errno));
    if (st.st_size < bytes)
        return err_set(
            ERR_CORRUPT,
            "%s has %lld bytes, but the checkpoint counts %lld in it; HINT: put the file "
            "back, or start over with --fresh",
            h->path, (long long)st.st_size, (long long)bytes);
    if (ftruncate(fileno(h->file), bytes) != 0) return write_error(h);
    return ERR_OK;
}

int held_out_open(const char *path, uint32_t width, const float *scale, uint64_t limit_rows,
                  uint64_t rows, struct held_out **held_out)
{
    struct held_out *h = calloc(1, sizeof *h);
    if (!h) return err_set(ERR_NOMEM, "no memory for the held-out rows");
    int result = ERR_OK;
    h->width = width;
    h->scale = scale;
    h->limit_rows = limit_rows > rows ? limit_rows : rows;
    h->path = strdup(path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || !h->path || !(h->file = fdopen(fd, "r+"))) {
        result = err_set(ERR_IO, "cannot open %s: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
    }
    if (result == ERR_OK) result = cut(h, rows);
    if (result == ERR_OK) result = load(h, rows);
    /* Between reading and writing a stream must be positioned. */
    if (result == ERR_OK && fseeko(h->file, 0, SEEK_END) != 0) result = write_error(h);
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
    if (h->file) fclose(h->file);
    free(h->values);
    free(h->path);
    free(h);
}

int held_out_add(struct held_out *h, const float *values)
{
    if (h->rows == h->limit_rows) return ERR_OK;
    int result = make_room(h);
    if (result != ERR_OK) return result;
    if (fwrite(values, sizeof *values, h->width, h->file) != h->width) return write_error(h);
    keep_scaled(h, values);
    return ERR_OK;
}

int held_out_sync(struct held_out *h)
{
    if (fflush(h->file) != 0 || fsync(fileno(h->file)) != 0) return write_error(h);
    return ERR_OK;
}

uint64_t held_out_rows(const struct held_out *h)
{
    return h->rows;
}

const float *held_out_values(const struct held_out *h)
{
    return h->values;
}
