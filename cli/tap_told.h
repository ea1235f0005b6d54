/* What a tap is told by a pipeline's file and by options: settings, by their names in
 * proto/tap_words.h. */
#ifndef SLUICE_CLI_TAP_TOLD_H
#define SLUICE_CLI_TAP_TOLD_H

#include "config/config.h"
#include "runtime/options.h"

#include <stddef.h>

enum { TAP_TOLD_MOST = 16, TAP_TOLD_BYTES = 16384 };

struct tap_told {
    struct {
        const char *name; /* TAP_SHARE, ... */
        char *value;      /* in text */
    } setting[TAP_TOLD_MOST];
    size_t count, used;
    char text[TAP_TOLD_BYTES];
};

/* Begin. `config` (NULL: none was named): its stream, hooks, limits and ring. ERR_USAGE: it is not of the
 * engine ring; ERR_LIMIT. */
int tap_told_file(struct tap_told *told, const struct config *config);
/* --hooks, --share, --rows-per-second, --stream of a command, instead of what was told. ERR_USAGE. */
int tap_told_options(struct tap_told *told, const struct options *options);

/* A setting, instead of what was told. ERR_LIMIT; ERR_USAGE: it has control characters, which no line of a
 * request has. */
int tap_told_put(struct tap_told *told, const char *name, const char *value);
/* The value of a setting; NULL: it was not told. */
const char *tap_told_get(const struct tap_told *told, const char *name);

#endif
