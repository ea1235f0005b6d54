/*
 * `sluice export`: the weights of a checkpoint in the layouts that others load. A checkpoint is
 * only read, so that the trainer that writes it is not disturbed.
 */
#include "base/err.h"
#include "base/fileio.h"
#include "base/json_put.h"
#include "cli/commands.h"
#include "cli/saved.h"
#include "sae/model.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct target {
    const char *name;
    int (*has)(const struct sae_options *options);
    int (*write)(struct sae_view sae, const struct export_options *options, const char *dir);
    const char *others; /* what to say of an SAE that it has no place for */
};

static const struct target targets[] = {
    {"saelens", export_saelens_has, export_saelens, "--to hooks"},
    {"sparsify", export_sparsify_has, export_sparsify, "--to saelens"},
    {"hooks", export_hooks_has, export_hooks, "--to saelens"},
};
enum { TARGETS = sizeof targets / sizeof targets[0] };

static const struct target *target_of(const char *name)
{
    for (int i = 0; i < TARGETS; i++)
        if (strcmp(targets[i].name, name) == 0) return &targets[i];
    err_set(ERR_USAGE, "--to %s: there is no such layout; HINT: saelens, sparsify or hooks", name);
    return NULL;
}

/* ---- the folder: written beside its place, and put there whole ---- */

/* The half-made folder goes, and what stopped it is told, whatever comes of the removing. */
static int give_up(const char *folder, int result)
{
    char why[1024];
    snprintf(why, sizeof why, "%s", err_text());
    dir_remove(folder);
    return err_set(result, "%s", why);
}

static int put_in_place(const char *folder, const char *dir)
{
    if (rename(folder, dir) == 0) return dir_sync_of(dir);
    int is_full = errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR;
    return err_set(is_full ? ERR_USAGE : ERR_IO, "cannot put the export into %s: %s%s", dir,
                   strerror(errno),
                   is_full ? "; HINT: give a folder that is empty or not there yet" : "");
}

static int is_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int entries = 0;
    while (dir && (entry = readdir(dir)))
        entries += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (dir) closedir(dir);
    return dir && entries == 0;
}

/* `dir` must be an empty folder or missing; said before anything is read. */
static int check_place(const char *dir)
{
    struct stat st;
    if (lstat(dir, &st) != 0 || (S_ISDIR(st.st_mode) && is_empty(dir))) return ERR_OK;
    return err_set(ERR_USAGE,
                   "%s is there already, and not an empty folder; HINT: give another, or remove it",
                   dir);
}

/* The path without slashes at its end, so that a folder can stand beside it: out[PATH_MAX]. */
static int place_of(const char *given, char *out)
{
    size_t length = strlen(given);
    while (length > 1 && given[length - 1] == '/') length--;
    if (length == 0 || length >= PATH_MAX - 32)
        return err_set(ERR_USAGE, "DIR is %s", length ? "too long a path" : "empty");
    snprintf(out, PATH_MAX, "%.*s", (int)length, given);
    return ERR_OK;
}

/* ---- what the files say ---- */

static json_t *metadata_of(const struct saved *saved, uint32_t i, const struct view *view,
                           const struct model *model, const struct whiten *whiten)
{
    json_t *m = json_object();
    if (!m) return NULL;
    struct provenance_training training = saved->training;
    training.options = model->encoder->options;
    training.steps = model->steps;
    training.skipped = model->skipped;
    json_put_text(m, "sae", saved_name(saved, i));
    provenance_put_training(m, &training, i);
    provenance_put(m, &saved->descriptor, view, saved_setting(saved, "dataset"));
    if (whiten) json_put(m, "whitening", whiten_json(whiten));
    return m;
}

static int write_model(const struct saved *saved, uint32_t i, const struct target *target,
                       const struct model *model, const char *folder)
{
    const struct sae_options *o = model->encoder->options;
    const char *names[DESCRIPTOR_MAX_HOOKS];
    struct whiten *whiten = NULL;
    struct view view;
    if (!target->has(o))
        return err_set(ERR_USAGE, "%s (%s) cannot be told in %s's layout; HINT: %s, or --sae",
                       saved_name(saved, i), sae_arch_name(o->arch), target->name, target->others);
    int result = saved_view(saved, i, o, &view);
    if (result != ERR_OK) return result;
    struct export_options options = provenance_export(&saved->descriptor, &view, o->arch,
                                                      saved_setting(saved, "model_name"), names);
    float *scale = malloc(view.width * sizeof *scale);
    if (scale) view_gather(&view, saved->scale, saved->descriptor.width, 1, scale);
    if (saved->whiten) result = whiten_select(saved->whiten, view.place, view.hooks, &whiten);
    options.scale = scale;
    options.whiten = whiten;
    options.metadata = metadata_of(saved, i, &view, model, whiten);
    if (!options.metadata || !scale) result = err_set(ERR_NOMEM, "no memory to export");
    if (result == ERR_OK) result = target->write(model_view(model), &options, folder);
    json_decref(options.metadata);
    whiten_free(whiten);
    free(scale);
    return result;
}

static int write_one(const struct saved *saved, uint32_t i, const struct target *target,
                     const char *folder)
{
    struct model model;
    char section[SECTION_SAE_BYTES];
    section_sae(i, section);
    int result = model_open(saved->checkpoint, section, saved->pool, &model);
    if (result != ERR_OK) return err_set(result, "%s: %s", saved->path, err_text());
    result = write_model(saved, i, target, &model, folder);
    model_close(&model);
    return result;
}

/* Where SAE i goes below `folder`: one alone directly into it, of several each into a folder of its
 * name. ERR_LIMIT: the path is too long. */
static int path_of(const struct saved *saved, uint32_t i, const char *only, const char *folder,
                   char out[PATH_MAX])
{
    int alone = only || saved->saes == 1;
    int n = snprintf(out, PATH_MAX, "%s%s%s", folder, alone ? "" : "/",
                     alone ? "" : saved_name(saved, i));
    return n < PATH_MAX ? ERR_OK : err_set(ERR_LIMIT, "path too long: %s", folder);
}

static int is_wanted(const struct saved *saved, uint32_t i, const char *only)
{
    return !only || strcmp(only, saved_name(saved, i)) == 0;
}

static int write_all(const struct saved *saved, const char *only, const struct target *target,
                     const char *folder)
{
    char path[PATH_MAX], names[1024];
    int found = 0, result = ERR_OK;
    for (uint32_t i = 0; i < saved->saes && result == ERR_OK; i++) {
        if (!is_wanted(saved, i, only)) continue;
        found = 1;
        result = path_of(saved, i, only, folder, path);
        if (result == ERR_OK) result = write_one(saved, i, target, path);
    }
    if (found || result != ERR_OK) return result;
    saved_names(saved, names, sizeof names);
    return err_set(ERR_USAGE, "--sae %s: %s has no such one; HINT: it has %s", only, saved->path,
                   names);
}

static void say_all(const struct saved *saved, const char *only, const struct target *target,
                    const char *dir)
{
    char path[PATH_MAX];
    for (uint32_t i = 0; i < saved->saes; i++)
        if (is_wanted(saved, i, only) && path_of(saved, i, only, dir, path) == ERR_OK)
            printf("%s, after %" PRIu64 " rows: %s in %s\n", saved_name(saved, i),
                   saved->training.rows, target->name, path);
}

int export_command(const struct options *options)
{
    const char *to = options_get(options, "to"), *only = options_get(options, "sae");
    char dir[PATH_MAX], folder[PATH_MAX];
    struct saved saved;
    if (!to) return err_set(ERR_USAGE, "--to is missing; HINT: --to saelens, sparsify or hooks");
    const struct target *target = target_of(to);
    if (!target) return ERR_USAGE;
    int result = place_of(options->arguments[0], dir);
    if (result == ERR_OK) result = check_place(dir);
    if (result == ERR_OK) result = saved_open(options, &saved);
    if (result != ERR_OK) return result;
    snprintf(folder, sizeof folder, "%.*s.%ld.tmp", PATH_MAX - 32, dir, (long)getpid());
    result = dir_make(folder, 0700);
    if (result == ERR_OK) result = write_all(&saved, only, target, folder);
    if (result == ERR_OK) result = put_in_place(folder, dir);
    if (result == ERR_OK)
        say_all(&saved, only, target, dir);
    else
        result = give_up(folder, result);
    saved_close(&saved);
    return result;
}
