/* What tapped programs say, for people and for scripts. */
#ifndef SLUICE_CLI_TAP_SHOWN_H
#define SLUICE_CLI_TAP_SHOWN_H

#include "cli/taps.h"

/* On stdout. */
void tap_shown_people(const struct taps *taps);
void tap_shown_json(const struct taps *taps);

#endif
