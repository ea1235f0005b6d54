/* Settings of the tap as text: in its environment at the start (environment.h), in requests later. */
#ifndef SLUICE_TAP_SETTINGS_H
#define SLUICE_TAP_SETTINGS_H

#include "tap/tap.h"

/* Off, no stream, no hook, all sequences, no limit. */
void settings_init(struct tap_settings *settings);

/* Change one, by its name in proto/tap_words.h. Numbers are written with a point, whatever the program's
 * locale. ERR_NOTFOUND: no setting has that name; ERR_USAGE: not a value of it; nothing was changed. */
int settings_take(struct tap_settings *settings, const char *name, const char *value);

/* Whether they go together: who is on has a stream and hooks. ERR_USAGE. */
int settings_check(const struct tap_settings *settings);

#endif
