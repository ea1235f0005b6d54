#include "wiring/link.h"

#include "base/err.h"

static int open_link(struct process *process, enum config_socket socket,
                     struct link_options options, struct link **link)
{
    char endpoint[CONFIG_PATH_BYTES];
    int result = config_endpoint(process_config(process), socket, endpoint);
    options.endpoint = endpoint;
    return result == ERR_OK ? link_open(process_hub(process), &options, link) : result;
}

int wiring_connect(struct process *process, enum config_socket socket, struct link_options options,
                   struct link **link)
{
    options.kind = LINK_DEALER;
    options.bind = 0;
    int result = open_link(process, socket, options, link);
    if (result == ERR_OK) process_report_to(process, *link);
    return result;
}

int wiring_bind(struct process *process, enum config_socket socket, struct link_options options,
                struct link **link)
{
    options.kind = LINK_ROUTER;
    options.bind = 1;
    return open_link(process, socket, options, link);
}
