#include "cli/tap_steer.h"

#include "base/err.h"
#include "base/fileio.h"
#include "cli/steer.h"
#include "inspect/steer_table.h"
#include "proto/tap_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void give(struct options *o, const char *name, const char *value)
{
    if (value && o->values_count < OPTIONS_MAX_VALUES)
        o->values[o->values_count++] = (struct option_value){name, value};
}

/* As `sluice steer SAE --sae NAME --features ...` would be told. */
static void as_steer(const struct options *options, char *sae, struct options *o)
{
    const char *index;
    char *mark = strrchr(sae, '#');
    *o = (struct options){.file = sae, .log_level = options->log_level};
    if (mark) *mark++ = '\0';
    give(o, "sae", mark);
    give(o, "features", options_get(options, "steer"));
    give(o, "max", options_get(options, "max"));
    for (size_t i = 0; (index = options_get_nth(options, "index", i)); i++) give(o, "index", index);
}

static int check_alone(const struct options *options)
{
    static const char *const of_steering[] = {"sae",      "index",       "max",
                                              "additive", "every-token", "keep-steered"};
    for (size_t i = 0; i < sizeof of_steering / sizeof *of_steering; i++)
        if (options_get(options, of_steering[i]))
            return err_set(ERR_USAGE, "--%s goes with --steer FEATURES", of_steering[i]);
    return ERR_OK;
}

static int write_table(char *path, const void *data, size_t bytes)
{
    int fd = mkstemp(path);
    if (fd < 0) return err_set(err_of_file(errno), "%s: %s", path, strerror(errno));
    int failed = file_put(fd, data, bytes) == 0 ? 0 : errno;
    close(fd);
    if (!failed) return ERR_OK;
    unlink(path);
    return err_set(err_of_file(failed), "%s cannot be written: %s", path, strerror(failed));
}

/* What --steer tells of --sae SAE[#NAME], with --index and --max for what "4x" means, --additive and
 * --every-token: a table (proto/steer.h) in data[bytes], malloc'ed. */
static int make_table(const struct options *options, void **data, size_t *bytes)
{
    const char *told = options_get(options, "sae");
    struct options of_steer;
    char sae[SUBJECT_PATH_BYTES];
    if (!told)
        return err_set(ERR_USAGE,
                       "--steer without an autoencoder; HINT: --sae RUN, or a folder as SAELens "
                       "or sparsify save one");
    if (snprintf(sae, sizeof sae, "%s", told) >= (int)sizeof sae)
        return err_set(ERR_LIMIT, "--sae: too long a path");
    as_steer(options, sae, &of_steer);
    struct steer s = {.options = &of_steer};
    int result = steer_read(&s), is_every = options_get(options, "every-token") != NULL;
    struct clamps *clamps = &s.steering.of[0];
    if (result == ERR_OK) {
        clamps->adds = options_get(options, "additive") != NULL;
        result = steer_table_make(clamps, options_get(options, "steer"), is_every, data, bytes);
    }
    steer_close(&s);
    return result;
}

int tap_steer_write(const struct options *options, char *path, size_t bytes)
{
    const char *features = options_get(options, "steer");
    char folder[200];
    void *data;
    size_t size;
    path[0] = '\0';
    if (!features || strcmp(features, "off") == 0) return check_alone(options);
    int result = make_table(options, &data, &size);
    if (result != ERR_OK) return result;
    result = tap_folder_make(folder, sizeof folder);
    if (result == ERR_OK && snprintf(path, bytes, "%s/" TAP_TABLE "XXXXXX", folder) >= (int)bytes)
        result = err_set(ERR_LIMIT, "%s is too long a path", folder);
    if (result == ERR_OK) result = write_table(path, data, size);
    if (result != ERR_OK) path[0] = '\0';
    free(data);
    return result;
}
