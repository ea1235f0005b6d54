#include "wiring/link.h"

#include "base/err.h"
#include "config/address.h"
#include "wiring/security.h"

#include <string.h>

static int open_link(struct process *process, enum config_socket socket,
                     const struct keys_allow *allow, struct link_options options,
                     struct link **link)
{
    const struct config *config = process_config(process);
    char endpoint[CONFIG_PATH_BYTES];
    struct link_security security;
    int result = config_endpoint(config, socket, endpoint);
    options.endpoint = endpoint;
    if (result == ERR_OK)
        result = security_of(config, socket, options.bind, allow, &security, &options);
    if (result == ERR_OK) result = link_open(process_hub(process), &options, link);
    explicit_bzero(&security, sizeof security);
    if (result == ERR_OK && options.insecure_tcp && !options.security && address_is_tcp(endpoint))
        log_event(LOG_WARN,
                  "broker.insecure_tcp is on: every user of this machine can take part in the "
                  "stream, read it, and end it",
                  LOG_S("endpoint", endpoint));
    return result;
}

int wiring_connect(struct process *process, enum config_socket socket, struct link_options options,
                   struct link **link)
{
    options.kind = LINK_DEALER;
    options.bind = 0;
    int result = open_link(process, socket, NULL, options, link);
    if (result == ERR_OK) process_report_to(process, *link);
    return result;
}

int wiring_bind(struct process *process, enum config_socket socket, const struct keys_allow *allow,
                struct link_options options, struct link **link)
{
    options.kind = LINK_ROUTER;
    options.bind = 1;
    return open_link(process, socket, allow, options, link);
}

int wiring_allow(const struct config *config, struct keys_allow **allow)
{
    char path[CONFIG_PATH_BYTES];
    *allow = NULL;
    if (!security_needs_allow(config)) return ERR_OK;
    int result = security_file(config, KEYS_ALLOW, path);
    if (result == ERR_OK) result = keys_allow_open(path, allow);
    return result == ERR_NOTFOUND ? ERR_USAGE : result;
}
