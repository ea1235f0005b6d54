/* zstd: frames, skippable ones among them (also first), and windows as long as libzstd can. */
#include "base/err.h"
#include "engine/unpack_kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

struct zstd {
    ZSTD_DStream *stream;
    uint64_t memory_bytes;
    uint64_t window_bytes; /* that the frame asks for */
    int frame_begun;
};

static uint32_t number(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* 16 magic numbers are those of skippable frames (LZ4 has the same ones). */
static int begins(const unsigned char *head, size_t size)
{
    if (size < 4) return 0;
    uint32_t magic = number(head);
    return magic == ZSTD_MAGICNUMBER ||
           (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

/* The largest window's logarithm that a bound leaves. */
static int window_log(uint64_t memory_bytes)
{
    int log = (int)ZSTD_dParam_getBounds(ZSTD_d_windowLogMax).upperBound;
    int least = (int)ZSTD_dParam_getBounds(ZSTD_d_windowLogMax).lowerBound;
    while (log > least && UINT64_C(1) << log > memory_bytes) log--;
    return log;
}

static int open_zstd(uint64_t memory_bytes, void **state)
{
    struct zstd *z = calloc(1, sizeof *z);
    if (z) z->stream = ZSTD_createDStream();
    if (!z || !z->stream) {
        free(z);
        return err_set(ERR_NOMEM, "no memory to decompress zstd");
    }
    z->memory_bytes = memory_bytes;
    ZSTD_DCtx_setParameter(z->stream, ZSTD_d_windowLogMax, window_log(memory_bytes));
    *state = z;
    return ERR_OK;
}

/* The window of the frame whose header this is, for a message (RFC 8878, 3.1.1.1): 0 where it is
 * not there to be read. */
static uint64_t window_of(const unsigned char *p, size_t size)
{
    if (size < 6 || number(p) != ZSTD_MAGICNUMBER) return 0;
    if (!(p[4] & 0x20)) {
        uint64_t base = UINT64_C(1) << (10 + (p[5] >> 3));
        return base + base / 8 * (p[5] & 7);
    }
    static const unsigned dictionary_bytes[4] = {0, 1, 2, 4}, size_bytes[4] = {1, 2, 4, 8};
    const unsigned char *at = p + 5 + dictionary_bytes[p[4] & 3];
    uint64_t window = 0; /* a single segment: the window is the content's size */
    for (unsigned i = 0; i < size_bytes[p[4] >> 6] && at + i < p + size; i++)
        window |= (uint64_t)at[i] << (8 * i);
    return window;
}

static int failed(const struct zstd *z, const struct unpack_io *io, size_t status)
{
    ZSTD_ErrorCode code = ZSTD_getErrorCode(status);
    if (code != ZSTD_error_frameParameter_windowTooLarge && code != ZSTD_error_memory_allocation)
        return unpack_damaged(io, "zstd", ZSTD_getErrorName(status));
    return err_set(
        ERR_LIMIT,
        "%s: its zstd data needs a window of %llu MiB, and at most %llu MiB are given to "
        "it here; HINT: compress it again without --long or --ultra",
        io->name, (unsigned long long)(z->window_bytes >> 20),
        (unsigned long long)(UINT64_C(1) << window_log(z->memory_bytes)) >> 20);
}

static int step(void *state, struct unpack_io *io, int *whole)
{
    struct zstd *z = state;
    if (!z->frame_begun) z->window_bytes = window_of(io->in, io->in_size);
    z->frame_begun = 1;
    ZSTD_inBuffer in = {io->in, io->in_size, 0};
    ZSTD_outBuffer out = {io->out, io->out_size, 0};
    size_t status = ZSTD_decompressStream(z->stream, &out, &in);
    io->in += in.pos;
    io->in_size -= in.pos;
    io->out += out.pos;
    io->out_size -= out.pos;
    if (ZSTD_isError(status)) return failed(z, io, status);
    *whole = status == 0;
    if (*whole) z->frame_begun = 0;
    return ERR_OK;
}

static void close_zstd(void *state)
{
    struct zstd *z = state;
    ZSTD_freeDStream(z->stream);
    free(z);
}

const struct unpack_kind unpack_zstd = {"zstd", begins, open_zstd, step, close_zstd};
