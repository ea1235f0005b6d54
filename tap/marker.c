#include "tap/marker.h"

#include <stdio.h>
#include <string.h>

void marker_make(const char *text, struct marker *m)
{
    memset(m, 0, sizeof *m);
    snprintf(m->text, sizeof m->text, "%s", text);
}

/* The beginnings that end in this byte; `begun`: those before it. */
static uint64_t go_on(const struct marker *m, char byte, uint64_t begun)
{
    uint64_t before = begun << 1 | 1, now = 0; /* a word may begin anywhere */
    for (unsigned k = 0; m->text[k]; k++)
        if (m->text[k] == byte) now |= before & UINT64_C(1) << k;
    return now;
}

int marker_take(const struct marker *m, const char *bytes, size_t count, uint64_t *begun)
{
    size_t length = strlen(m->text);
    for (size_t i = 0; length && i < count; i++) {
        *begun = go_on(m, bytes[i], *begun);
        if (*begun >> (length - 1) & 1) return 1;
    }
    return 0;
}
