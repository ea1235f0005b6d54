/*
 * From the configuration to an open engine, and from an open engine to the descriptor of its rows.
 * `sluice check` looks through it, too, so that it sees what a capture would.
 */
#ifndef SLUICE_WIRING_SOURCE_H
#define SLUICE_WIRING_SOURCE_H

#include "config/config.h"
#include "engine/engine.h"
#include "engine/options.h"
#include "proto/descriptor.h"

struct source;

/* Open the engine that the configuration names, for share `producer` of capture.producers. Blocks
 * for seconds, or minutes where a model is prepared: `watch` (may be NULL) is told. Errors of
 * engine_open() and config_*(); ERR_USAGE where the corpus cannot be read again and
 * capture.resumable is not false. */
int source_open(const struct config *config, uint32_t producer, const struct engine_watch *watch,
                struct source **source);
/* The same for a look: the model's file as it is, since preparing takes minutes and changes no
 * width, and nothing is written. `forecast` tells what would be made first; the model is tried once
 * for both. */
int source_look(const struct config *config, struct engine_forecast *forecast,
                struct source **source);
void source_close(struct source *source);

/* What opening it would make first, where nobody may open it (config_reads_stdin()): engine_forecast()
 * of what the configuration names. */
int source_forecast(const struct config *config, struct engine_forecast *forecast);
/* Whether the engine has what it needs, of the configuration alone. ERR_USAGE: FILE:LINE, the key
 * and what is required. */
int source_needs(const struct config *config);
/* What stands against it before anything is opened: standard input that is closed where it is the
 * corpus; another's file where the true directions would go. source_open() asks it, too. ERR_USAGE,
 * ERR_LIMIT. */
int source_check(const struct config *config);

/* What an engine fails with, as the process ends with it: ERR_USAGE where a file that the
 * configuration names is not there; ERR_FORMAT where one is damaged (a checksum of an input file is
 * no checksum of the wire, which a second try mends). */
int source_error(int code);

struct engine *source_engine(struct source *source);

/* What its rows are; nothing is measured yet. descriptor_free() it. ERR_LIMIT: a name is too
 * long. */
int source_describe(const struct source *source, const struct config *config,
                    struct descriptor *descriptor);

#endif
