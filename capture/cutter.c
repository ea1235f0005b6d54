#include "capture/cutter.h"

#include "base/err.h"
#include "proto/rows.h"

#include <stdlib.h>
#include <string.h>

struct cutter {
    struct cutter_options options;
    struct frame_totals totals;
    uint32_t rows;
    struct row_id *ids; /* (rows_per_slab) */
    float *values;      /* (rows_per_slab, width) */
    struct cursor begin, end;
    size_t raw_bytes; /* of a whole frame */
    void *raw;        /* a raw payload, where it has to be packed afterwards */
    void *scratch;
};

int cutter_new(const struct cutter_options *options, struct cutter **cutter)
{
    size_t raw = frame_raw_bytes(options->rows_per_slab, options->width, options->dtype);
    if (!raw)
        return err_set(ERR_LIMIT, "%u rows of %u values make no frame", options->rows_per_slab,
                       options->width);
    struct cutter *c = calloc(1, sizeof *c);
    if (!c) return err_set(ERR_NOMEM, "no memory for the cutter of frames");
    c->options = *options;
    c->raw_bytes = raw;
    c->ids = malloc(options->rows_per_slab * sizeof *c->ids);
    c->values = malloc((size_t)options->rows_per_slab * options->width * sizeof *c->values);
    c->raw = options->codec == CODEC_NONE ? NULL : malloc(raw);
    c->scratch = malloc(frame_scratch_bytes(raw));
    if (!c->ids || !c->values || !c->scratch || (options->codec != CODEC_NONE && !c->raw)) {
        cutter_free(c);
        return err_set(ERR_NOMEM, "no memory for a frame of %zu bytes", raw);
    }
    *cutter = c;
    return ERR_OK;
}

void cutter_free(struct cutter *c)
{
    if (!c) return;
    free(c->ids);
    free(c->values);
    free(c->raw);
    free(c->scratch);
    free(c);
}

size_t cutter_payload_bytes(const struct cutter *c)
{
    return c->options.codec == CODEC_NONE ? c->raw_bytes : frame_packed_bound(c->raw_bytes);
}

void cutter_restart(struct cutter *c, const struct frame_totals *totals)
{
    c->rows = 0;
    c->totals = *totals;
}

void cutter_add(struct cutter *c, const struct row_id *id, const float *values,
                const struct cursor *begin, const struct cursor *end)
{
    if (!c->rows) c->begin = *begin;
    c->end = *end;
    c->ids[c->rows] = *id;
    if (c->options.drops_tokens) c->ids[c->rows].token = ROW_NO_TOKEN;
    memcpy(c->values + (size_t)c->rows * c->options.width, values,
           c->options.width * sizeof *values);
    c->rows++;
    c->totals.captured_rows++;
}

void cutter_leave_out(struct cutter *c, enum filter_verdict verdict)
{
    if (verdict == FILTER_NOT_FINITE) {
        c->totals.captured_rows++;
        c->totals.rejected_rows++;
    } else {
        c->totals.filtered_rows++;
    }
}

void cutter_lose(struct cutter *c, uint64_t rows)
{
    c->totals.captured_rows += rows;
}

uint32_t cutter_rows(const struct cutter *c)
{
    return c->rows;
}

int cutter_full(const struct cutter *c)
{
    return c->rows == c->options.rows_per_slab;
}

int cutter_seal(struct cutter *c, uint64_t captured_ns, struct frame_header *header,
                uint8_t *payload)
{
    void *raw = c->raw ? c->raw : payload;
    rows_to_raw(c->options.dtype, c->rows, c->options.width, c->ids, c->values, raw);
    *header = (struct frame_header){
        .stream = c->options.stream,
        .producer = c->options.producer,
        .begin = c->begin,
        .end = c->end,
        .totals = c->totals,
        .rows = c->rows,
        .width = c->options.width,
        .dtype = c->options.dtype,
        .codec = c->options.codec,
        .raw_bytes = (uint32_t)frame_raw_bytes(c->rows, c->options.width, c->options.dtype),
        .captured_ns = captured_ns,
    };
    c->rows = 0;
    return frame_seal(header, raw, payload, c->scratch);
}

uint32_t cutter_drop(struct cutter *c)
{
    uint32_t rows = c->rows;
    c->rows = 0;
    return rows;
}

struct frame_totals cutter_totals(const struct cutter *c)
{
    return c->totals;
}
