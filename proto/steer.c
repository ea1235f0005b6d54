#include "proto/steer.h"

#include "base/err.h"

#include <math.h>
#include <string.h>

uint64_t steer_bytes(const struct steer_facts *f)
{
    uint64_t floats = (uint64_t)f->encoders * f->width + 4 * (uint64_t)f->encoders +
                      (uint64_t)f->clamps * f->width;
    return sizeof *f + floats * sizeof(float);
}

void steer_lay(void *data, struct steer_table *t)
{
    struct steer_facts *f = t->facts = data;
    t->w = (float *)(f + 1);
    t->b = t->w + (size_t)f->encoders * f->width;
    t->threshold = t->b + f->encoders;
    t->scale = t->threshold + f->encoders;
    t->magnitude = t->scale + f->encoders;
    t->directions = t->magnitude + f->encoders;
}

static int ends(const char *text, size_t bytes)
{
    return memchr(text, '\0', bytes) != NULL;
}

static int sizes_fit(const struct steer_facts *f)
{
    if (f->width < 1 || f->width > ROW_MAX_WIDTH || f->encoders > STEER_MOST_FEATURES) return 0;
    if (f->clamps < 1 || f->clamps > STEER_MOST || f->rule > STEER_GATED) return 0;
    if (f->rule == STEER_ADD ? f->encoders != 0 : f->encoders < 1) return 0;
    if (f->rule == STEER_LARGEST && (f->k < 1 || f->k > f->encoders)) return 0;
    for (uint32_t i = 0; i < f->clamps; i++) {
        if (f->rule != STEER_ADD && f->clamp[i].encoder >= f->encoders) return 0;
        if (!isfinite(f->clamp[i].value)) return 0;
    }
    /* Setting 0 is that of a token that was not steered: such rows would pass for plain ones. */
    return isfinite(f->limit) && f->limit >= 0 && f->setting != 0;
}

/* One that is not a number would be in every row that the model computes from then on. */
static int floats_are_finite(const struct steer_facts *f)
{
    const float *x = (const float *)(f + 1), *end = x + (steer_bytes(f) - sizeof *f) / sizeof *x;
    while (x < end && isfinite(*x)) x++;
    return x == end;
}

int steer_check(void *data, size_t bytes, struct steer_table *t)
{
    const struct steer_facts *f = data;
    if (bytes < sizeof *f || memcmp(f->magic, STEER_MAGIC, sizeof f->magic) != 0)
        return err_set(ERR_FORMAT, "it is no table to steer by");
    if (f->version != STEER_VERSION)
        return err_set(
            ERR_VERSION,
            "it is a table of version %u, and this tap reads version %d; HINT: use a sluice "
            "and a tap of one release",
            f->version, STEER_VERSION);
    if (!ends(f->hook, sizeof f->hook) || !ends(f->node, sizeof f->node) ||
        !ends(f->sae, sizeof f->sae) || !ends(f->features, sizeof f->features) || !sizes_fit(f) ||
        steer_bytes(f) != bytes || bytes > STEER_MAX_BYTES || !floats_are_finite(f))
        return err_set(ERR_FORMAT, "a table to steer by that is damaged");
    steer_lay(data, t);
    return ERR_OK;
}
