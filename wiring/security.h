/*
 * The security of the pipeline's endpoints, out of the configuration: the folder of keys
 * (broker.keys, runtime/keys.h), for who binds and for who connects.
 */
#ifndef SLUICE_WIRING_SECURITY_H
#define SLUICE_WIRING_SECURITY_H

#include "config/config.h"
#include "runtime/link.h"

/* RUN's keys: path of a file in the folder into out[CONFIG_PATH_BYTES]. ERR_LIMIT. */
int security_file(const struct config *config, const char *file, char *out);

/* What link_open() is to be told for this side's endpoint: `*security` filled in from broker.key
 * (binds) or client.key and broker.pub (connects), and options->security pointed to it; nothing for
 * ipc. options->insecure_tcp follows the configuration. `allow`: for who binds, else NULL. Secrets
 * are the caller's to clear. Errors of keys_read_pair(). */
int security_of(const struct config *config, enum config_socket socket, int binds,
                const struct keys_allow *allow, struct link_security *security,
                struct link_options *options);

/* Whether some endpoint of the broker needs the allow-list. */
int security_needs_allow(const struct config *config);

#endif
