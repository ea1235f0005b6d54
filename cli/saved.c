#include "cli/saved.h"

#include "base/err.h"
#include "base/json_put.h"
#include "config/config.h"
#include "sae/checkpoint.h"
#include "sae/cpu/pool.h"
#include "wiring/plan.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TRIES = 5 };

/* The newest intact one. */
static int open_newest(const char *folder, struct checkpoint **checkpoint)
{
    unsigned damaged = 0;
    int result = ERR_OK;
    for (int i = 0; i < TRIES; i++) { /* a trainer may have replaced all that were listed */
        result = checkpoint_newest(folder, checkpoint, &damaged);
        if (result == ERR_OK) break;
    }
    if (result == ERR_NOTFOUND)
        return err_set(ERR_USAGE,
                       "there is no checkpoint in %s yet; HINT: a trainer writes one each "
                       "trainer.checkpoint_seconds, and at its end",
                       folder);
    if (result == ERR_CORRUPT) return err_set(result, "%s; HINT: name a copy of one", err_text());
    if (result == ERR_OK && damaged)
        fprintf(stderr, "sluice: %u newer checkpoints are damaged, so an older one is taken: %s\n",
                damaged, err_text());
    return result;
}

/* Names that a person may give, or mend, after the training. */
static json_t *names_of(const struct config *config)
{
    json_t *o = json_object();
    json_put_text(o, "model_name", config->stream.model_name);
    json_put_text(o, "dataset", config->stream.dataset);
    return o;
}

static int of_run(const struct options *options, struct saved *saved)
{
    struct config *config;
    char folder[CONFIG_PATH_BYTES + 256];
    const char *consumer = options_get(options, "consumer");
    int result = config_load(options->file, options->sets, options->sets_count, &config);
    if (result != ERR_OK) return result == ERR_NOTFOUND ? ERR_USAGE : result;
    if (!consumer && config->trainer.consumers.count > 0)
        consumer = config->trainer.consumers.item[0];
    if (!consumer) {
        result =
            err_set(ERR_USAGE, "%s declares no consumer; HINT: --consumer NAME", options->file);
    } else {
        snprintf(folder, sizeof folder, "%s/%s", config->run_dir, consumer);
        result = open_newest(folder, &saved->checkpoint);
        if (result == ERR_OK) saved->told = names_of(config);
    }
    config_free(config);
    return result;
}

/* As trainers name them; a configuration is named otherwise. */
static int is_checkpoint(const char *path)
{
    size_t length = strlen(path), ending = sizeof ".sluice" - 1;
    return length > ending && strcmp(path + length - ending, ".sluice") == 0;
}

static int has_checkpoints(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int found = 0;
    while (dir && !found && (entry = readdir(dir)))
        found = strncmp(entry->d_name, "checkpoint-", 11) == 0 && is_checkpoint(entry->d_name);
    if (dir) closedir(dir);
    return found;
}

/* The consumers of a run's folder that have checkpoints, divided by commas: how many; out[bytes] is
 * the name where there is one. */
static unsigned consumers_in(const char *folder, char *out, size_t bytes)
{
    char path[CONFIG_PATH_BYTES + 256];
    unsigned count = 0;
    size_t used = 0;
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, alphasort);
    out[0] = '\0';
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        snprintf(path, sizeof path, "%.*s/%s", CONFIG_PATH_BYTES - 1, folder, name);
        if (name[0] != '.' && has_checkpoints(path) && used < bytes)
            used += (size_t)snprintf(out + used, bytes - used, "%s%s", count++ ? ", " : "", name);
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    return count;
}

/* A consumer's folder, or a run's, of which --consumer may name one. */
static int of_folder(const struct options *options, struct checkpoint **checkpoint)
{
    char folder[CONFIG_PATH_BYTES + 256], names[256];
    const char *consumer = options_get(options, "consumer");
    if (!consumer && !has_checkpoints(options->file)) {
        unsigned count = consumers_in(options->file, names, sizeof names);
        if (count > 1)
            return err_set(ERR_USAGE, "%s is a run of several consumers; HINT: --consumer, of %s",
                           options->file, names);
        if (count == 1) consumer = names;
    }
    snprintf(folder, sizeof folder, "%.*s%s%s", CONFIG_PATH_BYTES - 1, options->file,
             consumer ? "/" : "", consumer ? consumer : "");
    return open_newest(folder, checkpoint);
}

static int open_it(const struct options *options, struct saved *saved)
{
    struct checkpoint **checkpoint = &saved->checkpoint;
    struct stat st;
    int is_folder = stat(options->file, &st) == 0 && S_ISDIR(st.st_mode);
    if (!is_folder && !is_checkpoint(options->file)) return of_run(options, saved);
    if (options->sets_count > 0)
        return err_set(ERR_USAGE, "%s is no configuration, so --set means nothing to it",
                       options->file);
    if (is_folder) return of_folder(options, checkpoint);
    if (options_get(options, "consumer"))
        return err_set(ERR_USAGE, "%s is one checkpoint, so --consumer means nothing to it",
                       options->file);
    int result = checkpoint_open(options->file, checkpoint);
    return result == ERR_NOTFOUND ? err_set(ERR_USAGE, "there is no %s", options->file) : result;
}

/* The JSON of a section. */
static int section_text(const struct saved *s, const char *name, const char **text, size_t *bytes)
{
    const void *data;
    int result = checkpoint_find(s->checkpoint, name, &data, bytes);
    *text = data;
    return result == ERR_OK ? ERR_OK : err_set(ERR_FORMAT, "%s: %s", s->path, err_text());
}

static int read_words(struct saved *s, int *is_whitened)
{
    const char *text;
    size_t bytes;
    json_int_t rows, saes, steps, reuse, seed, batch_rows, planned_rows = 0, known = -1;
    int result = section_text(s, SECTION_TRAINER, &text, &bytes);
    if (result != ERR_OK) return result;
    s->words = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    if (!s->words ||
        json_unpack(s->words, "{s:I, s:I, s:I, s:I, s:I, s:I, s?I, s?I}", "rows", &rows, "saes",
                    &saes, "steps", &steps, "reuse", &reuse, "seed", &seed, "batch_rows",
                    &batch_rows, "planned_rows", &planned_rows, "changes_known_from_step",
                    &known) != 0 ||
        rows < 0 || saes < 1 || saes > CONFIG_MAX_SAES || reuse < 1 || reuse > UINT32_MAX ||
        batch_rows < 1 || batch_rows > UINT32_MAX || steps < 0)
        return err_set(ERR_FORMAT, "%s: the section '%s' is malformed", s->path, SECTION_TRAINER);
    s->saes = (uint32_t)saes;
    s->training = (struct provenance_training){
        .rows = (uint64_t)rows,
        .planned_rows = (uint64_t)planned_rows,
        .shuffle_seed = (uint64_t)seed,
        /* An older build wrote of no changes: as trainer/save.c has it. */
        .known_from_steps = (uint64_t)(known < 0 ? steps : known),
        .batch_rows = (uint32_t)batch_rows,
        .reuse = (uint32_t)reuse,
        .settings = json_object_get(s->words, "settings"),
        .changes = json_object_get(s->words, "changes"),
    };
    *is_whitened = json_is_true(json_object_get(s->words, "whiten"));
    return ERR_OK;
}

static int read_stream(struct saved *s)
{
    const char *text;
    size_t bytes;
    int result = section_text(s, SECTION_DESCRIPTOR, &text, &bytes);
    if (result != ERR_OK) return result;
    struct descriptor *d = &s->descriptor;
    result = descriptor_decode(text, bytes, d);
    if (result != ERR_OK)
        return err_set(result, "%s: its descriptor: %.400s; HINT: name another checkpoint", s->path,
                       err_text());
    if (!d->measured)
        return err_set(ERR_FORMAT,
                       "%s: its stream was not measured, so no scale is known; HINT: name another "
                       "checkpoint",
                       s->path);
    return plan_scales(d, &s->scale);
}

static int read_whitening(struct saved *s)
{
    uint32_t widths[ROW_MAX_HOOKS];
    for (uint32_t h = 0; h < s->descriptor.hooks; h++) widths[h] = s->descriptor.hook[h].width;
    int result = whiten_load(s->checkpoint, widths, s->descriptor.hooks, s->pool, &s->whiten);
    return result == ERR_OK ? ERR_OK : err_set(result, "%s: %s", s->path, err_text());
}

int saved_open(const struct options *options, struct saved *saved)
{
    struct saved s = {0};
    int is_whitened = 0;
    int result = open_it(options, &s);
    if (result != ERR_OK) return result;
    s.path = checkpoint_path(s.checkpoint);
    result = pool_new(1, &s.pool);
    if (result == ERR_OK) result = read_words(&s, &is_whitened);
    if (result == ERR_OK) result = read_stream(&s);
    if (result == ERR_OK && is_whitened) result = read_whitening(&s);
    if (result != ERR_OK) {
        saved_close(&s);
        return result;
    }
    *saved = s;
    return ERR_OK;
}

void saved_close(struct saved *s)
{
    whiten_free(s->whiten);
    pool_free(s->pool);
    free(s->scale);
    descriptor_free(&s->descriptor);
    json_decref(s->told);
    json_decref(s->words);
    if (s->checkpoint) checkpoint_close(s->checkpoint);
    *s = (struct saved){0};
}

const char *saved_name(const struct saved *s, uint32_t i)
{
    static _Thread_local char section[SECTION_SAE_BYTES];
    json_t *settings = json_array_get(json_object_get(s->training.settings, "saes"), i);
    const char *name = json_string_value(json_object_get(settings, "name"));
    if (name && name[0] && !strchr(name, '/') && name[0] != '.') return name;
    section_sae(i, section);
    return section;
}

const char *saved_setting(const struct saved *s, const char *key)
{
    const char *now = json_string_value(json_object_get(s->told, key));
    if (now) return now;
    return json_string_value(
        json_object_get(json_object_get(s->training.settings, "trainer"), key));
}

int saved_view(const struct saved *s, uint32_t i, const struct sae_options *o, struct view *view)
{
    json_t *settings = json_array_get(json_object_get(s->training.settings, "saes"), i);
    int result = view_of_names(json_object_get(settings, "hooks"), &s->descriptor, view);
    if (result != ERR_OK) return err_set(result, "%s: %s", s->path, err_text());
    if (view_fits(view, o)) return ERR_OK;
    return err_set(ERR_FORMAT, "%s: %s has rows of %u values, which its %u hooks, of %u, are not",
                   s->path, saved_name(s, i), o->width, view->hooks, view->width);
}

void saved_names(const struct saved *s, char *out, size_t bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < s->saes && used < bytes; i++)
        used += (size_t)snprintf(out + used, bytes - used, "%s%s", i ? ", " : "", saved_name(s, i));
}
