#include "trainer/history.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_COLUMNS "step\trows\tseconds\tsae\tflops\tloss\tmse\tfve\tl0\tdead"
static const char header[] = FIRST_COLUMNS "\tlr\tbatch_rows\trate\tlambda\n";
/* A run that an older build began keeps its columns. */
static const char old_header[] = FIRST_COLUMNS "\n";

struct history {
    int fd;
    int is_old; /* it has the first columns alone */
    char *path;
    uint64_t last_steps;        /* of the last lines */
    size_t last_begin, written; /* offsets in the file: of these lines, and its good bytes */
    char *pending;              /* what comes behind them */
    size_t pending_bytes;
    int damaged; /* there was something else in it */
};

static int write_error(const struct history *h)
{
    int full = errno == ENOSPC || errno == EDQUOT;
    return err_set(full ? ERR_NOSPC : ERR_IO, "cannot write %s: %s%s", h->path, strerror(errno),
                   full ? "; HINT: free space on that disk" : "");
}

/* Sets `written` to the good bytes: whole lines up to the last of a step up to `steps`. */
static void keep(struct history *h, FILE *in, uint64_t steps)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n = getline(&line, &room, in);
    h->is_old = n > 0 && strcmp(line, old_header) == 0;
    if (h->is_old || (n > 0 && strcmp(line, header) == 0))
        h->written = (size_t)n; /* else torn, or not ours */
    while (h->written > 0 && (n = getline(&line, &room, in)) > 0 && line[n - 1] == '\n') {
        char *after;
        uint64_t step = strtoull(line, &after, 10);
        h->damaged = *after != '\t';
        if (h->damaged || step > steps) break;
        if (step != h->last_steps) h->last_begin = h->written;
        h->last_steps = step;
        h->written += (size_t)n;
    }
    if (n > 0 && (h->written == 0 || line[n - 1] != '\n')) h->damaged = 1;
    free(line);
}

static int take_up(struct history *h, uint64_t steps)
{
    FILE *in = NULL;
    int result = steps > 0 ? own_stream(h->path, &in) : ERR_OK;
    if (result != ERR_OK) return result;
    if (in) keep(h, in, steps);
    if (in) fclose(in);
    if (ftruncate(h->fd, (off_t)h->written) != 0) return write_error(h);
    if (h->written > 0) return ERR_OK;
    h->pending = strdup(header);
    h->pending_bytes = strlen(header);
    return h->pending ? ERR_OK : err_set(ERR_NOMEM, "no memory for %s", h->path);
}

int history_open(const char *path, uint64_t steps, struct history **history)
{
    struct history *h = calloc(1, sizeof *h);
    if (!h) return err_set(ERR_NOMEM, "no memory for %s", path);
    h->path = strdup(path);
    int result = own_open(path, O_RDWR | O_CREAT, &h->fd);
    if (result == ERR_OK && !h->path) result = err_set(ERR_NOMEM, "no memory for %s", path);
    if (result == ERR_OK) result = take_up(h, steps);
    if (result != ERR_OK) {
        history_close(h);
        return result;
    }
    *history = h;
    return ERR_OK;
}

void history_close(struct history *h)
{
    if (!h) return;
    if (h->fd >= 0) close(h->fd);
    free(h->pending);
    free(h->path);
    free(h);
}

/* In one call, and at the place where it belongs, so that a disk that was full can be tried
 * again. */
static int write_pending(struct history *h)
{
    uint64_t end = h->written + h->pending_bytes;
    if (file_put_at(h->fd, h->pending, h->pending_bytes, h->written) != 0 ||
        ftruncate(h->fd, (off_t)end) != 0)
        return write_error(h);
    h->written = end;
    h->pending_bytes = 0;
    return ERR_OK;
}

static void column(FILE *out, const char *format, double x)
{
    fputc('\t', out);
    if (isfinite(x))
        fprintf(out, format, x);
    else
        fputc('-', out);
}

static void print_point(FILE *out, const struct history_point *p, int is_old)
{
    fprintf(out, "\t%s", p->sae);
    column(out, "%.10g", p->flops);
    column(out, "%.6g", p->loss);
    column(out, "%.6g", p->mse);
    column(out, "%.6f", p->fve);
    column(out, "%.3f", p->l0);
    column(out, "%.0f", p->dead);
    if (!is_old) {
        column(out, "%.6g", p->lr);
        column(out, "%.0f", p->batch_rows);
        column(out, "%.6g", p->rate);
        column(out, "%.6g", p->lambda);
    }
    fputc('\n', out);
}

/* Forget the lines of the last step, wherever they are. */
static void drop_last(struct history *h)
{
    h->pending_bytes = h->last_begin > h->written ? h->last_begin - h->written : 0;
    if (h->last_begin < h->written) h->written = h->last_begin;
}

int history_add(struct history *h, uint64_t steps, uint64_t rows, double seconds,
                const struct history_point *points, uint32_t count)
{
    char *text = NULL;
    size_t bytes = 0;
    if (steps == h->last_steps && h->last_begin > 0) drop_last(h);
    FILE *out = open_memstream(&text, &bytes);
    if (!out) return err_set(ERR_NOMEM, "no memory for %s", h->path);
    if (h->pending_bytes > 0) fwrite(h->pending, 1, h->pending_bytes, out);
    for (uint32_t i = 0; i < count; i++) {
        fprintf(out, "%" PRIu64 "\t%" PRIu64 "\t%.3f", steps, rows, seconds);
        print_point(out, &points[i], h->is_old);
    }
    if (fclose(out) != 0) {
        free(text);
        return err_set(ERR_NOMEM, "no memory for %s", h->path);
    }
    h->last_begin = h->written + h->pending_bytes;
    h->last_steps = steps;
    free(h->pending);
    h->pending = text;
    h->pending_bytes = bytes;
    (void)write_pending(h); /* what the disk does not take now is history_sync()'s to tell */
    return ERR_OK;
}

int history_was_damaged(const struct history *h)
{
    return h->damaged;
}

uint64_t history_steps(const struct history *h)
{
    return h->last_steps;
}

int history_sync(struct history *h)
{
    int result = write_pending(h);
    if (result == ERR_OK && fsync(h->fd) != 0) result = write_error(h);
    return result;
}
