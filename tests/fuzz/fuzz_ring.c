/* Any bytes as what two programs share: a ring's facts, a table to steer by. Refused, or all that they tell
 * lies inside them. */
#include "base/err.h"
#include "proto/ring.h"
#include "proto/steer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* The sizes that the facts themselves ask for, so that what comes after them is reached. */
static void ring(const uint8_t *data, size_t bytes)
{
    struct ring_facts facts = {0};
    memcpy(&facts, data, bytes < sizeof facts ? bytes : sizeof facts);
    for (int turn = 0; turn < 2; turn++) {
        if (ring_check(&facts, ring_bytes(&facts)) == ERR_OK) {
            uint64_t width = 0;
            for (uint32_t h = 0; h < facts.hooks; h++) width += facts.hook[h].width;
            if (width != facts.width || facts.records == 0 ||
                strlen(facts.model) >= sizeof facts.model ||
                facts.record_bytes <
                    sizeof(struct ring_record) + width * ring_value_bytes(facts.dtype))
                abort();
        }
        memcpy(facts.magic, RING_MAGIC, sizeof facts.magic);
        facts.version = RING_VERSION;
        facts.header_bytes = sizeof(struct ring_header);
        facts.dtype = facts.dtype % 2 ? DTYPE_F32 : DTYPE_BF16;
        facts.record_bytes = ring_record_bytes(facts.dtype, facts.width % (2 * ROW_MAX_WIDTH));
    }
}

static void steer(const uint8_t *data, size_t bytes)
{
    struct steer_table table;
    char *copy = malloc(bytes + 1); /* its own, so that a read beyond is seen */
    if (!copy) abort();
    memcpy(copy, data, bytes);
    if (steer_check(copy, bytes, &table) == ERR_OK) {
        const struct steer_facts *f = table.facts;
        const char *end = (const char *)(table.directions + (size_t)f->clamps * f->width);
        if (end != copy + bytes) abort();
        for (uint32_t c = 0; c < f->clamps && f->rule != STEER_ADD; c++)
            if (f->clamp[c].encoder >= f->encoders) abort();
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    ring(data, bytes);
    steer(data, bytes);
    return 0;
}
