#include "engine/reader.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { READER_INPUT_BYTES = 1 << 16 };

enum kind { KIND_PLAIN, KIND_GZIP, KIND_ZSTD };

struct reader {
    char *path;
    int fd;
    int own_fd;
    enum kind kind;
    int input_ended;
    int member_open; /* inside a gzip member or zstd frame: the end may not come now */
    z_stream gzip;
    ZSTD_DStream *zstd;
    size_t begin, end; /* of the unread part of input */
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

static int begins_gzip(const struct reader *r)
{
    const unsigned char *p = r->input + r->begin;
    return r->end - r->begin >= 2 && p[0] == 0x1f && p[1] == 0x8b;
}

static int begins_zstd(const struct reader *r)
{
    static const unsigned char magic[4] = {0x28, 0xb5, 0x2f, 0xfd};
    return r->end - r->begin >= 4 && memcmp(r->input + r->begin, magic, 4) == 0;
}

static int start(struct reader *r)
{
    while (r->end < 4 && !r->input_ended) {
        int result = fill(r);
        if (result != ERR_OK) return result;
    }
    if (begins_gzip(r)) {
        r->kind = KIND_GZIP;
        r->member_open = 1;
        if (inflateInit2(&r->gzip, 16 + MAX_WBITS) != Z_OK) {
            r->kind = KIND_PLAIN; /* nothing to end */
            return err_set(ERR_NOMEM, "no memory to decompress %s", r->path);
        }
    } else if (begins_zstd(r)) {
        r->kind = KIND_ZSTD;
        r->member_open = 1;
        r->zstd = ZSTD_createDStream();
        if (!r->zstd) return err_set(ERR_NOMEM, "no memory to decompress %s", r->path);
    }
    return ERR_OK;
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

static int read_gzip(struct reader *r, void *out, size_t size, size_t *got)
{
    if (!r->member_open) {
        if (!begins_gzip(r)) { /* padding after the last member, as gzip itself reads it */
            r->begin = r->end;
            return ERR_OK;
        }
        inflateReset(&r->gzip);
        r->member_open = 1;
    }
    r->gzip.next_in = r->input + r->begin;
    r->gzip.avail_in = (uInt)(r->end - r->begin);
    r->gzip.next_out = out;
    r->gzip.avail_out = (uInt)(size > (1u << 30) ? 1u << 30 : size);
    uInt room = r->gzip.avail_out;
    int status = inflate(&r->gzip, Z_NO_FLUSH);
    r->begin = r->end - r->gzip.avail_in;
    *got = room - r->gzip.avail_out;
    if (status == Z_STREAM_END) {
        r->member_open = 0;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
        return err_set(ERR_FORMAT, "%s: damaged gzip data (%s)", r->path,
                       r->gzip.msg ? r->gzip.msg : "inflate failed");
    }
    return ERR_OK;
}

static int read_zstd(struct reader *r, void *out, size_t size, size_t *got)
{
    ZSTD_inBuffer in = {r->input + r->begin, r->end - r->begin, 0};
    ZSTD_outBuffer to = {out, size, 0};
    size_t status = ZSTD_decompressStream(r->zstd, &to, &in);
    r->begin += in.pos;
    *got = to.pos;
    if (ZSTD_isError(status))
        return err_set(ERR_FORMAT, "%s: damaged zstd data (%s)", r->path,
                       ZSTD_getErrorName(status));
    r->member_open = status != 0;
    return ERR_OK;
}

int reader_read(struct reader *r, void *out, size_t size, size_t *got)
{
    *got = 0;
    while (*got == 0) {
        /* A decompressor may hold output back without input, so it is asked once more at the end.
         */
        int ended = r->begin == r->end && r->input_ended;
        if (ended && (r->kind == KIND_PLAIN || !r->member_open)) return ERR_OK;
        int starved = r->begin == r->end || (r->kind == KIND_GZIP && !r->member_open &&
                                             r->end - r->begin < 2 && !r->input_ended);
        int result = ERR_OK;
        if (starved && !r->input_ended) {
            result = fill(r);
            if (result != ERR_OK) return result;
            continue;
        }
        if (r->kind == KIND_PLAIN)
            *got = read_plain(r, out, size);
        else if (r->kind == KIND_GZIP)
            result = read_gzip(r, out, size, got);
        else
            result = read_zstd(r, out, size, got);
        if (result != ERR_OK) return result;
        if (ended && *got == 0 && r->member_open)
            return err_set(ERR_FORMAT, "%s: the compressed data ends early; HINT: fetch it again",
                           r->path);
    }
    return ERR_OK;
}

void reader_close(struct reader *r)
{
    if (!r) return;
    if (r->kind == KIND_GZIP) inflateEnd(&r->gzip);
    if (r->zstd) ZSTD_freeDStream(r->zstd);
    if (r->own_fd && r->fd >= 0) close(r->fd);
    free(r->path);
    free(r);
}
