#include "capture/window.h"

#include "base/err.h"

#include <stdlib.h>

struct window {
    uint32_t frames;
    struct window_frame *frame; /* (frames) */
    struct window_frame **ring; /* (frames) kept frame of number n at n % frames */
    uint8_t *memory;            /* (frames) buffers in one block */
    uint64_t first, next;       /* kept: first <= number < next */
    uint64_t rows, bytes;       /* kept */
};

int window_open(uint32_t frames, size_t payload_bytes, struct window **window)
{
    size_t each = (FRAME_HEADER_BYTES + payload_bytes + 63) / 64 * 64;
    struct window *w = calloc(1, sizeof *w);
    if (!w) return err_set(ERR_NOMEM, "no memory for a window of frames");
    w->frames = frames;
    w->first = w->next = 1;
    w->frame = calloc(frames, sizeof *w->frame);
    w->ring = calloc(frames, sizeof *w->ring);
    w->memory = aligned_alloc(64, each * frames);
    if (!w->frame || !w->ring || !w->memory) {
        window_close(w);
        return err_set(ERR_NOMEM,
                       "no memory for %u frames of %zu bytes; HINT: lower capture.retained", frames,
                       each);
    }
    for (uint32_t i = 0; i < frames; i++) w->frame[i].bytes = w->memory + each * i;
    *window = w;
    return ERR_OK;
}

void window_close(struct window *w)
{
    if (!w) return;
    free(w->memory);
    free(w->ring);
    free(w->frame);
    free(w);
}

struct window_frame *window_take(struct window *w)
{
    for (uint32_t i = 0; i < w->frames; i++) {
        struct window_frame *f = &w->frame[i]; /* the same few again and again stay in the cache */
        if (f->busy || f->holds) continue;
        f->busy = 1;
        return f;
    }
    return NULL;
}

void window_return(struct window *w, struct window_frame *frame)
{
    (void)w;
    frame->busy = 0;
}

void window_push(struct window *w, struct window_frame *frame)
{
    frame->header.number = w->next;
    w->ring[w->next % w->frames] = frame;
    w->next++;
    w->rows += frame->header.rows;
    w->bytes += FRAME_HEADER_BYTES + frame->header.packed_bytes;
}

struct window_frame *window_find(struct window *w, uint64_t number)
{
    return number >= w->first && number < w->next ? w->ring[number % w->frames] : NULL;
}

uint64_t window_drop_below(struct window *w, uint64_t number)
{
    uint64_t rows = 0;
    for (; w->first < w->next && w->first < number; w->first++) {
        struct window_frame *f = w->ring[w->first % w->frames];
        rows += f->header.rows;
        w->bytes -= FRAME_HEADER_BYTES + f->header.packed_bytes;
        f->busy = 0;
    }
    w->rows -= rows;
    return rows;
}

uint64_t window_restart(struct window *w, uint64_t next_number)
{
    uint64_t rows = window_drop_below(w, w->next);
    w->first = w->next = next_number;
    return rows;
}

uint64_t window_first(const struct window *w)
{
    return w->first;
}

uint64_t window_next(const struct window *w)
{
    return w->next;
}

uint64_t window_rows(const struct window *w)
{
    return w->rows;
}

uint64_t window_bytes(const struct window *w)
{
    return w->bytes;
}
