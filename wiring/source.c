#include "wiring/source.h"

#include "base/err.h"
#include "base/safetensors.h"
#include "base/streams.h"
#include "config/made.h"
#include "runtime/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct source {
    struct engine *engine;
    struct config_list corpus;
    char model[CONFIG_PATH_BYTES];
    char cache[CONFIG_PATH_BYTES];
    char truth[CONFIG_PATH_BYTES];
};

static struct synthetic_options synthetic_options(const struct source *s,
                                                  const struct config_synthetic *c)
{
    return (struct synthetic_options){
        .features = c->features,
        .width = c->width,
        .l0 = c->l0,
        .zipf_exponent = c->zipf_exponent,
        .noise = c->noise,
        .groups = c->groups,
        .seed = c->seed,
        .rows = c->rows,
        .sequence_rows = c->sequence_rows,
        .truth_file = s->truth[0] ? s->truth : NULL,
    };
}

static const enum engine_kind kinds[] = {[CONFIG_LLAMA] = ENGINE_LLAMA,
                                         [CONFIG_SYNTHETIC] = ENGINE_SYNTHETIC,
                                         [CONFIG_FILES] = ENGINE_FILES,
                                         [CONFIG_RING] = ENGINE_RING};

static const enum file_axes axes[] = {[CONFIG_AXES_AUTO] = FILE_AXES_AUTO,
                                      [CONFIG_AXES_SEQUENCES] = FILE_AXES_SEQUENCES,
                                      [CONFIG_AXES_LAYERS] = FILE_AXES_LAYERS};

static void fill_options(const struct source *s, const struct config *config, uint32_t producer,
                         struct engine_options *o)
{
    const struct config_capture *c = &config->capture;
    *o = (struct engine_options){
        .kind = kinds[c->engine],
        .hooks = (const char *const *)config->stream.hooks.item,
        .hooks_count = config->stream.hooks.count,
        .share_index = producer,
        .share_count = c->producers,
        .model_file = s->model,
        .cache_dir = s->cache,
        .cache_limit_bytes = c->cache_bytes,
        .exact_model = c->exact_model,
        .corpus = (const char *const *)s->corpus.item,
        .corpus_count = s->corpus.count,
        .text_field = c->text_field,
        .tokens_field = c->tokens_field[0] ? c->tokens_field : NULL,
        .document_separator = c->document_separator[0] ? c->document_separator : NULL,
        .on_bad_text = c->on_bad_text == CONFIG_FAIL ? BAD_TEXT_FAIL : BAD_TEXT_SKIP,
        .context_tokens = c->context_tokens,
        .one_document = !c->pack,
        .batch_contexts = c->batch_contexts,
        .threads = config_threads(c->threads),
        .prepend_bos = c->prepend_bos,
        .synthetic = synthetic_options(s, &c->synthetic),
        .files = (const char *const *)c->files.item,
        .files_count = c->files.count,
        .tensor = c->tensor[0] ? c->tensor : NULL,
        .tokens_tensor = c->tokens_tensor[0] ? c->tokens_tensor : NULL,
        .sequences_tensor = c->sequences_tensor[0] ? c->sequences_tensor : NULL,
        .file_axes = axes[c->file_axes],
        .file_is_bf16 = c->file_dtype == CONFIG_FILE_DTYPE_BF16,
        .file_sequence_rows = c->file_sequence_rows,
        .stream = config->stream.name,
        .rings = c->rings[0] ? c->rings : NULL,
        .share = c->share,
        .rows_per_second = c->rows_per_second,
        .bytes_per_second = c->bytes_per_second,
    };
}

int source_needs(const struct config *config)
{
    struct source nothing = {0};
    struct engine_options options;
    struct engine_lack lack;
    char section[32];
    fill_options(&nothing, config, 0, &options);
    options.model_file = config->stream.model[0] ? config->stream.model : NULL;
    options.corpus_count = config->capture.corpus.count;
    if (!engine_lacks(&options, &lack)) return ERR_OK;
    const char *dot = strrchr(lack.key, '.');
    snprintf(section, sizeof section, "%.*s", (int)(dot - lack.key), lack.key);
    return config_fail(config, section, dot + 1, lack.what);
}

static int check_input(const struct config *config)
{
    if (!config_reads_stdin(config) || streams_has_input()) return ERR_OK;
    return err_set(ERR_USAGE,
                   "capture.corpus is \"-\", and standard input is closed; HINT: give it "
                   "a pipe or a file, or name files in capture.corpus");
}

/* `path` without "//", "." and "..", as far as that can be told from its text. */
static void plain_path(const char *path, char *out)
{
    size_t used = 0;
    while (*path) {
        size_t n = strcspn(path += strspn(path, "/"), "/");
        if (n == 2 && strncmp(path, "..", 2) == 0) {
            while (used > 0 && out[--used] != '/') continue;
        } else if (n > 0 && !(n == 1 && *path == '.')) {
            out[used++] = '/';
            memcpy(out + used, path, n);
            used += n;
        }
        path += n;
    }
    out[used] = '\0';
}

/* The run's own files would replace it, or it them. */
static int check_truth_place(const struct config *config, const char *path)
{
    char run[CONFIG_PATH_BYTES + 1], truth[CONFIG_PATH_BYTES + 1];
    plain_path(config->run_dir, run);
    plain_path(path, truth);
    size_t n = strlen(run);
    if (strncmp(truth, run, n) != 0 || truth[n] != '/') return ERR_OK;
    char *name = truth + n + 1;
    name[strcspn(name, "/")] = '\0';
    if (!made_name_taken(name) && !config_has_consumer(config, name)) return ERR_OK;
    return err_set(ERR_USAGE,
                   "capture.synthetic.truth_file: '%s' in %s is of the run itself; HINT: choose "
                   "another name, such as truth.safetensors",
                   name, config->run_dir);
}

/* Only a truth file is written over by another. */
static int check_truth(const struct config *config, const char *path)
{
    struct safetensors *file;
    int result = path[0] ? check_truth_place(config, path) : ERR_OK;
    if (result || !path[0] || access(path, F_OK) != 0) return result;
    int rc = safetensors_open(path, &file);
    int is_truth = !rc && safetensors_count(file) == 2 && safetensors_find(file, "directions") &&
                   safetensors_find(file, "rates");
    if (!rc) safetensors_close(file);
    if (is_truth) return ERR_OK;
    return err_set(ERR_USAGE,
                   "capture.synthetic.truth_file: %s is there and is no file of true directions: "
                   "it was left as it is; HINT: choose another name",
                   path);
}

int source_check(const struct config *config)
{
    char truth[CONFIG_PATH_BYTES];
    int result = check_input(config);
    if (result != ERR_OK || config->capture.engine != CONFIG_SYNTHETIC) return result;
    result = config_truth_file(config, truth);
    return result != ERR_OK ? result : check_truth(config, truth);
}

static int find_files(struct source *s, const struct config *config)
{
    int result = source_check(config);
    if (result != ERR_OK) return result;
    if (config->capture.engine == CONFIG_LLAMA) {
        result = config_model_path(config, s->model);
        if (result == ERR_OK) result = config_corpus(config, &s->corpus);
    }
    if (result == ERR_OK &&
        (config->capture.engine == CONFIG_LLAMA || config->capture.engine == CONFIG_RING))
        result = config_cache_dir(s->cache);
    return result;
}

static int open_engine(struct source *s, const struct engine_options *options,
                       const struct config *config)
{
    int result = engine_open(options, &s->engine);
    const char *note = result != ERR_OK ? NULL : engine_info(s->engine)->corpus_note;
    if (note && note[0] && options->share_index == 0) log_info("corpus: %s", note);
    if (result == ERR_OK && !engine_info(s->engine)->resumable && config->capture.resumable)
        result =
            err_set(ERR_USAGE,
                    "capture.corpus cannot be read again (a pipe), so rows that are lost when a "
                    "process dies cannot be made again; HINT: give files, or accept the loss with "
                    "capture.resumable: false");
    return result;
}

static int open_as(const struct config *config, uint32_t producer, struct engine_forecast *forecast,
                   const struct engine_watch *watch, struct source **source)
{
    struct source *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory for an engine");
    int result = find_files(s, config);
    if (result == ERR_OK && !forecast) result = config_truth_file(config, s->truth);
    if (result == ERR_OK) {
        struct engine_options options;
        fill_options(s, config, producer, &options);
        options.forecast = forecast;
        if (watch) options.watch = *watch;
        result = open_engine(s, &options, config);
        result = source_error(result);
    }
    if (result != ERR_OK)
        source_close(s);
    else
        *source = s;
    return result;
}

int source_error(int code)
{
    if (code == ERR_NOTFOUND) return ERR_USAGE;
    return code == ERR_CHECKSUM ? ERR_FORMAT : code;
}

int source_open(const struct config *config, uint32_t producer, const struct engine_watch *watch,
                struct source **source)
{
    return open_as(config, producer, NULL, watch, source);
}

int source_look(const struct config *config, struct engine_forecast *forecast,
                struct source **source)
{
    return open_as(config, 0, forecast, NULL, source);
}

int source_forecast(const struct config *config, struct engine_forecast *forecast)
{
    struct source *s = calloc(1, sizeof *s);
    struct engine_options options;
    if (!s) return err_set(ERR_NOMEM, "no memory for an engine");
    int result = find_files(s, config);
    if (result == ERR_OK) fill_options(s, config, 0, &options);
    if (result == ERR_OK) result = engine_forecast(&options, forecast);
    source_close(s);
    return result;
}

void source_close(struct source *s)
{
    if (!s) return;
    if (s->engine) engine_close(s->engine);
    config_list_free(&s->corpus);
    free(s);
}

struct engine *source_engine(struct source *s)
{
    return s->engine;
}

static int copy_name(char *out, size_t size, const char *what, const char *text)
{
    if (snprintf(out, size, "%s", text ? text : "") < (int)size) return ERR_OK;
    return err_set(ERR_LIMIT, "%s \"%s\" is longer than %zu bytes; HINT: use a shorter one", what,
                   text, size - 1);
}

_Static_assert(sizeof((struct engine_info *)0)->settings <=
                   sizeof((struct descriptor *)0)->settings,
               "what an engine tells finds room");

int source_describe(const struct source *s, const struct config *config, struct descriptor *d)
{
    const struct engine_info *info = engine_info(s->engine);
    memset(d, 0, sizeof *d);
    d->dtype = (uint8_t)config->stream.dtype;
    d->width = info->width;
    d->hooks = info->hooks;
    d->model_hash = info->model_hash;
    d->corpus_hash = info->corpus_hash;
    d->context_tokens = info->context_tokens;
    d->prepends_bos = !!info->prepends_bos;
    d->share_count = config->capture.producers;
    d->shed = config->stream.policy == CONFIG_SHED;
    d->keep_special = config->capture.keep_special;
    d->keep_sinks = config->capture.keep_sinks;
    d->drops_tokens = !config->stream.keep_tokens;
    d->max_norm_ratio = config->capture.max_norm_ratio;
    int result = copy_name(d->stream, sizeof d->stream, "stream.name", config->stream.name);
    if (result == ERR_OK) result = copy_name(d->engine, sizeof d->engine, "engine", info->engine);
    if (result == ERR_OK)
        result = copy_name(d->model, sizeof d->model, "stream.model", info->model);
    if (result == ERR_OK)
        result = copy_name(d->precision, sizeof d->precision, "precision", info->precision);
    if (result == ERR_OK)
        result = copy_name(d->source_precision, sizeof d->source_precision, "precision",
                           info->source_precision);
    if (result == ERR_OK)
        result = copy_name(d->settings, sizeof d->settings, "settings", info->settings);
    d->layers_kept = info->layers_kept;
    d->prepared_fve = isfinite(info->prepared_fve) ? info->prepared_fve : 0;
    for (uint32_t i = 0; i < info->hooks && result == ERR_OK; i++) {
        d->hook[i].width = info->hook[i].width;
        result = copy_name(d->hook[i].name, sizeof d->hook[i].name, "hook", info->hook[i].name);
    }
    return result;
}
