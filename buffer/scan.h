/*
 * Every slab of a buffer once, in the order of its id, for those who only look: read-only, beside the
 * sink and its consumers. A scan is no consumer. It registers nowhere, nothing waits for it, and it
 * keeps no slab from being freed: what goes before it was read is counted, and missed. It is in a
 * read transaction for as long as one slab takes to be copied.
 */
#ifndef SLUICE_BUFFER_SCAN_H
#define SLUICE_BUFFER_SCAN_H

#include "base/row.h"

struct scan;

struct scan_slab { /* valid until the next call of scan_next() */
    uint64_t id, number;
    uint64_t captured_ns; /* CLOCK_REALTIME; of its youngest row */
    uint32_t producer, rows;
    const void *raw; /* proto/rows.h reads it: rows_id(), scan_values() */
};

/* Open a buffer; waits for nothing. A child looks at the files first (it forks). ERR_NOTFOUND: there
 * is no buffer, or it has no descriptor yet; ERR_CORRUPT: it is damaged; ERR_VERSION, ERR_USAGE,
 * ERR_NOMEM, ERR_IO. The caller closes it. */
int scan_open(const char *dir, struct scan **scan);
void scan_close(struct scan *scan); /* NULL is fine */

const char *scan_descriptor(const struct scan *scan); /* JSON, NUL-terminated, owned by scan */
uint32_t scan_width(const struct scan *scan);
/* Age at which the stream's rows have to go, wherever they are; 0: no such. */
uint64_t scan_retention_seconds(const struct scan *scan);

/* The next slab, its checksums checked. ERR_NOTFOUND: there is none now. ERR_CORRUPT: damaged, or
 * the buffer was replaced by another; the text says what to do. ERR_IO. */
int scan_next(struct scan *scan, struct scan_slab *slab);
/* Row i of it as float32, as the engine made it but for what its dtype costs: out[width]. */
void scan_values(const struct scan *scan, const struct scan_slab *slab, uint32_t i, float *out);
/* Whether the stream had ended when scan_next() looked last: after its ERR_NOTFOUND no more comes. */
int scan_ended(const struct scan *scan);

struct scan_counts {
    uint64_t slabs; /* read */
    /* That were there when the scan was opened, or came later, and had been freed or replaced before
     * they were read: up to the newest one that was seen. Known once scan_next() gave ERR_NOTFOUND
     * or a slab that came later; 0 before. */
    uint64_t missed_slabs;
};
struct scan_counts scan_counts(const struct scan *scan);

#endif
