/* `sluice tap`: run a program that uses libllama, with the tap in front of it. */
#include "cli/commands.h"

#include "base/err.h"
#include "cli/tap_program.h"
#include "cli/tap_steer.h"
#include "cli/tap_told.h"
#include "proto/tap_words.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOT_FOUND = 127, NOT_RUN = 126 }; /* exit codes, as a shell gives them */

/* What an outer `sluice tap` has told is not this one's. */
static void forget_others(void)
{
    size_t prefix = sizeof TAP_VARIABLE - 1;
    for (char **at = environ; at && *at;) {
        char name[256];
        size_t length = strcspn(*at, "=");
        if (strncmp(*at, TAP_VARIABLE, prefix) == 0 && length < sizeof name) {
            memcpy(name, *at, length);
            name[length] = '\0';
            if (unsetenv(name) == 0) continue; /* the others moved up */
        }
        at++;
    }
}

static int set_variable(const char *name, const char *value)
{
    if (setenv(name, value, 1) == 0) return ERR_OK;
    return err_set(ERR_NOMEM, "no memory for the program's environment");
}

static int set_setting(const char *name, const char *value)
{
    char variable[64];
    size_t n = (size_t)snprintf(variable, sizeof variable, TAP_VARIABLE "%s", name);
    for (size_t i = 0; i < n; i++) variable[i] = (char)toupper((unsigned char)variable[i]);
    return set_variable(variable, value);
}

/* Before the libraries that are there. */
static int prepend(const char *variable, const char *library)
{
    char path[PATH_MAX + 64];
    int result = tap_program_library(library, path, sizeof path);
    const char *there = getenv(variable);
    if (result != ERR_OK || !there || !there[0])
        return result == ERR_OK ? set_variable(variable, path) : result;
    size_t bytes = strlen(path) + strlen(there) + 2;
    char *both = malloc(bytes);
    if (!both) return err_set(ERR_NOMEM, "no memory for the program's environment");
    snprintf(both, bytes, "%s:%s", path, there);
    result = set_variable(variable, both);
    free(both);
    return result;
}

/* The tap removes the table when the program has made a context. */
static int tell_steering(const struct options *options)
{
    char table[256];
    int result = tap_steer_write(options, table, sizeof table);
    if (result != ERR_OK || !table[0]) return result;
    result = set_setting(TAP_STEER, table);
    return result != ERR_OK || !options_get(options, "keep-steered")
               ? result
               : set_setting(TAP_KEEP_STEERED, "yes");
}

static int tell(const struct options *options, const struct config *config)
{
    struct tap_told told;
    const char *model = options_get(options, "model");
    int result = tap_told_file(&told, config);
    if (result == ERR_OK) result = tap_told_options(&told, options);
    if (result == ERR_OK && config && !tap_told_get(&told, TAP_HOOKS)[0])
        return err_set(ERR_USAGE, "%s names no hooks; HINT: stream.hooks: [resid_post.15]",
                       config->file);
    forget_others();
    if (result == ERR_OK) result = set_setting(TAP_ON, config ? "yes" : "no");
    if (result == ERR_OK && model) result = set_setting(TAP_MODEL, model);
    for (size_t i = 0; result == ERR_OK && i < told.count; i++)
        result = set_setting(told.setting[i].name, told.setting[i].value);
    return result == ERR_OK ? tell_steering(options) : result;
}

/* Nobody else removes it where no program begins. */
static void remove_table(void)
{
    const char *table = getenv(TAP_VARIABLE "STEER");
    if (table && table[0]) unlink(table);
}

/* Does not return; without a program to run the exit code is a shell's. */
static void run(char **program)
{
    execvp(program[0], program);
    int failed = errno;
    remove_table();
    fprintf(stderr, "sluice: %s: %s\n", program[0], strerror(failed));
    exit(failed == ENOENT ? NOT_FOUND : NOT_RUN);
}

int tap_command(const struct options *options, const struct config *config)
{
    char path[PATH_MAX + 64];
    int result = tap_program_find(options->program[0], path, sizeof path);
    if (result != ERR_OK) {
        fprintf(stderr, "sluice: %s\n", err_text());
        exit(result == ERR_NOTFOUND ? NOT_FOUND : NOT_RUN);
    }
    result = tap_program_check(path);
    if (result == ERR_OK) result = prepend("LD_PRELOAD", TAP_LIBRARY);
    if (result == ERR_OK) result = prepend("LD_AUDIT", TAP_AUDIT_LIBRARY);
    if (result == ERR_OK) result = tell(options, config);
    if (result == ERR_OK) run(options->program);
    return result;
}
