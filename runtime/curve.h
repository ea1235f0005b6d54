/*
 * The security of a ZeroMQ socket: CURVE, and who is let in where it is bound. Internal to runtime/.
 */
#ifndef SLUICE_RUNTIME_CURVE_H
#define SLUICE_RUNTIME_CURVE_H

#include "runtime/link.h"

/* Set it on a socket that is about to connect, or to be bound. ERR_STATE: it did not take hold, which
 * is read back: CURVE lets everybody in where the domain is empty or not enforced. Whether somebody
 * answers ZAP (zap.h) is the caller's to see to. */
int curve_client(void *socket, const struct link_security *security);
int curve_server(void *socket, const struct link_security *security);

#endif
