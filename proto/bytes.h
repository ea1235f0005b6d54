/*
 * Integers in byte order as the wire has them: little-endian, at any alignment. Compilers turn each
 * of these into one move on a little-endian machine.
 */
#ifndef SLUICE_PROTO_BYTES_H
#define SLUICE_PROTO_BYTES_H

#include "proto/frame.h"

#include <stdint.h>

static inline void put_le16(uint8_t *p, uint16_t x)
{
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
}

static inline void put_le32(uint8_t *p, uint32_t x)
{
    put_le16(p, (uint16_t)x);
    put_le16(p + 2, (uint16_t)(x >> 16));
}

static inline void put_le64(uint8_t *p, uint64_t x)
{
    put_le32(p, (uint32_t)x);
    put_le32(p + 4, (uint32_t)(x >> 32));
}

static inline uint16_t get_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t get_le32(const uint8_t *p)
{
    return get_le16(p) | (uint32_t)get_le16(p + 2) << 16;
}

static inline uint64_t get_le64(const uint8_t *p)
{
    return get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

enum { CURSOR_BYTES = 32, ROW_ID_BYTES = 16, TOTALS_BYTES = 32 };

static inline void put_cursor(uint8_t *p, const struct cursor *c)
{
    put_le64(p, c->document);
    put_le64(p + 8, c->offset);
    put_le64(p + 16, c->sequence);
    put_le32(p + 24, c->position);
    put_le32(p + 28, c->reserved);
}

static inline void get_cursor(const uint8_t *p, struct cursor *c)
{
    c->document = get_le64(p);
    c->offset = get_le64(p + 8);
    c->sequence = get_le64(p + 16);
    c->position = get_le32(p + 24);
    c->reserved = get_le32(p + 28);
}

static inline void put_totals(uint8_t *p, const struct frame_totals *t)
{
    put_le64(p, t->captured_rows);
    put_le64(p + 8, t->shed_rows);
    put_le64(p + 16, t->rejected_rows);
    put_le64(p + 24, t->filtered_rows);
}

static inline void get_totals(const uint8_t *p, struct frame_totals *t)
{
    t->captured_rows = get_le64(p);
    t->shed_rows = get_le64(p + 8);
    t->rejected_rows = get_le64(p + 16);
    t->filtered_rows = get_le64(p + 24);
}

static inline struct row_id get_row_id(const uint8_t *p)
{
    return (struct row_id){get_le64(p), get_le32(p + 8), get_le32(p + 12)};
}

#endif
