/* An item of trainer.saes with lists in it: which values are in turn, and what the autoencoders
 * that it stands for are called. */
#include "config/table.h"

#include "base/err.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 512 };

double config_sweep_count(const struct config_sweep *sweep)
{
    double count = 1;
    for (size_t i = 0; i < config_options_count; i++)
        if (sweep->length[i]) count *= sweep->length[i];
    return count;
}

int config_sweep_next(struct config_sweep *sweep)
{
    for (size_t i = config_options_count; i-- > 0;) {
        if (!sweep->length[i]) continue;
        if (++sweep->at[i] < sweep->length[i]) return 1;
        sweep->at[i] = 0;
    }
    return 0;
}

int config_sae_uses(const struct config_sae *sae, const char *key)
{
    return sae_arch_uses(sae->options.arch, sae_activation(&sae->options), key);
}

void config_name_clean(char *name)
{
    size_t kept = 0;
    for (const char *p = name; *p; p++)
        if (!strchr("+\" \t", *p))
            name[kept++] = isalnum((unsigned char)*p) || strchr("._-", *p) ? *p : '-';
    name[kept] = '\0';
}

/* "lr0.001", "target_l0-32"; of architecture, features and hooks the value alone. Only characters of
 * names. */
static int key_and_value(const struct config_option *option, const struct config_sae *sae,
                         char **out)
{
    size_t bytes;
    int plain = strcmp(option->key, "arch") == 0 || strcmp(option->key, "features") == 0 ||
                strcmp(option->key, "hooks") == 0;
    FILE *text = open_memstream(out, &bytes);
    if (!text) return err_set(ERR_NOMEM, "no memory for the configuration");
    if (!plain) fputs(option->key, text);
    if (!plain && isdigit((unsigned char)option->key[strlen(option->key) - 1])) fputc('-', text);
    int result = config_value_print(option, sae, text);
    if (fclose(text) != 0 && result == ERR_OK)
        result = err_set(ERR_NOMEM, "no memory for the configuration");
    if (result == ERR_OK) config_name_clean(*out);
    return result;
}

/* Whether a name made by default says this key's value already. */
static int in_default_name(const struct config_sae *sae, const char *key)
{
    static const char *const said[] = {"arch", "activation", "skip", "features", "hooks"};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        if (strcmp(key, said[i]) == 0) return 1;
    return strcmp(key, "k") == 0 && sae_keeps_largest(&sae->options);
}

int config_sweep_name(struct config_sae *sae, const unsigned char *given, int named)
{
    char name[NAME_BYTES], *part = NULL;
    size_t used = (size_t)snprintf(name, sizeof name, "%.*s", NAME_BYTES / 2, sae->name);
    for (size_t i = 0; i < config_options_count; i++) {
        const struct config_option *option = &config_options[i];
        if (given[i] != CONFIG_VALUES || (!named && in_default_name(sae, option->key))) continue;
        int result = key_and_value(option, sae, &part);
        if (result == ERR_OK)
            used += (size_t)snprintf(name + used, sizeof name - used, "-%s", part);
        free(part);
        part = NULL;
        if (result != ERR_OK) return result;
        if (used >= sizeof name) used = sizeof name - 1; /* too long for a name: told later */
    }
    char *copy = strdup(name);
    if (!copy) return err_set(ERR_NOMEM, "no memory for the configuration");
    free(sae->name);
    sae->name = copy;
    return ERR_OK;
}
