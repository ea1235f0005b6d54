#include "engine/engine.h"

#include "base/err.h"
#include "engine/backend.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct engine {
    const struct backend *backend;
    void *state;
    struct engine_info info;
};

static const struct {
    const char *name;
    const struct backend *backend;
} kinds[] = {
    [ENGINE_LLAMA] = {"llama", &backend_llama},
    [ENGINE_SYNTHETIC] = {"synthetic", &backend_synthetic},
    [ENGINE_FILES] = {"files", &backend_files},
    [ENGINE_RING] = {"ring", &backend_ring},
};

void engine_threads_passive(char **argv)
{
    char program[PATH_MAX];
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0 || setenv("OMP_WAIT_POLICY", "passive", 0) != 0) return;
    program[n] = '\0';
    execv(program, argv);
}

static int options_check(const struct engine_options *o)
{
    if ((unsigned)o->kind >= sizeof kinds / sizeof kinds[0])
        return err_set(ERR_USAGE, "there is no engine number %d", (int)o->kind);
    if (o->share_count == 0 || o->share_index >= o->share_count)
        return err_set(ERR_USAGE, "share %u of %u: the index must be below the count",
                       o->share_index, o->share_count);
    if (o->hooks_count > ROW_MAX_HOOKS)
        return err_set(ERR_USAGE, "%u hooks: a stream has at most %d", o->hooks_count,
                       ROW_MAX_HOOKS);
    for (uint32_t i = 0; i < o->hooks_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(o->hooks[i], o->hooks[j]) == 0)
                return err_set(ERR_USAGE, "hook %s is listed twice", o->hooks[i]);
    return ERR_OK;
}

/* Here and not where it is sent: `sluice check` opens the engine too. */
static int add_widths(struct engine_info *info)
{
    uint64_t width = 0;
    for (uint32_t i = 0; i < info->hooks; i++) width += info->hook[i].width;
    if (width == 0 || width > ROW_MAX_WIDTH)
        return err_set(
            ERR_USAGE,
            "a row of the %u hooks in stream.hooks has %llu values, and a stream has 1 to "
            "%d; HINT: name fewer hooks, and the others in a stream of their own",
            info->hooks, (unsigned long long)width, ROW_MAX_WIDTH);
    info->width = (uint32_t)width;
    return ERR_OK;
}

int engine_open(const struct engine_options *options, struct engine **engine)
{
    int result = options_check(options);
    if (result != ERR_OK) return result;
    struct engine *e = calloc(1, sizeof *e);
    if (!e) return err_set(ERR_NOMEM, "no memory for an engine");
    if (options->forecast) memset(options->forecast, 0, sizeof *options->forecast);
    e->backend = kinds[options->kind].backend;
    e->info.engine = kinds[options->kind].name;
    result = e->backend->open(options, &e->info, &e->state);
    if (result != ERR_OK) {
        free(e);
        return result;
    }
    result = add_widths(&e->info);
    if (result != ERR_OK) {
        engine_close(e);
        return result;
    }
    *engine = e;
    return ERR_OK;
}

const struct engine_info *engine_info(const struct engine *engine)
{
    return &engine->info;
}

struct engine_counters engine_counters(const struct engine *engine)
{
    return engine->backend->counters(engine->state);
}

void engine_rings(const struct engine *engine, struct engine_rings *rings)
{
    memset(rings, 0, sizeof *rings);
    if (engine->backend->rings) engine->backend->rings(engine->state, rings);
}

void engine_rings_counted(struct engine *engine)
{
    if (engine->backend->rings_counted) engine->backend->rings_counted(engine->state);
}

void engine_documents(const struct engine *engine, struct engine_documents *documents)
{
    memset(documents, 0, sizeof *documents);
    if (engine->backend->documents) engine->backend->documents(engine->state, documents);
}

int engine_lacks(const struct engine_options *options, struct engine_lack *lack)
{
    const struct backend *backend = kinds[options->kind].backend;
    *lack = (struct engine_lack){0};
    if (backend->lacks) *lack = backend->lacks(options);
    return lack->key != NULL;
}

int engine_forecast(const struct engine_options *options, struct engine_forecast *forecast)
{
    memset(forecast, 0, sizeof *forecast);
    int result = options_check(options);
    const struct backend *backend = result == ERR_OK ? kinds[options->kind].backend : NULL;
    return backend && backend->forecast ? backend->forecast(options, forecast) : result;
}

void engine_documents_counted(const struct engine *engine, struct engine_documents *documents)
{
    memset(documents, 0, sizeof *documents);
    if (engine->backend->documents_counted)
        engine->backend->documents_counted(engine->state, documents);
}

int engine_count_rows(struct engine *engine, uint64_t *rows,
                      void (*progress)(void *arg, uint64_t tokens), void *arg)
{
    return engine->backend->count_rows(engine->state, rows, progress, arg);
}

int32_t engine_tokens(const struct engine *engine)
{
    return engine->backend->tokens ? engine->backend->tokens(engine->state) : 0;
}

size_t engine_token_text(const struct engine *engine, int32_t token, char *out, size_t bytes)
{
    if (!engine->backend->token_text) return 0;
    return engine->backend->token_text(engine->state, token, out, bytes);
}

int engine_seek(struct engine *engine, const struct cursor *cursor)
{
    if (!engine->info.resumable)
        return err_set(ERR_STATE,
                       "the corpus is a pipe and cannot be read again; HINT: give it as a file, or "
                       "start over");
    return engine->backend->seek(engine->state, cursor);
}

int engine_next(struct engine *engine, struct engine_batch *batch)
{
    return engine->backend->next(engine->state, batch);
}

void engine_finish(struct engine *engine)
{
    if (engine->backend->finish) engine->backend->finish(engine->state);
}

void engine_close(struct engine *engine)
{
    if (!engine) return;
    engine->backend->close(engine->state);
    free(engine);
}
