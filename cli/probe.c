#include "cli/probe.h"

#include "base/err.h"
#include "engine/options.h"

#include <string.h>

static const enum engine_kind kinds[] = {[CONFIG_LLAMA] = ENGINE_LLAMA,
                                         [CONFIG_SYNTHETIC] = ENGINE_SYNTHETIC,
                                         [CONFIG_FILES] = ENGINE_FILES};

static struct synthetic_options synthetic_of(const struct config_synthetic *c)
{
    return (struct synthetic_options){.features = c->features,
                                      .width = c->width,
                                      .l0 = c->l0,
                                      .zipf_exponent = c->zipf_exponent,
                                      .noise = c->noise,
                                      .groups = c->groups,
                                      .seed = c->seed,
                                      .rows = c->rows,
                                      .sequence_rows = c->sequence_rows};
}

static struct engine_options options_of(const struct config *config, const struct probe *p,
                                        const char *cache, const struct config_list *corpus)
{
    const struct config_capture *c = &config->capture;
    return (struct engine_options){
        .kind = kinds[c->engine],
        .hooks = (const char *const *)config->stream.hooks.item,
        .hooks_count = config->stream.hooks.count,
        .share_count = c->producers,
        .model_file = p->model,
        .cache_dir = cache,
        .cache_limit_bytes = c->cache_bytes,
        .exact_model = 1, /* preparing takes minutes and disk, and changes no width */
        .corpus = (const char *const *)corpus->item,
        .corpus_count = corpus->count,
        .text_field = c->text_field,
        .on_bad_text = c->on_bad_text == CONFIG_FAIL ? BAD_TEXT_FAIL : BAD_TEXT_SKIP,
        .context_tokens = c->context_tokens,
        .batch_contexts = c->batch_contexts,
        .threads = config_threads(c->threads),
        .prepend_bos = c->prepend_bos,
        .synthetic = synthetic_of(&c->synthetic),
        .files = (const char *const *)c->files.item,
        .files_count = c->files.count,
        .tensor = c->tensor[0] ? c->tensor : NULL,
        .file_sequence_rows = c->file_sequence_rows,
    };
}

static int is_pipe(const struct config_list *corpus)
{
    for (uint32_t i = 0; i < corpus->count; i++)
        if (strcmp(corpus->item[i], "-") == 0) return 1;
    return 0;
}

static int look(const struct config *config, struct probe *p, const char *cache,
                const struct config_list *corpus)
{
    struct engine *engine;
    struct engine_options options = options_of(config, p, cache, corpus);
    int result = engine_open(&options, &engine);
    if (result != ERR_OK) return result;
    const struct engine_info *info = engine_info(engine);
    p->width = info->width;
    p->hooks = info->hooks;
    memcpy(p->hook, info->hook, info->hooks * sizeof *info->hook);
    p->opened = 1;
    engine_close(engine);
    return ERR_OK;
}

int probe_engine(const struct config *config, struct probe *probe)
{
    char cache[CONFIG_PATH_BYTES] = "";
    struct config_list corpus = {0};
    int result = ERR_OK, llama = config->capture.engine == CONFIG_LLAMA;
    memset(probe, 0, sizeof *probe);
    if (llama) result = config_model_path(config, probe->model);
    if (result == ERR_OK && llama) result = config_corpus(config, &corpus);
    if (result == ERR_OK && llama) result = config_cache_dir(cache);
    probe->corpus_files = corpus.count;
    if (result == ERR_OK && !is_pipe(&corpus)) result = look(config, probe, cache, &corpus);
    config_list_free(&corpus);
    return result;
}
