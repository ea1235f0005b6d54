#include "base/err.h"
#include "engine/unpack_kind.h"

#include <bzlib.h>
#include <stdlib.h>
#include <string.h>

struct bzip2 {
    bz_stream stream;
    int open;
};

/* "BZh" and a digit may begin a text, so the first block's mark must follow. */
static int begins(const unsigned char *head, size_t size)
{
    static const unsigned char block[6] = {0x31, 0x41, 0x59, 0x26, 0x53, 0x59};
    static const unsigned char end[6] = {0x17, 0x72, 0x45, 0x38, 0x50, 0x90};
    if (size < 5 || memcmp(head, "BZh", 3) != 0 || head[3] < '1' || head[3] > '9') return 0;
    size_t n = size - 4 < 6 ? size - 4 : 6;
    return memcmp(head + 4, block, n) == 0 || memcmp(head + 4, end, n) == 0;
}

static int open_bzip2(uint64_t memory_bytes, void **state)
{
    (void)memory_bytes; /* 4 MiB at most */
    *state = calloc(1, sizeof(struct bzip2));
    return *state ? ERR_OK : err_set(ERR_NOMEM, "no memory to decompress bzip2");
}

static unsigned bounded(size_t size)
{
    return size > (1u << 30) ? 1u << 30 : (unsigned)size;
}

static int stop(struct bzip2 *b)
{
    BZ2_bzDecompressEnd(&b->stream);
    b->open = 0;
    return 1;
}

static int step(void *state, struct unpack_io *io, int *whole)
{
    struct bzip2 *b = state;
    if (!b->open) {
        b->stream = (bz_stream){0};
        if (BZ2_bzDecompressInit(&b->stream, 0, 0) != BZ_OK)
            return err_set(ERR_NOMEM, "no memory to decompress %s", io->name);
        b->open = 1;
    }
    unsigned in = bounded(io->in_size), out = bounded(io->out_size);
    b->stream.next_in = (char *)(uintptr_t)io->in; /* it does not write there */
    b->stream.avail_in = in;
    b->stream.next_out = (char *)io->out;
    b->stream.avail_out = out;
    int status = BZ2_bzDecompress(&b->stream);
    io->in += in - b->stream.avail_in;
    io->in_size -= in - b->stream.avail_in;
    io->out += out - b->stream.avail_out;
    io->out_size -= out - b->stream.avail_out;
    if (status == BZ_STREAM_END) *whole = stop(b);
    if (status == BZ_OK || status == BZ_STREAM_END) return ERR_OK;
    if (status == BZ_MEM_ERROR) return err_set(ERR_NOMEM, "no memory to decompress %s", io->name);
    return unpack_damaged(io, "bzip2", "wrong bits or checksum");
}

static void close_bzip2(void *state)
{
    struct bzip2 *b = state;
    if (b->open) stop(b);
    free(b);
}

const struct unpack_kind unpack_bzip2 = {"bzip2", begins, open_bzip2, step, close_bzip2};
