/*
 * What an address is, and which ones stay on this machine. Pages (HTTP) have no access control and
 * are never served beyond loopback; ZeroMQ's endpoints have keys (runtime/keys.h).
 */
#ifndef SLUICE_CONFIG_ADDRESS_H
#define SLUICE_CONFIG_ADDRESS_H

#include <stddef.h>

/* Whether host[length] is localhost, ::1, [::1] or four numbers in 127.0.0.0/8. Names are not
 * looked up. */
int address_is_loopback(const char *host, size_t length);
/* HTTP: "127.0.0.1:0", "[::1]:9090", "off". ERR_USAGE: the text says why, without naming the
 * key. */
int address_http_check(const char *address);
/* ZeroMQ: "ipc:///absolute/path", "tcp://ADDRESS:PORT" (IPv4), and nothing that binding or
 * connecting would refuse. may_choose_port: port 0 or *, any free one, will do (for who binds and
 * tells it). ERR_USAGE as above. */
int address_endpoint_check(const char *endpoint, int may_choose_port);
/* Of an endpoint that is one: */
int address_is_tcp(const char *endpoint);
const char *address_socket_path(const char *endpoint); /* of ipc; NULL: it is none */
int address_is_beyond_loopback(const char *endpoint);  /* tcp, and not on this machine alone */

#endif
