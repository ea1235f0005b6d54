#include "config/table.h"

#include "base/err.h"
#include "base/fileio.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1 << 20 };

void config_list_free(struct config_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) free(list->item[i]);
    free(list->item);
    *list = (struct config_list){0};
}

/* Set every option of a struct (`saes`: those of one autoencoder) to its default. */
static int set_defaults(void *base, int saes)
{
    for (size_t i = 0; i < config_options_count; i++) {
        const struct config_option *option = &config_options[i];
        if ((strcmp(option->section, CONFIG_SAES) == 0) != saes) continue;
        const char *text = option->standard ? option->standard : "";
        if (!option->standard && option->type == OPTION_CHOICE) text = option->choices[0].name;
        int result = config_value_set(option, base, text);
        if (result != ERR_OK) return result;
    }
    return ERR_OK;
}

static void clear_all(void *base, int saes)
{
    for (size_t i = 0; i < config_options_count; i++)
        if ((strcmp(config_options[i].section, CONFIG_SAES) == 0) == saes)
            config_value_clear(&config_options[i], base);
}

int config_sae_add(struct config *config, struct config_sae **sae)
{
    struct config_trainer *trainer = &config->trainer;
    if (trainer->saes_count == CONFIG_MAX_SAES)
        return err_set(ERR_USAGE, "trainer.saes has more than %d items", CONFIG_MAX_SAES);
    struct config_sae *grown = realloc(trainer->saes, (trainer->saes_count + 1) * sizeof *grown);
    if (!grown) return err_set(ERR_NOMEM, "no memory for the configuration");
    trainer->saes = grown;
    *sae = &grown[trainer->saes_count++];
    memset(*sae, 0, sizeof **sae);
    return set_defaults(*sae, 1);
}

void config_saes_clear(struct config *config)
{
    for (uint32_t i = 0; i < config->trainer.saes_count; i++)
        clear_all(&config->trainer.saes[i], 1);
    free(config->trainer.saes);
    config->trainer.saes = NULL;
    config->trainer.saes_count = 0;
}

void config_free(struct config *config)
{
    if (!config) return;
    config_saes_clear(config);
    clear_all(config, 0);
    free(config->file);
    free(config->run_dir);
    free(config->origins);
    free(config);
}

enum sae_arch config_activation(const struct config_sae *sae)
{
    enum sae_arch arch = (enum sae_arch)sae->arch;
    if (sae_arch_of_hooks(arch) && sae->activation >= 0) return (enum sae_arch)sae->activation;
    return sae_arch_activation(arch);
}

/* "l1", "transcoder", "skip-transcoder-batchtopk": what isn't the default is told. */
static void kind_name(const struct config_sae *sae, char *out, size_t bytes)
{
    enum sae_arch activation = config_activation(sae), arch = (enum sae_arch)sae->arch;
    int told = activation != sae_arch_activation(arch);
    snprintf(out, bytes, "%s%s%s%s", sae->skip ? "skip-" : "", sae_arch_name(arch), told ? "-" : "",
             told ? sae_arch_name(activation) : "");
}

/* A key of an item of several architectures is for those that know it; to the others it is as if it
 * weren't there. */
static int forget_unused(struct config_sae *sae)
{
    int result = ERR_OK;
    for (size_t i = 0; i < config_options_count && result == ERR_OK; i++) {
        const struct config_option *option = &config_options[i];
        if (strcmp(option->section, CONFIG_SAES) == 0 && !config_sae_uses(sae, option->key))
            result = config_value_set(option, sae, option->standard);
    }
    return result;
}

/* What follows from other values. */
static int complete_sae(struct config_sae *sae)
{
    int result = forget_unused(sae);
    if (result != ERR_OK) return result;
    enum sae_arch activation = config_activation(sae);
    if (config_sae_uses(sae, "activation")) sae->activation = (int)activation;
    if (sae->lr == 0) sae->lr = sae_arch_learning_rate(activation, sae->features);
    if (sae->decoder_lr_factor == 0)
        sae->decoder_lr_factor = sae_arch_decoder_lr_factor((enum sae_arch)sae->arch, activation);
    if (sae->lambda == -1) sae->lambda = sae_arch_lambda(activation);
    if (sae->lambda_ramp == -1) sae->lambda_ramp = sae_arch_lambda_ramp(activation);
    if (sae->name[0]) return ERR_OK;
    char name[64], arch[40];
    kind_name(sae, arch, sizeof arch);
    if (sae_arch_keeps_largest(activation)) {
        snprintf(name, sizeof name, "%s-%u-k%u", arch, sae->features, sae->k);
    } else if (sae->features > 0) {
        snprintf(name, sizeof name, "%s-%u", arch, sae->features);
    } else {
        snprintf(name, sizeof name, "%s", arch);
    }
    char *copy = strdup(name);
    if (!copy) return err_set(ERR_NOMEM, "no memory for the configuration");
    free(sae->name);
    sae->name = copy;
    return ERR_OK;
}

int config_new(const char *file, struct config **config)
{
    struct config *c = calloc(1, sizeof *c);
    if (!c) return err_set(ERR_NOMEM, "no memory for the configuration");
    c->file = strdup(file);
    c->run_dir = strdup("");
    c->origins = calloc(1, sizeof *c->origins);
    int result = c->file && c->run_dir && c->origins
                     ? set_defaults(c, 0)
                     : err_set(ERR_NOMEM, "no memory for the configuration");
    if (result != ERR_OK) {
        config_free(c);
        return result;
    }
    *config = c;
    return ERR_OK;
}

static int complete(struct config *config)
{
    for (uint32_t i = 0; i < config->trainer.saes_count; i++) {
        struct config_sae *sae = &config->trainer.saes[i];
        int named = sae->name[0] != '\0';
        int result = complete_sae(sae);
        if (result == ERR_OK) result = config_sweep_name(sae, config->origins->given[i], named);
        if (result != ERR_OK) return result;
    }
    int result = config_check(config);
    if (result != ERR_OK) return result;
    char path[CONFIG_PATH_BYTES];
    result = config_run_dir(config, path);
    if (result != ERR_OK) return result;
    char *copy = strdup(path);
    if (!copy) return err_set(ERR_NOMEM, "no memory for the configuration");
    free(config->run_dir);
    config->run_dir = copy;
    return ERR_OK;
}

int config_parse(const char *text, size_t bytes, const char *file, const char *const *sets,
                 size_t sets_count, struct config **config)
{
    struct config *c;
    int result = config_new(file, &c);
    if (result != ERR_OK) return result;
    result = config_yaml_load(c, text, bytes);
    for (size_t i = 0; i < sets_count && result == ERR_OK; i++)
        result = config_yaml_set(c, sets[i]);
    if (result == ERR_OK) result = complete(c);
    if (result != ERR_OK) {
        config_free(c);
        return result;
    }
    *config = c;
    return ERR_OK;
}

int config_load(const char *path, const char *const *sets, size_t sets_count,
                struct config **config)
{
    char *text;
    size_t bytes;
    int result = file_read(path, FILE_BYTES_MAX, &text, &bytes);
    if (result != ERR_OK) return result;
    result = config_parse(text, bytes, path, sets, sets_count, config);
    free(text);
    return result;
}

uint32_t config_threads(uint32_t wanted)
{
    if (wanted > 0) return wanted;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return (uint32_t)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}
