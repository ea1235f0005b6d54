/*
 * What becomes of a draw whose buffer is damaged: it lets go of it, tells the sink, and waits for
 * the one that the sink makes in its place.
 *
 * Holds: whatever was found, the state is that of the rows that were handed out. A slab counts as
 * drawn from, or harvested, only after it was checked.
 */
#include "base/clock.h"
#include "buffer/draw_parts.h"

#include "base/err.h"
#include "buffer/damage.h"

#include <stdio.h>

#define SECONDS UINT64_C(1000000000)

enum {
    TELL_SECONDS = 1,     /* between two reports of one damage: the first may have found no room */
    MISSING_SECONDS = 30, /* a sink that is started again needs some, to make what is missing */
};

/* A replay's folder may be a copy, and nobody makes its rows again. */
int draw_has_sink(const struct draw *d)
{
    return !d->options.replay || d->options.look;
}

static void tell_sink(struct draw *d)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    if (d->told_ns && now < d->told_ns + TELL_SECONDS * SECONDS) return;
    d->told_ns = now;
    if (damage_check(d->dir, d->distrusted_run) == ERR_OK)
        damage_report(d->dir, d->distrusted, d->distrusted_run, d->consumer, d->damage);
}

static int wait_for_another(const struct draw *d)
{
    return err_set(ERR_AGAIN, "%s", d->damage[0] ? d->damage : "the buffer is being made anew");
}

int draw_distrust(struct draw *d, uint64_t inode, uint64_t run)
{
    if (!d->damage[0]) snprintf(d->damage, sizeof d->damage, "%s", err_text());
    if (d->e.env) draw_detach(d);
    if (inode == 0 || inode != damage_inode(d->dir)) {
        d->damage[0] = '\0'; /* it was set aside meanwhile */
        return wait_for_another(d);
    }
    d->distrusted = inode;
    d->distrusted_run = run;
    d->told_ns = 0;
    tell_sink(d);
    return wait_for_another(d);
}

int draw_is_distrusted(struct draw *d)
{
    if (!d->distrusted) return 0;
    if (d->distrusted == damage_inode(d->dir)) {
        tell_sink(d);
        return wait_for_another(d) == ERR_AGAIN;
    }
    d->distrusted = 0;
    d->damage[0] = '\0';
    return 0;
}

const char *draw_damage(const struct draw *d)
{
    return d->distrusted ? d->damage : "";
}

int draw_check_missing(struct draw *d, int result)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    if (result != ERR_AGAIN || d->missing == 0 || !draw_has_sink(d)) {
        d->missing_since_ns = 0;
        return result;
    }
    if (!d->missing_since_ns) d->missing_since_ns = now;
    if (now < d->missing_since_ns + MISSING_SECONDS * SECONDS) return result;
    d->missing_since_ns = 0;
    return err_set(ERR_CORRUPT, "the buffer in %s lacks %llu slabs that its records count", d->dir,
                   (unsigned long long)d->missing);
}
