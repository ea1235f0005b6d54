#include "engine/llama_whole.h"

#include "base/err.h"
#include "engine/llama_file.h"
#include "engine/llama_prepare.h"
#include "engine/llama_runner.h"

#include <stdio.h>

enum { CONTEXT_TOKENS = 128 };

/* The distance that the other type makes is measured on made-up tokens. */
static int no_text(void *arg, struct llama_runner *runner, uint32_t contexts,
                   uint32_t context_tokens, int32_t *tokens, uint32_t *filled)
{
    (void)arg;
    (void)runner;
    (void)contexts;
    (void)context_tokens;
    (void)tokens;
    (void)filled;
    return err_set(ERR_STATE, "there is no corpus");
}

/* A hook of the last layer leaves nothing out, one of the first as much as may be. */
static int find_hook(const char *source, uint32_t threads, int of_last, struct llama_facts *facts)
{
    const char *first = "resid_post.0";
    char last[64];
    const char *name = last;
    struct llama_hooks hooks;
    struct llama_runner_options run = {
        .path = source, .context_tokens = CONTEXT_TOKENS, .threads = threads};
    int result = llama_hooks_parse(&first, 1, &hooks);
    if (result == ERR_OK) result = llama_runner_try(&run, &hooks, facts);
    if (result != ERR_OK) return result;
    if (!of_last) return llama_hooks_parse(&first, 1, &facts->hooks);
    snprintf(last, sizeof last, "resid_post.%d", facts->layers - 1);
    return llama_hooks_parse(&name, 1, &facts->hooks);
}

static int make(const char *source, const char *cache_dir, uint64_t limit_bytes, uint32_t threads,
                const struct engine_watch *watch, int of_last, char *out, size_t bytes)
{
    static const struct engine_watch nobody = {0};
    struct llama_facts facts;
    struct llama_prepared prepared;
    uint64_t hash;
    int result = llama_file_check(source);
    if (result == ERR_OK) result = llama_file_fingerprint(source, cache_dir, watch, &hash);
    if (result == ERR_OK) result = find_hook(source, threads, of_last, &facts);
    if (result != ERR_OK) return result;
    struct llama_prepare_options prepare = {.source = source,
                                            .source_hash = hash,
                                            .source_precision = facts.precision,
                                            .hooks = &facts.hooks,
                                            .cache_dir = cache_dir,
                                            .limit_bytes = limit_bytes,
                                            .context_tokens = CONTEXT_TOKENS,
                                            .threads = threads,
                                            .watch = watch ? watch : &nobody,
                                            .prepend_bos = -1,
                                            .text = no_text};
    result = llama_prepare(&prepare, &prepared);
    if (result == ERR_OK) snprintf(out, bytes, "%s", prepared.path);
    return result;
}

int llama_whole(const char *source, const char *cache_dir, uint64_t limit_bytes, uint32_t threads,
                const struct engine_watch *watch, char *out, size_t bytes)
{
    return make(source, cache_dir, limit_bytes, threads, watch, 1, out, bytes);
}

int llama_unembedding(const char *source, const char *cache_dir, uint64_t limit_bytes,
                      uint32_t threads, const struct engine_watch *watch, char *out, size_t bytes)
{
    return make(source, cache_dir, limit_bytes, threads, watch, 0, out, bytes);
}
