/* `sluice tap list|on|off|set`: programs that run with the tap in front of them. */
#include "cli/commands.h"

#include "base/err.h"
#include "cli/tap_shown.h"
#include "cli/tap_steer.h"
#include "cli/tap_told.h"
#include "cli/taps.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

static struct taps taps; /* large, and there is one */

int tap_list_command(const struct options *options, const struct config *config)
{
    (void)config;
    if (options->file)
        return err_set(ERR_USAGE, "tap list takes no argument: '%.80s'", options->file);
    taps_find(&taps);
    int result = taps_ask(&taps, NULL);
    if (result == ERR_OK && options_get(options, "json"))
        tap_shown_json(&taps);
    else if (result == ERR_OK)
        tap_shown_people(&taps);
    taps_close(&taps);
    return result;
}

/* Tell it, and show what came of it. */
static int tell(const struct options *options, const char *which, const struct tap_told *told)
{
    int result, failed = ERR_OK;
    taps_find(&taps);
    result = taps_choose(&taps, which);
    if (result == ERR_OK) result = taps_ask(&taps, told);
    for (size_t i = 0; result == ERR_OK && i < taps.count; i++)
        if (taps.tap[i].trouble[0])
            failed = err_set(ERR_STATE, "process %s: %s", taps.tap[i].name, taps.tap[i].trouble);
    if (result == ERR_OK && options_get(options, "json"))
        tap_shown_json(&taps);
    else if (result == ERR_OK && (failed == ERR_OK || taps.count > 1))
        tap_shown_people(&taps);
    taps_close(&taps);
    return result == ERR_OK ? failed : result;
}

static int turn(const struct options *options, const char *on)
{
    struct tap_told told = {0};
    int result = tap_told_put(&told, TAP_ON, on);
    return result == ERR_OK ? tell(options, options->file, &told) : result;
}

int tap_on_command(const struct options *options, const struct config *config)
{
    (void)config;
    return turn(options, "yes");
}

int tap_off_command(const struct options *options, const struct config *config)
{
    (void)config;
    return turn(options, "no");
}

/* A number, a name of a tap, or "all", is a process; all else is a file. */
static int is_process(const char *argument)
{
    char name[TAP_NAME_BYTES];
    return strcmp(argument, "all") == 0 || argument[strspn(argument, "0123456789")] == '\0' ||
           tap_folder_process(argument, "", name);
}

static int sort_arguments(const struct options *options, const char **which, const char **file)
{
    const char *given[2] = {options->file, options->arguments_count ? options->arguments[0] : NULL};
    *which = *file = NULL;
    for (int i = 0; i < 2; i++) {
        const char **place = given[i] && is_process(given[i]) ? which : file;
        if (!given[i]) continue;
        if (*place)
            return err_set(ERR_USAGE, "two %s: %.80s and %.80s",
                           place == which ? "processes" : "files", *place, given[i]);
        *place = given[i];
    }
    return ERR_OK;
}

/* Whoever names a stream wants it. */
static int complete(struct tap_told *told)
{
    if (tap_told_get(told, TAP_STREAM)) return tap_told_put(told, TAP_ON, "yes");
    if (told->count > 0) return ERR_OK;
    return err_set(ERR_USAGE, "nothing is to be set; HINT: sluice tap set --share 0.1, or another "
                              "option, or a pipeline's FILE");
}

static int put_steering(const struct options *options, const char *table, struct tap_told *told)
{
    if (!options_get(options, "steer")) return ERR_OK;
    int result = tap_told_put(told, TAP_STEER, table);
    if (result != ERR_OK || !table[0]) return result;
    return tap_told_put(told, TAP_KEEP_STEERED,
                        options_get(options, "keep-steered") ? "yes" : "no");
}

int tap_set_command(const struct options *options, const struct config *none)
{
    const char *which, *file;
    struct config *config = NULL;
    struct tap_told told;
    char table[256] = "";
    (void)none;
    int result = sort_arguments(options, &which, &file);
    if (result == ERR_OK && !file && options->sets_count > 0)
        result = err_set(ERR_USAGE, "--set is for a pipeline's FILE, and none is named; HINT: "
                                    "--share, --hooks");
    if (result == ERR_OK && file)
        result = config_load(file, options->sets, options->sets_count, &config);
    if (result == ERR_NOTFOUND) result = ERR_USAGE;
    if (result == ERR_OK) result = tap_told_file(&told, config);
    if (result == ERR_OK) result = tap_told_options(&told, options);
    if (result == ERR_OK) result = tap_steer_write(options, table, sizeof table);
    if (result == ERR_OK) result = put_steering(options, table, &told);
    if (result == ERR_OK) result = complete(&told);
    if (result == ERR_OK) result = tell(options, which, &told);
    if (table[0]) unlink(table); /* who was told has read it */
    config_free(config);
    return result;
}
