/* The links of a pipeline: which side of the broker a process meets, at which endpoint, and who
 * binds it. */
#ifndef SLUICE_WIRING_LINK_H
#define SLUICE_WIRING_LINK_H

#include "config/config.h"
#include "runtime/link.h"
#include "runtime/process.h"

/* Open a process's link to the broker's side `socket`, and send the process's reports over it. Of
 * `options` kind, endpoint and bind are filled in, the rest is the caller's; it need not outlive
 * the call. Errors of config_endpoint() and link_open(). Loop thread; the caller closes it. */
int wiring_connect(struct process *process, enum config_socket socket, struct link_options options,
                   struct link **link);
/* The other end of those: the broker's own side. `allow`: who may come in, as wiring_allow() gave
 * it. */
int wiring_bind(struct process *process, enum config_socket socket, const struct keys_allow *allow,
                struct link_options options, struct link **link);
/* The allow-list of the broker's keys; *allow is NULL where its endpoints need none. It outlives
 * the links; the caller closes it. Errors of keys_allow_open(). */
int wiring_allow(const struct config *config, struct keys_allow **allow);

#endif
