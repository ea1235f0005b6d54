/*
 * What an engine was told, as far as it decides which rows are made: lines of "key: value", so that
 * whoever goes on with a stream under other settings learns which. The hashes decide, these lines
 * only tell.
 */
#ifndef SLUICE_ENGINE_SETTINGS_H
#define SLUICE_ENGINE_SETTINGS_H

#include "engine/engine.h"

#include <stdint.h>

/* Add a line to info->settings: the key as below `capture` in the configuration. A line that finds
 * no room is left out whole; letters of a text that would break a line become '?', and what is
 * longer than some 60 bytes is cut. */
void settings_text(struct engine_info *info, const char *key, const char *value);
void settings_number(struct engine_info *info, const char *key, uint64_t value);
void settings_real(struct engine_info *info, const char *key, double value);
void settings_flag(struct engine_info *info, const char *key, int value);

#endif
