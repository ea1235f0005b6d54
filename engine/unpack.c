#include "engine/unpack.h"

#include "base/err.h"
#include "engine/unpack_kind.h"

#include <stdlib.h>

static const struct unpack_kind *const kinds[] = {&unpack_gzip, &unpack_zstd, &unpack_bzip2,
                                                  &unpack_xz};

struct unpack {
    const struct unpack_kind *kind;
    void *state;
    int inside; /* a stream: the end may not come now */
};

const struct unpack_kind *unpack_find(const unsigned char *head, size_t size)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i]->begins(head, size)) return kinds[i];
    return NULL;
}

int unpack_open(const struct unpack_kind *kind, uint64_t memory_bytes, struct unpack **unpack)
{
    struct unpack *u = calloc(1, sizeof *u);
    if (!u) return err_set(ERR_NOMEM, "no memory to decompress");
    u->kind = kind;
    u->inside = 1;
    int result = kind->open(memory_bytes, &u->state);
    if (result != ERR_OK) {
        free(u);
        return result;
    }
    *unpack = u;
    return ERR_OK;
}

void unpack_close(struct unpack *u)
{
    if (!u) return;
    u->kind->close(u->state);
    free(u);
}

int unpack_damaged(const struct unpack_io *io, const char *kind, const char *why)
{
    return err_set(ERR_FORMAT, "%s: damaged %s data (%s); HINT: fetch or make it again", io->name,
                   kind, why);
}

/* Between streams: zeros pad (tapes, tar), another stream of the kind goes on, all else is wrong.
 * Takes the zeros; *more = 1 where a stream begins. */
static int between(struct unpack *u, struct unpack_io *io, int ended, int *more)
{
    *more = 0;
    for (; io->in_size > 0 && *io->in == 0; io->in++) io->in_size--;
    if (io->in_size == 0 || (io->in_size < UNPACK_HEAD_BYTES && !ended)) return ERR_OK;
    *more = u->kind->begins(io->in, io->in_size);
    if (*more) return ERR_OK;
    return err_set(ERR_FORMAT,
                   "%s: what comes behind the %s data is not %s; HINT: fetch or make it again",
                   io->name, u->kind->name, u->kind->name);
}

static int step(struct unpack *u, struct unpack_io *io, int ended)
{
    int whole = 0, more = 1;
    if (!u->inside) {
        int result = between(u, io, ended, &more);
        if (result != ERR_OK || !more) return result;
        u->inside = 1;
    }
    size_t in_size = io->in_size, out_size = io->out_size;
    int result = u->kind->step(u->state, io, &whole);
    if (result != ERR_OK) return result;
    if (whole)
        u->inside = 0;
    else if (ended && io->in_size == in_size && io->out_size == out_size)
        return err_set(ERR_FORMAT, "%s: the compressed data ends early; HINT: fetch it again",
                       io->name);
    return ERR_OK;
}

int unpack_step(struct unpack *u, const char *name, const unsigned char *in, size_t *in_size,
                int ended, unsigned char *out, size_t *out_size)
{
    struct unpack_io io = {in, *in_size, out, *out_size, name};
    int result = ERR_OK;
    do { /* the end of a stream is passed without a word */
        size_t before = io.in_size;
        result = step(u, &io, ended);
        if (result != ERR_OK || io.in_size == before) break;
    } while (io.out_size == *out_size && io.in_size > 0);
    *in_size -= io.in_size;
    *out_size -= io.out_size;
    return result;
}
