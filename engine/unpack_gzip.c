#include "base/err.h"
#include "engine/unpack_kind.h"

#include <stdlib.h>
#include <zlib.h>

struct gzip {
    z_stream stream;
    int ended; /* the last member has: the next call begins another */
};

static int begins(const unsigned char *head, size_t size)
{
    return size >= 2 && head[0] == 0x1f && head[1] == 0x8b;
}

static int open_gzip(uint64_t memory_bytes, void **state)
{
    (void)memory_bytes; /* the window is 32 KiB */
    struct gzip *g = calloc(1, sizeof *g);
    if (!g || inflateInit2(&g->stream, 16 + MAX_WBITS) != Z_OK) {
        free(g);
        return err_set(ERR_NOMEM, "no memory to decompress gzip");
    }
    *state = g;
    return ERR_OK;
}

static uInt bounded(size_t size)
{
    return size > (1u << 30) ? 1u << 30 : (uInt)size;
}

static int step(void *state, struct unpack_io *io, int *whole)
{
    struct gzip *g = state;
    if (g->ended) inflateReset(&g->stream);
    g->ended = 0;
    uInt in = bounded(io->in_size), out = bounded(io->out_size);
    g->stream.next_in = (unsigned char *)(uintptr_t)io->in; /* zlib does not write there */
    g->stream.avail_in = in;
    g->stream.next_out = io->out;
    g->stream.avail_out = out;
    int status = inflate(&g->stream, Z_NO_FLUSH);
    io->in += in - g->stream.avail_in;
    io->in_size -= in - g->stream.avail_in;
    io->out += out - g->stream.avail_out;
    io->out_size -= out - g->stream.avail_out;
    *whole = g->ended = status == Z_STREAM_END;
    if (status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR) return ERR_OK;
    return unpack_damaged(io, "gzip", g->stream.msg ? g->stream.msg : "inflate failed");
}

static void close_gzip(void *state)
{
    struct gzip *g = state;
    inflateEnd(&g->stream);
    free(g);
}

const struct unpack_kind unpack_gzip = {"gzip", begins, open_gzip, step, close_gzip};
