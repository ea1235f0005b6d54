/*
 * `sluice export`: the weights of a checkpoint in the layouts that others load. A checkpoint is
 * only read, so that the trainer that writes it is not disturbed.
 */
#include "base/err.h"
#include "base/fileio.h"
#include "base/json_put.h"
#include "cli/commands.h"
#include "cli/layer_set.h"
#include "cli/saved.h"
#include "sae/model.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "saelens, sparsify, ...": out[bytes]; of `o`, if it is given, those that have it. */
static void name_layouts(const struct sae_options *o, char *out, size_t bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < EXPORT_LAYOUTS && used < bytes; i++)
        if (!o || export_layouts[i].has(o))
            used += (size_t)snprintf(out + used, bytes - used, "%s%s", used ? ", " : "",
                                     export_layouts[i].name);
}

static const struct export_layout *layout_of(const char *to)
{
    const struct export_layout *layout = to ? export_layout(to) : NULL;
    char names[128];
    name_layouts(NULL, names, sizeof names);
    if (!to)
        err_set(ERR_USAGE, "--to is missing; HINT: --to one of %s", names);
    else if (!layout)
        err_set(ERR_USAGE, "--to %s: there is no such layout; HINT: one of %s", to, names);
    return layout;
}

/* Whether transcoders of all layers are one thing in this layout, in one folder. */
static int joins(const struct export_layout *layout, const struct sae_options *o)
{
    return layout->write == export_circuit_tracer && o->arch == SAE_TRANSCODER;
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

/* ---- the autoencoders that are wanted ---- */

enum { NAMES_BYTES = 256 };

struct job {
    const struct saved *saved;
    const struct export_layout *layout;
    const char *only;     /* names or patterns, divided by commas; NULL: all */
    const char *folder;   /* that is written */
    struct layer_set set; /* transcoders that are joined */
    uint64_t joined;      /* a bit for each SAE: it is among them */
};
_Static_assert(CONFIG_MAX_SAES <= 64, "a bit for each");

/* The next of names that are divided by commas: out[NAMES_BYTES]. NULL: that was the last. */
static const char *take_name(const char *names, char *out)
{
    size_t length = strcspn(names, ",");
    snprintf(out, NAMES_BYTES, "%.*s", (int)(length < NAMES_BYTES ? length : NAMES_BYTES - 1),
             names);
    return names[length] ? names + length + 1 : NULL;
}

/* Of the names, or patterns of the shell's kind, one is SAE i's. */
static int is_wanted(const struct job *job, uint32_t i)
{
    char name[NAMES_BYTES];
    for (const char *p = job->only; p;) {
        p = take_name(p, name);
        if (fnmatch(name, saved_name(job->saved, i), 0) == 0) return 1;
    }
    return !job->only;
}

/* Where SAE i goes below `folder`: one alone directly into it, as those that are joined; of several
 * each into a folder of its name. ERR_LIMIT: the path is too long. */
static int path_of(const struct job *job, uint32_t i, const char *folder, char out[PATH_MAX])
{
    int one = job->only && !strpbrk(job->only, ",*?["); /* who names one alone */
    int directly = one || job->saved->saes == 1 || (job->joined >> i & 1);
    int n = snprintf(out, PATH_MAX, "%s%s%s", folder, directly ? "" : "/",
                     directly ? "" : saved_name(job->saved, i));
    return n < PATH_MAX ? ERR_OK : err_set(ERR_LIMIT, "path too long: %s", folder);
}

static int write_to(struct job *job, uint32_t i, const struct model *model,
                    const struct export_options *options)
{
    const struct sae_options *o = model->encoder->options;
    char path[PATH_MAX];
    int result = ERR_OK;
    if (joins(job->layout, o)) {
        job->joined |= UINT64_C(1) << i;
        result = layer_set_add(&job->set, saved_name(job->saved, i), o, options);
    }
    if (result == ERR_OK) result = path_of(job, i, job->folder, path);
    return result == ERR_OK ? job->layout->write(model_view(model), options, path) : result;
}

static int write_model(struct job *job, uint32_t i, const struct model *model)
{
    const struct saved *saved = job->saved;
    const struct sae_options *o = model->encoder->options;
    const char *names[ROW_MAX_HOOKS];
    struct provenance_fold fold;
    struct view view;
    if (!job->layout->has(o)) {
        char others[128];
        name_layouts(o, others, sizeof others);
        return err_set(ERR_USAGE,
                       "%s (%s) cannot be told in %s's layout; HINT: leave it out with --sae, or "
                       "--to %s",
                       saved_name(saved, i), sae_arch_name(o->arch), job->layout->name,
                       others[0] ? others : "(none has it)");
    }
    int result = saved_view(saved, i, o, &view);
    if (result != ERR_OK) return result;
    struct export_options options = provenance_export(&saved->descriptor, &view, o->arch,
                                                      saved_setting(saved, "model_name"), names);
    result = provenance_fold_begin(&view, saved->scale, saved->whiten, &fold);
    options.scale = fold.scale;
    options.whiten = fold.whiten;
    options.metadata = metadata_of(saved, i, &view, model, fold.whiten);
    if (result == ERR_OK && !options.metadata) result = err_set(ERR_NOMEM, "no memory to export");
    if (result == ERR_OK) result = write_to(job, i, model, &options);
    json_decref(options.metadata);
    provenance_fold_end(&fold);
    return result;
}

static int write_one(struct job *job, uint32_t i)
{
    struct model model;
    char section[SECTION_SAE_BYTES];
    section_sae(i, section);
    int result = model_open(job->saved->checkpoint, section, job->saved->pool, &model);
    if (result != ERR_OK) return err_set(result, "%s: %s", job->saved->path, err_text());
    result = write_model(job, i, &model);
    model_close(&model);
    return result;
}

/* That each name of --sae stands for one of the checkpoint's. */
static int check_names(const struct job *job)
{
    char names[1024], name[NAMES_BYTES];
    for (const char *p = job->only; p;) {
        uint32_t i = 0;
        p = take_name(p, name);
        while (i < job->saved->saes && fnmatch(name, saved_name(job->saved, i), 0) != 0) i++;
        if (i < job->saved->saes) continue;
        saved_names(job->saved, names, sizeof names);
        return err_set(ERR_USAGE, "--sae %s: %s has no such one; HINT: it has %s", name,
                       job->saved->path, names);
    }
    return ERR_OK;
}

static int write_all(struct job *job)
{
    int result = check_names(job);
    for (uint32_t i = 0; i < job->saved->saes && result == ERR_OK; i++)
        if (is_wanted(job, i)) result = write_one(job, i);
    return result == ERR_OK ? layer_set_check(&job->set) : result;
}

static void say_all(const struct job *job, const char *dir)
{
    char path[PATH_MAX];
    for (uint32_t i = 0; i < job->saved->saes; i++)
        if (is_wanted(job, i) && path_of(job, i, dir, path) == ERR_OK)
            printf("%s, after %" PRIu64 " rows: %s in %s\n", saved_name(job->saved, i),
                   job->saved->training.rows, job->layout->name, path);
}

int export_command(const struct options *options, const struct config *config)
{
    (void)config;
    char dir[PATH_MAX], folder[PATH_MAX];
    struct saved saved;
    const struct export_layout *layout = layout_of(options_get(options, "to"));
    if (!layout) return ERR_USAGE;
    int result = place_of(options->arguments[0], dir);
    if (result == ERR_OK) result = check_place(dir);
    if (result == ERR_OK) result = saved_open(options, &saved);
    if (result != ERR_OK) return result;
    snprintf(folder, sizeof folder, "%.*s.%ld.tmp", PATH_MAX - 32, dir, (long)getpid());
    struct job job = {&saved, layout, options_get(options, "sae"), folder, {0}, 0};
    result = dir_make(folder, 0700);
    if (result == ERR_OK) result = write_all(&job);
    if (result == ERR_OK) result = put_in_place(folder, dir);
    if (result == ERR_OK)
        say_all(&job, dir);
    else
        result = give_up(folder, result);
    saved_close(&saved);
    return result;
}
