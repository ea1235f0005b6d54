/* Any bytes as a compressed file, whatever pieces they come in: the same bytes come out, or the
 * same kind of error, in bounded memory. The first byte chooses the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "engine/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { MOST_BYTES = 1 << 20, MEMORY_BYTES = 32 << 20 };

/* A hash of what comes out and of how it ends. In and out come in pieces. */
static uint64_t unpack_all(const uint8_t *data, size_t bytes, size_t in_step, size_t out_step)
{
    struct unpack *u;
    uint64_t hash = 1469598103934665603u;
    size_t at = 0, shown = 0, total = 0;
    unsigned char *out = malloc(out_step);
    size_t head = bytes < UNPACK_HEAD_BYTES ? bytes : UNPACK_HEAD_BYTES;
    const struct unpack_kind *kind = unpack_find(data, head);
    if (!kind || unpack_open(kind, MEMORY_BYTES, &u) != ERR_OK) {
        free(out);
        return 0;
    }
    shown = head;
    for (;;) {
        size_t in = shown - at, got = out_step;
        int result = unpack_step(u, "fuzz", data + at, &in, shown == bytes, out, &got);
        if (in > shown - at || got > out_step) abort();
        at += in;
        total += got;
        for (size_t i = 0; i < got; i++) hash = (hash ^ out[i]) * 1099511628211u;
        if (total > MOST_BYTES) break;
        if (result != ERR_OK) {
            if (result != ERR_FORMAT && result != ERR_LIMIT && result != ERR_NOMEM) abort();
            hash = 1; /* how much came before is the pieces' affair */
            break;
        }
        if (in > 0 || got > 0) continue;
        if (shown == bytes) break;
        shown = bytes - shown < in_step ? bytes : shown + in_step;
    }
    unpack_close(u);
    free(out);
    return total > MOST_BYTES ? 2 : hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1) return 0;
    size_t in_step = 1 + data[0] % 16, out_step = 1 + data[0] / 16 * 37u;
    uint64_t pieces = unpack_all(data + 1, bytes - 1, in_step, out_step);
    uint64_t whole = unpack_all(data + 1, bytes - 1, bytes, 1 << 16);
    if (whole != pieces && whole != 2 && pieces != 2) abort();
    return 0;
}
