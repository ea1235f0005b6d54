#include "cli/preflight.h"

#include "base/err.h"
#include "config/address.h"
#include "runtime/claim.h"
#include "runtime/folder.h"
#include "sae/sae.h"
#include "wiring/link.h"
#include "wiring/security.h"
#include "wiring/source.h"

#include <stdio.h>
#include <string.h>

struct findings {
    int code; /* of the first */
    char text[1024];
};

static int note(struct findings *f, int result)
{
    if (result == ERR_OK) return ERR_OK;
    if (f->code == ERR_OK) f->code = result;
    if (f->text[0]) fprintf(stderr, "sluice: %s\n", f->text);
    snprintf(f->text, sizeof f->text, "%s", err_text());
    return result;
}

static void look_at_trainers(const struct config *config, struct findings *f)
{
    if (config->trainer.consumers.count == 0) return; /* then there are none */
    note(f, config_check_section(config, "trainer"));
    note(f, sae_environment_check());
}

static void look_at_capture(const struct config *config, struct findings *f)
{
    struct config_list corpus;
    char model[CONFIG_PATH_BYTES];
    if (note(f, source_needs(config)) != ERR_OK) return;
    note(f, source_check(config));
    if (config->capture.engine != CONFIG_LLAMA) return;
    note(f, config_model_path(config, model));
    if (note(f, config_corpus(config, &corpus)) == ERR_OK) config_list_free(&corpus);
}

static int check_socket(const struct config *config, enum config_socket socket)
{
    char endpoint[CONFIG_PATH_BYTES];
    const char *key = socket == CONFIG_FRONT ? "front" : "back";
    int result = config_endpoint(config, socket, endpoint);
    const char *path = result == ERR_OK ? address_socket_path(endpoint) : NULL;
    if (!path) return result;
    result = claim_check(path);
    return result == ERR_OK ? ERR_OK : config_fail(config, "broker", key, err_text());
}

/* The keys that this host's processes will be asked for. */
static void look_at_keys(const struct config *config, const struct part *part, struct findings *f)
{
    struct link_security security;
    struct link_options options = {.bind = 0};
    struct keys_allow *allow;
    int is_client = part->has[PROCESS_CAPTURE] || part->has[PROCESS_TRAINER];
    int result = ERR_OK;
    if (part->has[PROCESS_BROKER]) {
        note(f, security_of(config, CONFIG_FRONT, 1, NULL, &security, &options));
        if (note(f, wiring_allow(config, &allow)) == ERR_OK) keys_allow_close(allow);
    }
    if (is_client)
        result = note(f, security_of(config, CONFIG_FRONT, 0, NULL, &security, &options));
    if (part->has[PROCESS_SINK] && result == ERR_OK)
        note(f, security_of(config, CONFIG_BACK, 0, NULL, &security, &options));
    explicit_bzero(&security, sizeof security);
}

int preflight(const struct config *config, const struct part *part)
{
    struct findings f = {0};
    note(&f, config_check_section(config, "broker"));
    note(&f, config_check_section(config, "sink"));
    if (part->has[PROCESS_TRAINER]) look_at_trainers(config, &f);
    if (part->has[PROCESS_CAPTURE]) look_at_capture(config, &f);
    look_at_keys(config, part, &f);
    if (note(&f, folder_check(config)) == ERR_OK) {
        note(&f, check_socket(config, CONFIG_FRONT));
        note(&f, check_socket(config, CONFIG_BACK));
    }
    return f.code == ERR_OK ? ERR_OK : err_set(f.code, "%s", f.text);
}
