/*
 * `sluice check --live`: one line and an exit code about a running stream, as monitoring systems
 * take them from a plugin (Nagios, Icinga, checkmk):
 *
 *     SLUICE WARNING - stream demo: shed 2.5 % (limit 1) | captured=12345rows/s ... shed=2.5%;1;;0;
 *
 * 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
 */
#ifndef SLUICE_CLI_LIVE_H
#define SLUICE_CLI_LIVE_H

#include "config/config.h"
#include "runtime/options.h"

#include <jansson.h>
#include <stddef.h>

enum live_code { LIVE_OK, LIVE_WARNING, LIVE_CRITICAL, LIVE_UNKNOWN };

/* What has limits: M(ID, NAME, UNIT, WARNING, CRITICAL). At or above a limit it is told; off: NaN. */
#define LIVE_TABLE(M)                                                                              \
    M(STILL, "still", "s", 1, 30)      /* for how long the broker has said that it is not ready */ \
    M(UNREADY, "unready", "s", 30, 60) /* the same of the process that has longest */              \
    M(SILENT, "silent", "s", 5, 15)    /* for how long a process has not been heard of */          \
    M(DISK, "disk", "s", 1, 300)       /* waiting for room on a disk */                            \
    M(SHED, "shed", "%", 1, NAN)       /* of the rows captured, in this life of the captures */    \
    M(REJECTED, "rejected", "%", 0.1, 10)                                                          \
    M(SKIPPED, "skipped", "%", 0.1, 10) /* of the steps: loss or gradient not finite */            \
    M(DEAD, "dead", "%", 50, NAN)       /* features, of the autoencoder with most */               \
    M(LOST, "lost", "", 1, NAN)         /* rows that were replaced before they were drawn */
#define LIVE_ID(ID, NAME, UNIT, WARNING, CRITICAL) LIVE_##ID,
enum live_measure { LIVE_TABLE(LIVE_ID) LIVE_MEASURES };

struct live_limits {
    double warning[LIVE_MEASURES], critical[LIVE_MEASURES]; /* NaN: none */
};

/* Those of the table, and over them "shed=5,dead=off": NULL, NULL: none. ERR_USAGE names what there
 * is. */
int live_limits_read(const char *warning, const char *critical, struct live_limits *limits);

/* Judge the broker's document; `only` as of part_parse(). The line, without a line end, into
 * out[bytes]; returns the code. ERR_USAGE of `only`: LIVE_UNKNOWN. */
enum live_code live_judge(const struct config *config, const char *only, const json_t *status,
                          const struct live_limits *limits, char *out, size_t bytes);

/* The command: prints the line. ERR_OK whatever the verdict; errors are those of options. Asks a
 * broker that does not answer for five seconds. */
int live_check(const struct options *options, const struct config *config);

/* Whether this command line is one of `check --live`: its exit code is then live_end()'s, which
 * prints what went wrong where no verdict has been printed. `result`: of all that was done. */
int live_is_asked(int argc, char **argv);
int live_end(int result);

#endif
