/*
 * `sluice export`: the weights of a checkpoint in the layouts that others load. A checkpoint is
 * only read, so that the trainer that writes it is not disturbed.
 */
#include "base/err.h"
#include "base/json_put.h"
#include "cli/commands.h"
#include "cli/layer_set.h"
#include "cli/place.h"
#include "cli/saved.h"
#include "sae/model.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    struct place place;
    struct saved saved;
    const struct export_layout *layout = layout_of(options_get(options, "to"));
    if (!layout) return ERR_USAGE;
    int result = place_check(options->arguments[0], &place);
    if (result == ERR_OK) result = saved_open(options, &saved);
    if (result != ERR_OK) return result;
    struct job job = {&saved, layout, options_get(options, "sae"), place.folder, {0}, 0};
    result = place_begin(&place);
    if (result == ERR_OK) result = write_all(&job);
    result = place_end(&place, result);
    if (result == ERR_OK) say_all(&job, place.dir);
    saved_close(&saved);
    return result;
}
