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
        char own[CONFIG_STANDARD_BYTES];
        const char *text = config_standard(option, own);
        if (!text) text = option->type == OPTION_CHOICE ? option->choices[0].name : "";
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

uint32_t config_items(const struct config *config)
{
    uint32_t count = config->trainer.saes_count;
    return count ? config->origins->item[count - 1] + 1 : 0;
}

uint32_t config_item_of(const struct config *config, uint32_t sae)
{
    return config->origins->item[sae];
}

static void drop_sae(struct config *config, uint32_t index)
{
    struct config_trainer *t = &config->trainer;
    struct config_origins *o = config->origins;
    clear_all(&t->saes[index], 1);
    for (uint32_t i = index; i + 1 < t->saes_count; i++) {
        t->saes[i] = t->saes[i + 1];
        o->sae[i] = o->sae[i + 1];
        o->item[i] = o->item[i + 1];
        memcpy(o->at[i], o->at[i + 1], sizeof o->at[i]);
        memcpy(o->given[i], o->given[i + 1], sizeof o->given[i]);
    }
    t->saes_count--;
}

void config_list_end(struct config *config, uint32_t item, int option)
{
    const struct config_origins *o = config->origins;
    for (uint32_t i = config->trainer.saes_count; i-- > 0;)
        if (o->item[i] == item && o->at[i][option] > 0) drop_sae(config, i);
}

/* "l1", "transcoder", "skip-transcoder-batchtopk": what isn't the default is told. */
static void kind_name(const struct sae_options *o, char *out, size_t bytes)
{
    enum sae_arch activation = sae_activation(o);
    int told = activation != sae_arch_activation(o->arch);
    snprintf(out, bytes, "%s%s%s%s", o->skip ? "skip-" : "", sae_arch_name(o->arch),
             told ? "-" : "", told ? sae_arch_name(activation) : "");
}

/* "auto" of the table. */
static void own_activation(struct sae_options *o)
{
    if ((int)o->activation < 0) o->activation = sae_arch_activation(o->arch);
}

/* What the table has no key for is as the architecture's own. So is a key of an item of several
 * architectures to those that don't know it: as if it weren't there. */
static int own_where_unused(struct config_sae *sae)
{
    struct config_sae own = {0};
    int result = ERR_OK;
    sae_options_default(sae->options.arch, &own.options);
    for (size_t i = 0; i < config_options_count && result == ERR_OK; i++) {
        const struct config_option *option = &config_options[i];
        if (strcmp(option->section, CONFIG_SAES) != 0) continue;
        if (config_sae_uses(sae, option->key))
            config_value_copy(option, &own, sae);
        else if (option->standard != config_own)
            result = config_value_set(option, &own, option->standard);
    }
    own.name = sae->name;
    if (!own.hooks) { /* texts are not copied */
        own.hooks = sae->hooks;
        sae->hooks = NULL;
    }
    free(sae->hooks);
    *sae = own;
    return result;
}

/* "topk-64-k4", "topk-64-k4-resid_post.3": what it is called where nobody gave it a name. */
static int name_sae(struct config_sae *sae)
{
    const struct sae_options *o = &sae->options;
    char name[512], kind[40];
    kind_name(o, kind, sizeof kind);
    if (sae_keeps_largest(o)) {
        snprintf(name, sizeof name, "%s-%u-k%u", kind, o->features, o->k);
    } else if (o->features > 0) {
        snprintf(name, sizeof name, "%s-%u", kind, o->features);
    } else {
        snprintf(name, sizeof name, "%s", kind);
    }
    size_t used = strlen(name);
    if (sae->hooks[0]) snprintf(name + used, sizeof name - used, "-%s", sae->hooks);
    config_name_clean(name);
    char *copy = strdup(name);
    if (!copy) return err_set(ERR_NOMEM, "no memory for the configuration");
    free(sae->name);
    sae->name = copy;
    return ERR_OK;
}

/* What follows from other values. */
static int complete_sae(struct config_sae *sae)
{
    struct sae_options *o = &sae->options;
    own_activation(o);
    int result = own_where_unused(sae);
    if (result != ERR_OK) return result;
    own_activation(o);
    enum sae_arch activation = sae_activation(o);
    if (o->learning_rate == 0) o->learning_rate = sae_arch_learning_rate(activation, o->features);
    if (o->decoder_lr_factor == 0)
        o->decoder_lr_factor = sae_arch_decoder_lr_factor(o->arch, activation);
    if (o->lambda == -1) o->lambda = sae_arch_lambda(activation);
    if (o->lambda_ramp == -1) o->lambda_ramp = sae_arch_lambda_ramp(activation);
    return sae->name[0] ? ERR_OK : name_sae(sae);
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

int config_has_consumer(const struct config *config, const char *name)
{
    for (uint32_t i = 0; i < config->trainer.consumers.count; i++)
        if (strcmp(config->trainer.consumers.item[i], name) == 0) return 1;
    return 0;
}

uint32_t config_threads(uint32_t wanted)
{
    if (wanted > 0) return wanted;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return (uint32_t)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}
