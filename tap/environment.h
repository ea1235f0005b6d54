/*
 * How the tap is told what to do: `sluice tap` sets a variable for each setting (proto/tap_words.h), and
 * the library takes them out of the environment again before main(), and itself out of LD_PRELOAD and
 * LD_AUDIT, so that the program's children are not tapped.
 *
 *   SLUICE_TAP_STREAM           name of the stream; without it the tap is off until it is told one
 *   SLUICE_TAP_HOOKS            names, with commas between
 *   SLUICE_TAP_FOLDER           of rings; none: the stream's usual one
 *   SLUICE_TAP_RING_BYTES       of shared memory; none: libsluice's default
 *   SLUICE_TAP_DTYPE            bf16 (default) or f32
 *   SLUICE_TAP_MODEL            part of the path of the model that is meant; none: any
 *   SLUICE_TAP_SHARE            of sequences, above 0, at most 1; none: all
 *   SLUICE_TAP_ROWS_PER_SECOND  none: no limit
 *   SLUICE_TAP_BYTES_PER_SECOND none: no limit
 *   SLUICE_TAP_ON               no: captures nothing before it is switched on
 */
#ifndef SLUICE_TAP_ENVIRONMENT_H
#define SLUICE_TAP_ENVIRONMENT_H

#include "tap/tap.h"

/* Read them. ERR_NOTFOUND: there is none. ERR_USAGE, ERR_LIMIT: one makes no sense. */
int environment_read(struct tap_start *start);

/* Take all of SLUICE_TAP_* out of it, and our libraries out of LD_PRELOAD and LD_AUDIT. */
void environment_clean(void);

/* Whether this process is there to start another one (env, nohup, a shell): it keeps the environment as it
 * is, and has no tap. */
int environment_is_handed_on(void);

#endif
