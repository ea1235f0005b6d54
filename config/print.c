/* The table of options as YAML, Markdown and man macros. */
#include "config/table.h"

#include "base/err.h"
#include "config/man.h"

#include <string.h>

static const char *place_of(const char *section)
{
    const char *dot = strrchr(section, '.');
    return dot ? dot + 1 : section;
}

static int depth_of(const char *section)
{
    return strchr(section, '.') ? 1 : 0;
}

/* The first architecture that has a use for the key is asked. Of an exponent's digits zeros in
 * front are left out: 3e-6. */
const char *config_standard(const struct config_option *option, char *out)
{
    struct config_sae sae = {0};
    if (option->standard != config_own) return option->standard;
    for (int arch = 0; arch < SAE_ARCHS; arch++) {
        sae_options_default((enum sae_arch)arch, &sae.options);
        if (config_sae_uses(&sae, option->key)) break;
    }
    FILE *text = fmemopen(out, CONFIG_STANDARD_BYTES, "w");
    if (!text) return NULL;
    config_value_print(option, &sae, text);
    fclose(text);
    char *exponent = strstr(out, "e-0");
    if (exponent) memmove(exponent + 2, exponent + 3, strlen(exponent + 3) + 1);
    return out;
}

/* "texts, default main" / "from 1 to 256, default 1, processes" */
static void facts(const struct config_option *option, char *out, size_t bytes)
{
    char allowed[256], own[CONFIG_STANDARD_BYTES];
    const char *standard = config_standard(option, own);
    const char *word = standard && standard[0] ? "default " : "";
    if (!standard) standard = "required";
    config_value_allowed(option, allowed, sizeof allowed);
    snprintf(out, bytes, "%s%s%s; %s%s", allowed, option->unit[0] ? ", in " : "", option->unit,
             word, standard[0] ? standard : "empty by default");
}

static void print_option(const struct config_option *option, const void *base, int indent,
                         const char *bullet, FILE *out)
{
    char line[512];
    facts(option, line, sizeof line);
    fprintf(out, "%*s# %s (%s)\n", indent, "", option->meaning, line);
    int missing = !option->standard && option->type == OPTION_TEXT &&
                  !(*(char *const *)((const char *)base + option->offset))[0];
    fprintf(out, "%*s%s%s: ", indent - (int)strlen(bullet), "", bullet, option->key);
    config_value_print(option, base, out);
    fputs(missing ? "  # to be filled in\n" : "\n", out);
}

static void print_options(const char *section, const void *base, int indent, FILE *out)
{
    for (size_t i = 0; i < config_options_count; i++)
        if (strcmp(config_options[i].section, section) == 0)
            print_option(&config_options[i], base, indent, "", out);
}

static void print_saes(const struct config *config, FILE *out)
{
    const struct config_trainer *trainer = &config->trainer;
    fprintf(out, trainer->saes_count ? "  saes:\n" : "  saes: []\n");
    for (uint32_t s = 0; s < trainer->saes_count; s++) {
        const char *bullet = "- ";
        for (size_t i = 0; i < config_options_count; i++) {
            if (strcmp(config_options[i].section, CONFIG_SAES) != 0) continue;
            if (!config_sae_uses(&trainer->saes[s], config_options[i].key)) continue;
            print_option(&config_options[i], &trainer->saes[s], 6, bullet, out);
            bullet = "";
        }
    }
}

/* The keys of an item where there is none to show. */
static void print_sae_help(FILE *out)
{
    char line[512];
    for (size_t i = 0; i < config_options_count; i++) {
        const struct config_option *option = &config_options[i];
        if (strcmp(option->section, CONFIG_SAES) != 0) continue;
        facts(option, line, sizeof line);
        fprintf(out, "  #   %s: %s (%s)\n", option->key, option->meaning, line);
    }
}

static void print_all(const struct config *config, FILE *out)
{
    for (size_t s = 0; s < config_sections_count; s++) {
        const char *section = config_sections[s].name;
        int depth = depth_of(section);
        fprintf(out, "%s%*s# %s\n", depth ? "" : "\n", 2 * depth, "", config_sections[s].meaning);
        if (strcmp(section, CONFIG_SAES) == 0) {
            if (config->trainer.saes_count == 0) print_sae_help(out);
            print_saes(config, out);
            continue;
        }
        fprintf(out, "%*s%s:\n", 2 * depth, "", place_of(section));
        print_options(section, config, 2 * depth + 2, out);
    }
}

int config_print(const struct config *config, FILE *out)
{
    struct config *defaults = NULL;
    if (!config) {
        int result = config_new("", &defaults);
        if (result != ERR_OK) return result;
        config = defaults;
    }
    fprintf(out, "# Every option of sluice %s: its value, meaning, what is allowed, default.\n",
            SLUICE_VERSION);
    print_all(config, out);
    config_free(defaults);
    return ferror(out) ? err_set(ERR_IO, "cannot write the configuration") : ERR_OK;
}

int config_write_markdown(FILE *out)
{
    fputs("# Every option\n\nWritten by `man/generate.sh` out of the table that the programs read. "
          "Unknown keys are errors.\n\n",
          out);
    for (size_t s = 0; s < config_sections_count; s++) {
        const char *section = config_sections[s].name;
        fprintf(out,
                "## `%s`: %s\n\n| key | meaning | allowed | unit | default |\n"
                "|---|---|---|---|---|\n",
                section, config_sections[s].meaning);
        for (size_t i = 0; i < config_options_count; i++) {
            const struct config_option *option = &config_options[i];
            char allowed[256], own[CONFIG_STANDARD_BYTES];
            if (strcmp(option->section, section) != 0) continue;
            const char *standard = config_standard(option, own);
            config_value_allowed(option, allowed, sizeof allowed);
            fprintf(out, "| `%s` | %s | %s | %s | %s |\n", option->key, option->meaning, allowed,
                    option->unit, standard ? standard : "required");
        }
        if (s + 1 < config_sections_count) fputs("\n", out);
    }
    return ferror(out) ? err_set(ERR_IO, "cannot write the table of options") : ERR_OK;
}

int config_write_man(FILE *out)
{
    for (size_t s = 0; s < config_sections_count; s++) {
        const char *section = config_sections[s].name;
        fprintf(out, ".SS %s\n%s\n", section, config_sections[s].meaning);
        for (size_t i = 0; i < config_options_count; i++) {
            const struct config_option *option = &config_options[i];
            char line[512];
            if (strcmp(option->section, section) != 0) continue;
            facts(option, line, sizeof line);
            fprintf(out, ".TP\n.B %s\n", option->key);
            man_text(option->meaning, out);
            fputs(" (", out);
            man_text(line, out);
            fputs(")\n", out);
        }
    }
    return ferror(out) ? err_set(ERR_IO, "cannot write the table of options") : ERR_OK;
}
