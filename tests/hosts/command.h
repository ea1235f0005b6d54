/* A command of a host with the words of a prefix in front of it, run to its end by the shell. */
#ifndef SLUICE_TESTS_HOSTS_COMMAND_H
#define SLUICE_TESTS_HOSTS_COMMAND_H

#include <stddef.h>

/* The words that SLUICE_HOSTS_PREFIX has ("sluice tap FILE --"); "": none, a host alone. */
const char *command_prefix(void);

/* SmolLM2 and its corpus, as `make model` put them into the user's cache. Valid for ever. */
const char *command_model(void);
const char *command_corpus(void);

/* What the command printed, into out[bytes], NUL-terminated; stderr stays the test's. Returns its exit
 * code, 128 + signal where it died of one, 124 after 300 seconds, -1 where it could not be run. */
int command_run(const char *prefix, const char *command, char *out, size_t bytes);

#endif
