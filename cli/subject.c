#include "cli/subject.h"

#include "base/err.h"
#include "cli/saved.h"
#include "config/config.h"
#include "engine/llama_whole.h"
#include "sae/cpu/pool.h"
#include "sae/import/import.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_THREADS = 1024 };
static const uint64_t prepared_bytes = UINT64_C(8) << 30; /* capture.cache_size, unless told */

int subject_threads(const struct options *options, uint32_t *threads)
{
    const char *text = options_get(options, "threads");
    char *end;
    long n = text ? strtol(text, &end, 10) : 0;
    if (text && (end == text || *end || n < 1 || n > MOST_THREADS))
        return err_set(ERR_USAGE, "--threads %s is no number from 1 to %d", text, MOST_THREADS);
    *threads = config_threads((uint32_t)n);
    return ERR_OK;
}

/* ---- a published folder ---- */

static int has_file(const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n < PATH_MAX && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* sparsify saves each hook's in a folder of its own. */
static int has_one_below(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[PATH_MAX];
    int found = 0;
    while (dir && !found && (entry = readdir(dir))) {
        int n = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        found = entry->d_name[0] != '.' && n < PATH_MAX && has_file(path, "cfg.json");
    }
    if (dir) closedir(dir);
    return found;
}

static int is_published(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) return 0;
    if (has_file(path, "cfg.json")) return 1;
    return !has_file(path, "sluice.run") && has_one_below(path);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* Names divided by commas, from hook `at` on. ERR_USAGE. */
static int take_hooks(struct subject *s, const char *names)
{
    while (*names) {
        size_t n = strcspn(names, ",");
        if (s->hooks == ROW_MAX_HOOKS || n >= sizeof s->hook[0])
            return err_set(ERR_USAGE, "%s: too many hooks, or a name that is too long: %s", s->path,
                           names);
        snprintf(s->hook[s->hooks++], sizeof s->hook[0], "%.*s", (int)n, names);
        names += n + (names[n] == ',');
    }
    return ERR_OK;
}

/* What each hook has of the row, by the SAE's kind. */
static int take_widths(struct subject *s)
{
    const struct encoder *e = s->model.encoder;
    const struct sae_options *o = e->options;
    uint32_t wanted = o->arch == SAE_TRANSCODER   ? 2
                      : o->arch == SAE_CLT        ? 2 * o->hooks
                      : o->arch == SAE_CROSSCODER ? o->hooks
                                                  : 1;
    if (s->hooks != wanted)
        return err_set(
            ERR_USAGE,
            "%s: the %s has %u hooks, and %u are told; HINT: --hook NAME, several divided "
            "by commas (resid_post.15; of a transcoder what goes in, then what comes out)",
            s->path, sae_arch_name(o->arch), wanted, s->hooks);
    uint32_t in = e->layers * e->width_in;
    for (uint32_t h = 0; h < s->hooks; h++) {
        if (o->arch == SAE_TRANSCODER)
            s->hook_width[h] = h ? e->width : in;
        else if (o->arch == SAE_CLT)
            s->hook_width[h] = (h < o->hooks ? in : e->width) / o->hooks;
        else
            s->hook_width[h] = e->width / s->hooks;
    }
    return ERR_OK;
}

static int open_published(const struct options *options, struct subject *s)
{
    struct import_facts facts;
    const char *hook = options_get(options, "hook");
    if (options_get(options, "sae") || options_get(options, "consumer"))
        return err_set(ERR_USAGE, "%s is one published SAE, so --sae and --consumer mean nothing",
                       options->file);
    int result = import_open(options->file, s->pool, &s->model, &facts);
    if (result != ERR_OK) return result == ERR_NOTFOUND ? ERR_USAGE : result;
    snprintf(s->name, sizeof s->name, "%.200s", last_part(options->file));
    snprintf(s->layout, sizeof s->layout, "%s", facts.layout);
    snprintf(s->model_file, sizeof s->model_file, "%s", facts.model_name);
    s->context_tokens = facts.context_tokens;
    s->prepends_bos = facts.prepends_bos;
    result = take_hooks(s, hook ? hook : facts.hook_name);
    if (result == ERR_OK && !hook) result = take_hooks(s, facts.hook_name_out);
    return result == ERR_OK ? take_widths(s) : result;
}

/* ---- a checkpoint ---- */

static int which(const struct saved *saved, const char *name, uint32_t *i)
{
    char names[1024];
    for (*i = 0; name && *i < saved->saes; ++*i)
        if (strcmp(saved_name(saved, *i), name) == 0) return ERR_OK;
    if (!name) return ERR_OK;
    saved_names(saved, names, sizeof names);
    return err_set(ERR_USAGE, "--sae %s: %s has no such one; HINT: it has %s", name, saved->path,
                   names);
}

static int fold(const struct saved *saved, const struct view *view, struct model *model)
{
    const char *names[ROW_MAX_HOOKS];
    struct provenance_fold scales;
    struct export_options options =
        provenance_export(&saved->descriptor, view, model->encoder->options->arch, NULL, names);
    int result = provenance_fold_begin(view, saved->scale, saved->whiten, &scales);
    options.scale = scales.scale;
    options.whiten = scales.whiten;
    if (result == ERR_OK) result = model_fold(model, &options);
    provenance_fold_end(&scales);
    return result;
}

static int take_checkpoint(const struct saved *saved, const char *name, struct subject *s)
{
    const struct descriptor *d = &saved->descriptor;
    struct view view;
    char section[SECTION_SAE_BYTES];
    uint32_t i;
    int result = which(saved, name, &i);
    if (result != ERR_OK) return result;
    section_sae(i, section);
    result = model_open(saved->checkpoint, section, s->pool, &s->model);
    if (result != ERR_OK) return err_set(result, "%s: %s", saved->path, err_text());
    result = saved_view(saved, i, s->model.encoder->options, &view);
    if (result == ERR_OK) result = fold(saved, &view, &s->model);
    if (result != ERR_OK) return result;
    snprintf(s->name, sizeof s->name, "%s", saved_name(saved, i));
    snprintf(s->path, sizeof s->path, "%s", saved->path);
    snprintf(s->layout, sizeof s->layout, "sluice");
    snprintf(s->model_file, sizeof s->model_file, "%s", d->model);
    snprintf(s->precision, sizeof s->precision, "%s", d->precision);
    s->model_hash = d->model_hash;
    s->prepends_bos = d->prepends_bos;
    s->context_tokens = d->context_tokens;
    s->keeps_special = d->keep_special;
    s->keeps_first = d->keep_sinks;
    s->hooks = view.hooks;
    for (uint32_t h = 0; h < view.hooks; h++) {
        snprintf(s->hook[h], sizeof s->hook[h], "%s", d->hook[view.place[h]].name);
        s->hook_width[h] = view.values[h];
        s->hook_limit[h] = d->hook[view.place[h]].norm_limit;
    }
    return ERR_OK;
}

static int open_saved(const struct options *options, struct subject *s)
{
    struct saved saved;
    if (options_get(options, "hook"))
        return err_set(ERR_USAGE, "%s tells its hooks, so --hook means nothing to it",
                       options->file);
    int result = saved_open(options, &saved);
    if (result != ERR_OK) return result;
    result = take_checkpoint(&saved, options_get(options, "sae"), s);
    saved_close(&saved);
    return result;
}

int subject_open(const struct options *options, struct subject *subject)
{
    struct subject s = {.prepends_bos = -1};
    uint32_t threads;
    int result = subject_threads(options, &threads);
    if (result == ERR_OK) result = pool_new(threads, &s.pool);
    if (result != ERR_OK) return result;
    snprintf(s.path, sizeof s.path, "%.4000s", options->file);
    result = is_published(options->file) ? open_published(options, &s) : open_saved(options, &s);
    if (result != ERR_OK) {
        subject_close(&s);
        return result;
    }
    subject_finish(&s);
    *subject = s;
    return ERR_OK;
}

int subject_is_configuration(const char *file)
{
    size_t length = strlen(file);
    return length > 5 && strcmp(file + length - 5, ".yaml") == 0;
}

/* A checkpoint keeps its model's name; a configuration has the path. */
static int configured_model(const struct options *options, char *out)
{
    struct config *config;
    int result = config_load(options->file, options->sets, options->sets_count, &config);
    if (result != ERR_OK) return result == ERR_NOTFOUND ? ERR_USAGE : result;
    result = config_model_path(config, out);
    config_free(config);
    return result;
}

int subject_source(const struct options *options, const struct subject *subject, char *out)
{
    const char *told = options_get(options, "model");
    if (told) return config_model_named(told, "--model", out);
    if (subject_is_configuration(options->file) && subject->model_file[0])
        return configured_model(options, out);
    if (!subject->model_file[0])
        return err_set(ERR_USAGE, "%s does not tell its model; HINT: --model FILE.gguf",
                       subject->path);
    int result = config_model_named(subject->model_file, "the SAE's model", out);
    if (result != ERR_OK) return err_set(result, "%s; or --model FILE.gguf", err_text());
    return ERR_OK;
}

static void tell_making(void *arg, const char *file, uint64_t bytes)
{
    *(int *)arg = 1;
    fprintf(stderr, "sluice: making a form of the model that runs faster, %.1f MB, once: %s\n",
            (double)bytes / 1e6, file);
}

/* What another type changes is told once, when it is made. */
static void tell(void *arg, int is_warning, const char *sentence)
{
    if (is_warning && *(int *)arg) fprintf(stderr, "sluice: WARNING: %s\n", sentence);
}

static int prepare(const struct options *options, const struct subject *subject,
                   int (*how)(const char *, const char *, uint64_t, uint32_t,
                              const struct engine_watch *, char *, size_t),
                   char *out)
{
    char source[SUBJECT_PATH_BYTES], cache[CONFIG_PATH_BYTES];
    int is_made = 0;
    struct engine_watch watch = {.preparing = tell_making, .tell = tell, .arg = &is_made};
    uint32_t threads;
    int result = subject_source(options, subject, source);
    if (result != ERR_OK) return result;
    if (options_get(options, "exact-model")) {
        snprintf(out, SUBJECT_PATH_BYTES, "%s", source);
        return ERR_OK;
    }
    result = subject_threads(options, &threads);
    if (result == ERR_OK) result = config_cache_dir(cache);
    if (result != ERR_OK) return result;
    return how(source, cache, prepared_bytes, threads, &watch, out, SUBJECT_PATH_BYTES);
}

int subject_model(const struct options *options, const struct subject *subject, char *out)
{
    return prepare(options, subject, llama_whole, out);
}

int subject_unembedding(const struct options *options, const struct subject *subject, char *out)
{
    return prepare(options, subject, llama_unembedding, out);
}

int subject_try(struct llama_runner_options *options, struct llama_hooks *hooks,
                uint32_t most_tokens, struct llama_facts *facts)
{
    enum { TRIED_TOKENS = 16 };
    options->context_tokens = TRIED_TOKENS;
    int result = llama_runner_try(options, hooks, facts);
    if (result != ERR_OK) return result;
    options->context_tokens = most_tokens;
    if (facts->context_tokens > 0 && facts->context_tokens < most_tokens)
        options->context_tokens = facts->context_tokens;
    return ERR_OK;
}
