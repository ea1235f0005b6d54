#include "wiring/security.h"

#include "base/err.h"
#include "config/address.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int security_file(const struct config *config, const char *file, char *out)
{
    int n = snprintf(out, CONFIG_PATH_BYTES, "%s/%s", config->broker.keys, file);
    return n < CONFIG_PATH_BYTES ? ERR_OK : err_set(ERR_LIMIT, "broker.keys: the path is too long");
}

/* Who may write the folder may put other keys into it. */
static int check_folder(const struct config *config)
{
    const char *path = config->broker.keys;
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) return ERR_OK; /* told with the file */
    if (st.st_uid == geteuid() && !(st.st_mode & 022)) return ERR_OK;
    return err_set(ERR_USAGE,
                   "the folder of keys %s is another user's, or others may write it (mode %03o); "
                   "HINT: chmod 700 it, or make keys anew in another",
                   path, (unsigned)st.st_mode & 0777);
}

static int read_server(const struct config *config, struct link_security *s)
{
    char path[CONFIG_PATH_BYTES];
    int result = security_file(config, KEYS_BROKER, path);
    return result == ERR_OK ? keys_read_pair(path, &s->own) : result;
}

static int read_client(const struct config *config, struct link_security *s)
{
    char path[CONFIG_PATH_BYTES];
    int result = security_file(config, KEYS_CLIENT, path);
    if (result == ERR_OK) result = keys_read_pair(path, &s->own);
    if (result == ERR_OK) result = security_file(config, KEYS_BROKER_PUBLIC, path);
    return result == ERR_OK ? keys_read_public(path, s->server) : result;
}

int security_of(const struct config *config, enum config_socket socket, int binds,
                const struct keys_allow *allow, struct link_security *security,
                struct link_options *options)
{
    char endpoint[CONFIG_PATH_BYTES];
    int result = config_endpoint(config, socket, endpoint);
    options->security = NULL;
    options->insecure_tcp = config->broker.insecure_tcp;
    if (result != ERR_OK || !address_is_tcp(endpoint) || !config->broker.keys[0]) return result;
    uint32_t roles =
        socket == CONFIG_BACK ? KEYS_SINK | KEYS_REPORT : KEYS_PRODUCE | KEYS_REPORT | KEYS_STATUS;
    *security = (struct link_security){.allow = allow, .roles = roles};
    result = check_folder(config);
    if (result != ERR_OK) return result;
    result = binds ? read_server(config, security) : read_client(config, security);
    if (result == ERR_OK) options->security = security;
    return result == ERR_NOTFOUND ? ERR_USAGE : result;
}

int security_needs_allow(const struct config *config)
{
    return config->broker.keys[0] &&
           (address_is_tcp(config->broker.front) || address_is_tcp(config->broker.back));
}
