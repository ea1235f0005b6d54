#include "engine/reader.h"

#include "base/err.h"
#include "engine/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READER_INPUT_BYTES = 1 << 16 };

#define READER_MEMORY_BYTES (UINT64_C(2) << 30) /* as far as libzstd's windows go */

struct reader {
    char *path;
    int fd;
    int own_fd;
    int input_ended;
    struct unpack *unpack; /* NULL: the bytes are taken as they are */
    size_t begin, end;     /* of the unread part of input */
    unsigned char input[READER_INPUT_BYTES];
};

/* Add what one read() gives to the input; sets input_ended at the end. */
static int fill(struct reader *r)
{
    if (r->begin > 0) {
        memmove(r->input, r->input + r->begin, r->end - r->begin);
        r->end -= r->begin;
        r->begin = 0;
    }
    ssize_t n;
    do {
        n = read(r->fd, r->input + r->end, sizeof r->input - r->end);
    } while (n < 0 && errno == EINTR);
    if (n < 0) return err_set(err_of_file(errno), "cannot read %s: %s", r->path, strerror(errno));
    if (n == 0) r->input_ended = 1;
    r->end += (size_t)n;
    return ERR_OK;
}

/* What a window or dictionary may take. */
static uint64_t memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t half = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page / 2 : UINT64_MAX;
    return half < READER_MEMORY_BYTES ? half : READER_MEMORY_BYTES;
}

static int start(struct reader *r)
{
    while (r->end < UNPACK_HEAD_BYTES && !r->input_ended) {
        int result = fill(r);
        if (result != ERR_OK) return result;
    }
    const struct unpack_kind *kind = unpack_find(r->input, r->end);
    return kind ? unpack_open(kind, memory_bytes(), &r->unpack) : ERR_OK;
}

int reader_open(const char *path, struct reader **reader)
{
    struct reader *r = calloc(1, sizeof *r);
    if (!r) return err_set(ERR_NOMEM, "no memory to read %s", path);
    int is_stdin = strcmp(path, "-") == 0;
    r->own_fd = !is_stdin;
    r->path = strdup(is_stdin ? "standard input" : path);
    r->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int result = ERR_OK;
    if (!r->path)
        result = err_set(ERR_NOMEM, "no memory to read %s", path);
    else if (r->fd < 0)
        result = err_set(err_of_file(errno), "cannot open %s: %s", path, strerror(errno));
    else
        result = start(r);
    if (result != ERR_OK) {
        reader_close(r);
        return result;
    }
    *reader = r;
    return ERR_OK;
}

static size_t read_plain(struct reader *r, void *out, size_t size)
{
    size_t n = r->end - r->begin;
    if (n > size) n = size;
    memcpy(out, r->input + r->begin, n);
    r->begin += n;
    return n;
}

static int read_packed(struct reader *r, void *out, size_t size, size_t *got, size_t *used)
{
    *used = r->end - r->begin;
    *got = size;
    int result =
        unpack_step(r->unpack, r->path, r->input + r->begin, used, r->input_ended, out, got);
    r->begin += *used;
    return result;
}

int reader_read(struct reader *r, void *out, size_t size, size_t *got)
{
    *got = 0;
    for (;;) {
        size_t used = 0;
        int result = ERR_OK;
        if (!r->unpack)
            *got = read_plain(r, out, size);
        else
            result = read_packed(r, out, size, got, &used);
        if (result != ERR_OK || *got > 0) return result;
        if (used > 0) continue;
        if (r->input_ended) return ERR_OK;
        result = fill(r);
        if (result != ERR_OK) return result;
    }
}

void reader_close(struct reader *r)
{
    if (!r) return;
    unpack_close(r->unpack);
    if (r->own_fd && r->fd >= 0) close(r->fd);
    free(r->path);
    free(r);
}
