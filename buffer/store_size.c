/* How a buffer of a given size is laid out. */
#include "buffer/environment.h"

#include "base/err.h"

_Static_assert(STORE_SLAB_HEADER_BYTES + STORE_LEAST_ROWS * (16 + 4 * (uint64_t)ROW_MAX_WIDTH) <
                   FRAME_MAX_RAW_BYTES,
               "the largest slab holds the least rows of any width");

enum { CLASS_PAGES = 64, LARGEST_PAGES = FRAME_MAX_RAW_BYTES / BUFFER_PAGE_BYTES };

uint32_t store_rows_per_slab(uint32_t slab_bytes, uint32_t width, uint8_t dtype)
{
    if (slab_bytes <= STORE_SLAB_HEADER_BYTES) return 0;
    return frame_rows_within(slab_bytes - STORE_SLAB_HEADER_BYTES, width, dtype);
}

uint64_t store_slab_capacity(uint64_t size_bytes, uint32_t slab_bytes, uint32_t width)
{
    uint64_t pages = size_bytes / BUFFER_PAGE_BYTES;
    uint64_t slab_pages = (slab_bytes + LMDB_PAGE_HEADER_BYTES) / BUFFER_PAGE_BYTES;
    /* Meta pages, roots, records of producers; the descriptor, whose mean has `width` numbers. */
    uint64_t descriptor_bytes = 16384 + (uint64_t)width * 20;
    uint64_t kept = 128 + descriptor_bytes / BUFFER_PAGE_BYTES;
    if (slab_pages == 0 || pages <= kept) return 0;
    /* Freed slabs are no room at once, and small records break up runs of pages: measured with the
     * smallest buffers, readers that hold a transaction for 2 ms, and frees of an eighth at a
     * time. */
    uint64_t slack = (pages - kept) / 20;
    if (slack < STORE_SLACK_SLABS * slab_pages) slack = STORE_SLACK_SLABS * slab_pages;
    if (pages <= kept + slack) return 0;
    uint64_t slabs = (pages - kept - slack) / slab_pages;
    /* 26 bytes per slab in leaves that may be half full, twice over while a commit copies them. */
    uint64_t tree_pages = slabs * 4 / 150;
    uint64_t lost = (tree_pages + slab_pages - 1) / slab_pages;
    return slabs > lost ? slabs - lost : 0;
}

uint32_t store_slab_bytes(uint64_t size_bytes, uint32_t width, uint8_t dtype)
{
    uint32_t best = 0;
    for (uint32_t pages = 1; pages <= LARGEST_PAGES; pages++) {
        uint32_t bytes = pages * BUFFER_PAGE_BYTES - LMDB_PAGE_HEADER_BYTES;
        if (pages > CLASS_PAGES && best) break;
        if (store_slab_capacity(size_bytes, bytes, width) < STORE_LEAST_SLABS) break;
        if (store_rows_per_slab(bytes, width, dtype) >= STORE_LEAST_ROWS) best = bytes;
    }
    return best;
}

int store_slab_choose(const struct store_options *o, uint32_t *slab_bytes)
{
    uint32_t bytes = o->slab_bytes;
    if (!bytes) bytes = store_slab_bytes(o->size_bytes, o->width, o->dtype);
    if (!bytes) {
        uint64_t least = 1 << 20;
        while (least < 1ull << 50 && !store_slab_bytes(least, o->width, o->dtype))
            least += least / 8;
        return err_set(ERR_USAGE,
                       "a buffer of %llu bytes does not hold %d slabs of %d rows; HINT: sink.size "
                       "should be at least %llu MiB",
                       (unsigned long long)o->size_bytes, STORE_LEAST_SLABS, STORE_LEAST_ROWS,
                       (unsigned long long)(least >> 20) + 1);
    }
    if ((bytes + LMDB_PAGE_HEADER_BYTES) % BUFFER_PAGE_BYTES != 0 ||
        store_rows_per_slab(bytes, o->width, o->dtype) == 0)
        return err_set(
            ERR_USAGE,
            "a slab of %u bytes is not k x 4096 - 16 or does not hold a row; HINT: leave "
            "sink.slab at 0",
            bytes);
    if (store_slab_capacity(o->size_bytes, bytes, o->width) < STORE_LEAST_SLABS)
        return err_set(ERR_USAGE,
                       "a buffer of %llu bytes does not hold %d slabs of %u bytes; HINT: raise "
                       "sink.size or leave sink.slab at 0",
                       (unsigned long long)o->size_bytes, STORE_LEAST_SLABS, bytes);
    *slab_bytes = bytes;
    return ERR_OK;
}

uint32_t store_slab_setting(uint64_t configured)
{
    uint64_t pages = configured / BUFFER_PAGE_BYTES;
    return pages ? (uint32_t)(pages * BUFFER_PAGE_BYTES - LMDB_PAGE_HEADER_BYTES)
                 : (uint32_t)configured;
}

int store_check_producers(uint64_t capacity, uint32_t producers)
{
    if (capacity >= (uint64_t)2 * STORE_KEPT_SLABS * producers) return ERR_OK;
    return err_set(
        ERR_USAGE,
        "a buffer of %llu slabs is too small for %u producers; HINT: raise sink.size, or "
        "lower sink.slab",
        (unsigned long long)capacity, producers);
}
