#include "base/err.h"
#include "engine/unpack_kind.h"

#include <lzma.h>
#include <stdlib.h>
#include <string.h>

struct xz {
    lzma_stream stream;
    uint64_t memory_bytes;
    int open;
};

static int begins(const unsigned char *head, size_t size)
{
    static const unsigned char magic[6] = {0xfd, '7', 'z', 'X', 'Z', 0};
    return size >= 3 && memcmp(head, magic, size < 6 ? size : 6) == 0;
}

static int open_xz(uint64_t memory_bytes, void **state)
{
    struct xz *x = calloc(1, sizeof *x);
    if (!x) return err_set(ERR_NOMEM, "no memory to decompress xz");
    x->memory_bytes = memory_bytes;
    *state = x;
    return ERR_OK;
}

static int failed(struct xz *x, const struct unpack_io *io, lzma_ret status)
{
    if (status == LZMA_MEMLIMIT_ERROR)
        return err_set(
            ERR_LIMIT,
            "%s: its xz data needs %llu MiB of memory, and at most %llu MiB are given to "
            "it here; HINT: compress it again with a smaller dictionary (xz -9 or below)",
            io->name, (unsigned long long)(lzma_memusage(&x->stream) >> 20),
            (unsigned long long)(x->memory_bytes >> 20));
    if (status == LZMA_MEM_ERROR) return err_set(ERR_NOMEM, "no memory to decompress %s", io->name);
    if (status == LZMA_OPTIONS_ERROR)
        return unpack_damaged(io, "xz", "a filter that this liblzma does not know");
    return unpack_damaged(io, "xz", "wrong bits or checksum");
}

static int step(void *state, struct unpack_io *io, int *whole)
{
    struct xz *x = state;
    if (!x->open) { /* the old decoder's memory is used again */
        lzma_ret begun = lzma_stream_decoder(&x->stream, x->memory_bytes, 0);
        if (begun != LZMA_OK) return failed(x, io, begun);
        x->open = 1;
    }
    x->stream.next_in = io->in;
    x->stream.avail_in = io->in_size;
    x->stream.next_out = io->out;
    x->stream.avail_out = io->out_size;
    lzma_ret status = lzma_code(&x->stream, LZMA_RUN);
    io->in = x->stream.next_in;
    io->in_size = x->stream.avail_in;
    io->out = x->stream.next_out;
    io->out_size = x->stream.avail_out;
    *whole = status == LZMA_STREAM_END;
    if (*whole) x->open = 0;
    if (status == LZMA_OK || status == LZMA_STREAM_END || status == LZMA_BUF_ERROR) return ERR_OK;
    return failed(x, io, status);
}

static void close_xz(void *state)
{
    struct xz *x = state;
    lzma_end(&x->stream);
    free(x);
}

const struct unpack_kind unpack_xz = {"xz", begins, open_xz, step, close_xz};
