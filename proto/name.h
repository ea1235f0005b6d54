/* Names of streams, producers, consumers and processes, on the wire and in paths. */
#ifndef SLUICE_PROTO_NAME_H
#define SLUICE_PROTO_NAME_H

enum { MESSAGE_NAME_BYTES = 64 }; /* names: 1 to 63 of [A-Za-z0-9._-], NUL-padded on the wire */

/* Whether a name keeps this rule. */
int message_name_ok(const char *name);

#endif
