/*
 * Who is let in: ZeroMQ asks for each connection with a CURVE key (ZAP, RFC 27), and this answers
 * from the allow-list. One per ZeroMQ context, open before anything is bound. Internal to runtime/.
 */
#ifndef SLUICE_RUNTIME_ZAP_H
#define SLUICE_RUNTIME_ZAP_H

#include "runtime/keys.h"

struct uv_loop_s;
struct zap;

enum { ZAP_DOMAIN_BYTES = 32 };

/* The domain of a socket at which a key needs one of these roles, into out[ZAP_DOMAIN_BYTES]. */
void zap_domain(uint32_t roles, char *out);

/* `allow` outlives it. ERR_IO, ERR_NOMEM. */
int zap_open(void *context, struct uv_loop_s *loop, const struct keys_allow *allow,
             struct zap **zap);
/* Before the context is terminated; the loop must run once more. NULL is fine. */
void zap_close(struct zap *zap);

#endif
