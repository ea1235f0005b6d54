/* `sluice keygen`: the keys of a pipeline whose endpoints are tcp (runtime/keys.h). */
#include "runtime/keys.h"

#include "base/err.h"
#include "base/fileio.h"
#include "cli/commands.h"
#include "proto/message.h"
#include "wiring/security.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usual_roles[] = "produce,report,status", local_name[] = "local";

/* A folder for secrets: made, or ours and closed to others already. */
static int prepare(const char *path)
{
    struct stat st;
    int result = dir_make(path, 0700);
    if (result != ERR_OK) return result;
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 077) != 0)
        return err_set(ERR_USAGE,
                       "the folder %s is another user's, open to others, or a link, and secrets go "
                       "into it; HINT: chmod 700 it, or choose another for broker.keys",
                       path);
    return ERR_OK;
}

/* A pair for a client, in its folder, and its line in the list. */
static int make_client(const char *file, const char *allow, const char *name, uint32_t roles)
{
    struct keys_pair pair;
    int result = keys_make(&pair);
    if (result == ERR_OK) result = keys_write_pair(file, name, &pair);
    if (result == ERR_OK) {
        result = keys_allow_add(allow, name, roles, pair.public_key);
        if (result != ERR_OK) unlink(file); /* nobody would let it in */
    }
    explicit_bzero(&pair, sizeof pair);
    return result;
}

static int make_broker(const struct config *config)
{
    char file[CONFIG_PATH_BYTES], public_file[CONFIG_PATH_BYTES];
    struct keys_pair pair;
    int result = security_file(config, KEYS_BROKER, file);
    if (result == ERR_OK) result = security_file(config, KEYS_BROKER_PUBLIC, public_file);
    if (result == ERR_OK) result = keys_make(&pair);
    if (result != ERR_OK) return result;
    result = keys_write_pair(file, "broker", &pair);
    if (result == ERR_OK) {
        result = keys_write_public(public_file, "broker", pair.public_key);
        if (result != ERR_OK) unlink(file);
    }
    explicit_bzero(&pair, sizeof pair);
    return result;
}

/* The broker's pair, and one for the other processes of its host. */
static int first_keys(const struct config *config, const char *allow)
{
    char file[CONFIG_PATH_BYTES];
    int result = make_broker(config);
    if (result == ERR_OK) result = security_file(config, KEYS_CLIENT, file);
    if (result == ERR_OK) result = make_client(file, allow, local_name, KEYS_ALL);
    if (result != ERR_OK) return result;
    printf("Keys are in %s: of the broker, and of the other processes of its host.\n"
           "For each other host: sluice keygen %s --for NAME\n",
           config->broker.keys, config->file);
    return ERR_OK;
}

/* One that is there already is fine, where it is the broker's. */
static int copy_public(const struct config *config, const char *folder)
{
    char from[CONFIG_PATH_BYTES], to[CONFIG_PATH_BYTES + 16];
    char key[KEYS_TEXT_BYTES], there[KEYS_TEXT_BYTES];
    int result = security_file(config, KEYS_BROKER_PUBLIC, from);
    if (result == ERR_OK) result = keys_read_public(from, key);
    if (result != ERR_OK) return result;
    snprintf(to, sizeof to, "%s/" KEYS_BROKER_PUBLIC, folder);
    if (keys_read_public(to, there) == ERR_OK && strcmp(there, key) == 0) return ERR_OK;
    return keys_write_public(to, "broker", key);
}

static int keys_for(const struct config *config, const char *allow, const char *name,
                    const char *roles_text)
{
    char folder[CONFIG_PATH_BYTES], file[CONFIG_PATH_BYTES + 16], said[64];
    uint32_t roles;
    if (!message_name_ok(name) || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_set(ERR_USAGE,
                       "--for: '%.80s' is not a name: 1 to 63 letters, digits, dots, dashes and "
                       "underscores",
                       name);
    if (strcmp(name, KEYS_ALLOW) == 0 || strcmp(name, KEYS_BROKER) == 0 ||
        strcmp(name, KEYS_BROKER_PUBLIC) == 0 || strcmp(name, KEYS_CLIENT) == 0)
        return err_set(ERR_USAGE, "--for: '%s' is a file of the folder of keys; HINT: another name",
                       name);
    int result = keys_roles_parse(roles_text, &roles);
    if (result != ERR_OK) return err_set(result, "--roles: %s", err_text());
    result = security_file(config, name, folder);
    if (result == ERR_OK) result = prepare(folder);
    if (result == ERR_OK) result = copy_public(config, folder);
    snprintf(file, sizeof file, "%s/" KEYS_CLIENT, folder);
    if (result == ERR_OK) result = make_client(file, allow, name, roles);
    if (result != ERR_OK) return result;
    keys_roles_text(roles, said);
    printf("Keys of %s are in %s, and it may connect at once (%s).\n"
           "Copy that folder to its host, as broker.keys there, and remove it here.\n"
           "To shut it out, remove its line from %s.\n",
           name, folder, said, allow);
    return ERR_OK;
}

int keygen_command(const struct options *options, const struct config *config)
{
    char allow[CONFIG_PATH_BYTES];
    const char *name = options_get(options, "for"), *roles = options_get(options, "roles");
    if (!config->broker.keys[0])
        return err_set(ERR_USAGE,
                       "broker.keys is not set, so there is no place for keys; HINT: broker: "
                       "{keys: ~/.config/sluice/NAME}");
    if (roles && !name)
        return err_set(ERR_USAGE,
                       "--roles is of another host's keys; HINT: --for NAME --roles ...");
    umask(077);
    int result = security_file(config, KEYS_ALLOW, allow);
    if (result == ERR_OK) result = prepare(config->broker.keys);
    if (result != ERR_OK) return result;
    return name ? keys_for(config, allow, name, roles ? roles : usual_roles)
                : first_keys(config, allow);
}
