#include "tap/environment.h"

#include "base/err.h"
#include "proto/tap_words.h"
#include "tap/names.h"
#include "tap/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char prefix[] = TAP_VARIABLE;

/* The setting that a variable is of, into name[bytes]; 0: it is of none. */
static int setting_of(const char *variable, char *name, size_t bytes)
{
    size_t begin = sizeof prefix - 1, end = strcspn(variable, "=");
    if (strncmp(variable, prefix, begin) != 0 || variable[end] != '=' || end - begin >= bytes)
        return 0;
    for (size_t i = begin; i < end; i++)
        name[i - begin] = (char)tolower((unsigned char)variable[i]);
    name[end - begin] = '\0';
    return 1;
}

static int copy(const char *name, const char *value, char *out, size_t bytes)
{
    if (snprintf(out, bytes, "%s", value) < (int)bytes) return ERR_OK;
    return err_set(ERR_LIMIT, "%s is longer than %zu bytes", name, bytes - 1);
}

static int take(struct tap_start *start, const char *name, const char *value)
{
    if (strcmp(name, TAP_MODEL) == 0) return copy(name, value, start->model, sizeof start->model);
    if (strcmp(name, TAP_STEER) == 0) return copy(name, value, start->steer, sizeof start->steer);
    if (strcmp(name, TAP_KEEP_STEERED) == 0) {
        start->keeps_steered = strcmp(value, "yes") == 0;
        return ERR_OK;
    }
    int result = settings_take(&start->settings, name, value);
    return result == ERR_NOTFOUND ? ERR_USAGE : result;
}

int environment_read(struct tap_start *start)
{
    char name[64];
    int found = 0, result = ERR_OK;
    memset(start, 0, sizeof *start);
    settings_init(&start->settings);
    start->settings.on = getenv("SLUICE_TAP_STREAM") != NULL; /* unless it is told another */
    for (char **at = environ; at && *at && result == ERR_OK; at++) {
        if (!setting_of(*at, name, sizeof name)) continue;
        found++;
        result = take(start, name, strchr(*at, '=') + 1);
    }
    if (result == ERR_OK && !found)
        return err_set(ERR_NOTFOUND, "the tap was told nothing; HINT: sluice tap -- PROGRAM");
    return result == ERR_OK ? settings_check(&start->settings) : result;
}

int environment_is_handed_on(void)
{
    static const char *const names[] = {
        "env",     "sh",      "bash",  "dash",    "ash",     "ksh",      "zsh",    "fish",
        "busybox", "nice",    "nohup", "setsid",  "timeout", "time",     "stdbuf", "ionice",
        "chrt",    "taskset", "xargs", "numactl", "tini",    "dumb-init"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(program_invocation_short_name, names[i]) == 0) return 1;
    return 0;
}

/* ---- what children see ---- */

static int is_ours(const char *path, size_t length, const char *file)
{
    size_t n = strlen(file);
    return length >= n && memcmp(path + length - n, file, n) == 0 &&
           (length == n || path[length - n - 1] == '/');
}

/* A list with colons or spaces between, without our file. */
static void take_out(const char *name, const char *file)
{
    const char *value = getenv(name);
    char *kept = value ? malloc(strlen(value) + 1) : NULL;
    size_t used = 0;
    if (!kept) return;
    for (const char *at = value; *at;) {
        size_t length = strcspn(at, ": ");
        if (length && !is_ours(at, length, file)) {
            if (used) kept[used++] = ':';
            memcpy(kept + used, at, length);
            used += length;
        }
        at += length + (at[length] != '\0');
    }
    kept[used] = '\0';
    if (used)
        setenv(name, kept, 1);
    else
        unsetenv(name);
    free(kept);
}

void environment_clean(void)
{
    for (size_t i = 0; environ && environ[i];) {
        char name[256];
        size_t length = strcspn(environ[i], "=");
        if (strncmp(environ[i], prefix, sizeof prefix - 1) != 0 || length >= sizeof name) {
            i++;
            continue;
        }
        memcpy(name, environ[i], length);
        name[length] = '\0';
        if (unsetenv(name) != 0) i++;
    }
    take_out("LD_PRELOAD", TAP_LIBRARY);
    take_out("LD_AUDIT", TAP_AUDIT_LIBRARY);
}
