#include "cli/tap_told.h"

#include "base/err.h"
#include "engine/llama_hooks.h"
#include "proto/lines.h"
#include "proto/ring.h"
#include "proto/tap_words.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int tap_told_put(struct tap_told *t, const char *name, const char *value)
{
    size_t i = 0, bytes = strlen(value) + 1;
    while (i < t->count && strcmp(t->setting[i].name, name) != 0) i++;
    if (i == TAP_TOLD_MOST || bytes > sizeof t->text - t->used)
        return err_set(ERR_LIMIT, "%s: too long", name);
    if (!lines_can_tell(value))
        return err_set(ERR_USAGE, "%s: a tap cannot be told a control character", name);
    t->setting[i].name = name;
    t->setting[i].value = memcpy(t->text + t->used, value, bytes);
    t->used += bytes;
    if (i == t->count) t->count++;
    return ERR_OK;
}

const char *tap_told_get(const struct tap_told *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->setting[i].name, name) == 0) return t->setting[i].value;
    return NULL;
}

static int put_real(struct tap_told *t, const char *name, double x)
{
    char text[64];
    snprintf(text, sizeof text, "%.17g", x);
    return tap_told_put(t, name, text);
}

/* ---- a pipeline's file ---- */

static int put_hooks(struct tap_told *t, const struct config_list *hooks)
{
    char text[TAP_REQUEST_BYTES] = "";
    size_t used = 0;
    for (uint32_t h = 0; h < hooks->count && used < sizeof text; h++)
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%s%s", h ? "," : "", hooks->item[h]);
    if (used >= sizeof text) return err_set(ERR_LIMIT, "stream.hooks: too long for a tap");
    return tap_told_put(t, TAP_HOOKS, text);
}

/* A program may be in another folder than this one. */
static int put_folder(struct tap_told *t, const char *folder)
{
    char here[PATH_MAX], path[2 * PATH_MAX];
    if (!folder[0] || folder[0] == '/') return tap_told_put(t, TAP_FOLDER, folder);
    if (!getcwd(here, sizeof here))
        return err_set(ERR_IO, "this folder cannot be told: %s", strerror(errno));
    snprintf(path, sizeof path, "%s/%s", here, folder);
    return tap_told_put(t, TAP_FOLDER, path);
}

int tap_told_file(struct tap_told *t, const struct config *config)
{
    char ring_bytes[32], bytes_per_second[32];
    t->count = t->used = 0;
    if (!config) return ERR_OK;
    const struct config_capture *c = &config->capture;
    if (c->engine != CONFIG_RING)
        return err_set(ERR_USAGE,
                       "%s does not capture from running programs; HINT: capture.engine: ring, and "
                       "stream.policy: shed (configs/live.yaml)",
                       config->file);
    snprintf(ring_bytes, sizeof ring_bytes, "%llu", (unsigned long long)c->ring_bytes);
    snprintf(bytes_per_second, sizeof bytes_per_second, "%llu",
             (unsigned long long)c->bytes_per_second);
    int result = tap_told_put(t, TAP_STREAM, config->stream.name);
    if (result == ERR_OK) result = put_hooks(t, &config->stream.hooks);
    if (result == ERR_OK) result = put_real(t, TAP_SHARE, c->share);
    if (result == ERR_OK) result = put_real(t, TAP_ROWS_PER_SECOND, c->rows_per_second);
    if (result == ERR_OK) result = tap_told_put(t, TAP_BYTES_PER_SECOND, bytes_per_second);
    if (result == ERR_OK) result = tap_told_put(t, TAP_EXCLUDE, c->exclude_text);
    if (result == ERR_OK) result = put_folder(t, c->rings);
    if (result == ERR_OK) result = tap_told_put(t, TAP_RING_BYTES, ring_bytes);
    if (result == ERR_OK)
        result = tap_told_put(t, TAP_DTYPE, config->stream.dtype == DTYPE_F32 ? "f32" : "bf16");
    return result;
}

/* ---- options ---- */

/* What is wrong with hooks is told here, and not by a program that goes on without the tap. */
static int check_hooks(const char *hooks)
{
    char text[TAP_REQUEST_BYTES];
    const char *names[ROW_MAX_HOOKS];
    struct llama_hooks parsed;
    uint32_t count = 0;
    if (snprintf(text, sizeof text, "%s", hooks) >= (int)sizeof text)
        return err_set(ERR_LIMIT, "hooks: too long for a tap");
    for (char *at = text; at;) {
        if (count == ROW_MAX_HOOKS) return err_set(ERR_USAGE, "hooks: more than %d", ROW_MAX_HOOKS);
        names[count++] = strsep(&at, ",");
    }
    return llama_hooks_parse(names, count, &parsed);
}

static int put_number(struct tap_told *t, const struct options *options, const char *option,
                      const char *name, double low, double high)
{
    const char *text = options_get(options, option);
    char *end;
    if (!text) return ERR_OK;
    double x = strtod(text, &end);
    if (end == text || *end || !(x >= low && x <= high))
        return err_set(ERR_USAGE, "--%s: '%.40s' is not a number from %g to %g", option, text, low,
                       high);
    return put_real(t, name, x);
}

int tap_told_options(struct tap_told *t, const struct options *options)
{
    const char *hooks = options_get(options, "hooks"), *stream = options_get(options, "stream");
    int result = hooks ? tap_told_put(t, TAP_HOOKS, hooks) : ERR_OK;
    if (result == ERR_OK && stream) result = tap_told_put(t, TAP_STREAM, stream);
    if (result == ERR_OK) result = put_number(t, options, "share", TAP_SHARE, 1e-9, 1);
    if (result == ERR_OK)
        result =
            put_number(t, options, "rows-per-second", TAP_ROWS_PER_SECOND, 0, RING_HIGHEST_RATE);
    hooks = tap_told_get(t, TAP_HOOKS);
    return result == ERR_OK && hooks ? check_hooks(hooks) : result;
}
