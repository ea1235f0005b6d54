/* The engine `llama`: a GGUF model over a corpus. */
#include "base/err.h"
#include "engine/backend.h"
#include "engine/corpus.h"
#include "engine/fingerprint.h"
#include "engine/llama_file.h"
#include "engine/llama_hooks.h"
#include "engine/llama_prepare.h"
#include "engine/llama_runner.h"
#include "engine/llama_text.h"
#include "engine/settings.h"

#include <stdlib.h>
#include <string.h>

struct llama_state {
    struct engine_options options;
    struct llama_facts facts; /* of the model's own file */
    struct llama_hooks hooks;
    struct llama_prepared prepared;
    struct llama_runner *runner;
    struct llama_text text;
    struct corpus *corpus;
    struct pack *pack;
    struct pack_options packing;
    struct engine_documents counted; /* that count_rows() saw */
    uint32_t width;
    uint32_t skip; /* rows of the next context that lie before the cursor sought */
    uint64_t tokens;
    /* one batch: room for batch_contexts * context_tokens rows */
    int32_t *submitted;
    uint32_t *lengths;
    struct row_id *ids;
    uint8_t *flags;
    struct cursor *cursors; /* one more than rows */
    float *values;
};

static void close_llama(void *state)
{
    struct llama_state *s = state;
    if (!s) return;
    pack_close(s->pack);
    corpus_close(s->corpus);
    llama_text_close(&s->text);
    llama_runner_close(s->runner);
    free(s->submitted);
    free(s->lengths);
    free(s->ids);
    free(s->flags);
    free(s->cursors);
    free(s->values);
    free(s);
}

static struct engine_lack lacks(const struct engine_options *o)
{
    if (!o->model_file)
        return (struct engine_lack){"stream.model", "is required by the llama engine: a GGUF file, "
                                                    "or smollm2 after `make model`"};
    if (o->hooks_count == 0)
        return (struct engine_lack){"stream.hooks",
                                    "is required by the llama engine, such as [resid_post.15]"};
    if (o->corpus_count == 0)
        return (struct engine_lack){"capture.corpus", "is required by the llama engine: files, "
                                                      "patterns, or corpus after `make model`"};
    return (struct engine_lack){0};
}

static int check_options(const struct engine_options *o)
{
    if (!o->model_file)
        return err_set(ERR_USAGE, "no model is given; HINT: set stream.model to a GGUF file");
    if (o->context_tokens == 0 || o->context_tokens > 1 << 20)
        return err_set(ERR_USAGE, "capture.context_tokens %u is not in 1 to 1048576",
                       o->context_tokens);
    if (o->batch_contexts == 0 || o->batch_contexts > 256)
        return err_set(ERR_USAGE, "capture.batch_contexts %u is not in 1 to 256",
                       o->batch_contexts);
    return ERR_OK;
}

static struct llama_prepare_options preparation(const struct engine_options *o,
                                                const struct llama_facts *facts, uint64_t hash)
{
    return (struct llama_prepare_options){.source = o->model_file,
                                          .source_hash = hash,
                                          .source_precision = facts->precision,
                                          .hooks = &facts->hooks,
                                          .cache_dir = o->cache_dir,
                                          .limit_bytes = o->cache_limit_bytes,
                                          .context_tokens = o->context_tokens,
                                          .threads = o->threads,
                                          .watch = &o->watch,
                                          .prepend_bos = o->prepend_bos,
                                          .text = llama_text_contexts,
                                          .text_arg = (void *)o};
}

/* Try the file as it is, before minutes are spent on preparing it. */
static int try_model(const struct engine_options *o, struct llama_facts *facts, uint64_t *hash)
{
    struct llama_hooks hooks;
    struct llama_runner_options run = {
        .path = o->model_file, .context_tokens = o->context_tokens, .threads = o->threads};
    int result = llama_hooks_parse(o->hooks, o->hooks_count, &hooks);
    if (result == ERR_OK) result = llama_file_check(o->model_file);
    if (result == ERR_OK)
        result = llama_file_fingerprint(o->model_file, o->cache_dir, &o->watch, hash);
    if (result == ERR_OK) result = llama_runner_try(&run, &hooks, facts);
    if (result == ERR_OK && !facts->has_tokenizer && !o->tokens_field)
        return err_set(ERR_USAGE,
                       "%s has no tokenizer, so no text can be put into it; HINT: take a model "
                       "that has one, or give token ids (capture.tokens_field)",
                       o->model_file);
    return result;
}

static int open_model(struct llama_state *s, struct engine_info *info)
{
    const struct engine_options *o = &s->options;
    int result = try_model(o, &s->facts, &info->model_hash);
    if (result != ERR_OK) return result;
    s->hooks = s->facts.hooks;
    struct llama_runner_options run = {
        .path = o->model_file, .context_tokens = o->context_tokens, .threads = o->threads};
    info->layers_kept = (uint32_t)s->facts.layers;
    info->prepared_fve = 1;
    struct llama_prepare_options prepare = preparation(o, &s->facts, info->model_hash);
    if (!o->exact_model && o->forecast) {
        result = llama_prepare_forecast(&prepare, o->forecast);
        if (result != ERR_OK) return result;
    } else if (!o->exact_model) {
        result = llama_prepare(&prepare, &s->prepared);
        if (result != ERR_OK) return result;
        run.path = s->prepared.path;
        info->model_hash = s->prepared.hash;
        info->layers_kept = (uint32_t)s->prepared.layers_kept;
        info->prepared_fve = s->prepared.fve;
    }
    return llama_runner_open(&run, &s->hooks, &s->runner);
}

static int forecast(const struct engine_options *o, struct engine_forecast *forecast)
{
    struct llama_facts facts;
    uint64_t hash;
    int result = check_options(o);
    if (result == ERR_OK) result = try_model(o, &facts, &hash);
    if (result != ERR_OK || o->exact_model) return result;
    struct llama_prepare_options prepare = preparation(o, &facts, hash);
    return llama_prepare_forecast(&prepare, forecast);
}

/* A model that cannot write conversations is told before a run and not within it. */
static int check_chat(struct llama_state *s)
{
    struct corpus_document d;
    const int32_t *tokens;
    size_t count;
    if (!corpus_rereadable(s->corpus)) return ERR_OK;
    int result = corpus_next(s->corpus, &d);
    if (result == ERR_OK && d.document.kind == DOCUMENT_CHAT)
        result = s->packing.tokenize_chat(s->packing.arg, d.document.messages, d.document.count,
                                          &tokens, &count);
    return result == ERR_OK ? corpus_seek(s->corpus, 0) : result;
}

static void add_to_hash(uint64_t *hash, uint64_t value)
{
    *hash = fingerprint_add_u64(*hash, value);
}

static int open_corpus(struct llama_state *s, struct engine_info *info)
{
    const struct engine_options *o = &s->options;
    int result = llama_text_open(o, s->runner, &s->text);
    if (result != ERR_OK) return result;
    s->packing = llama_text_packing(&s->text);
    int32_t bos = s->packing.bos;
    if (o->prepend_bos > 0 && bos < 0)
        return err_set(ERR_USAGE,
                       "%s names no BOS token to prepend; HINT: set capture.prepend_bos: false",
                       o->model_file);
    struct corpus_options options = llama_text_corpus(&s->text);
    result = corpus_open(&options, &s->corpus);
    if (result == ERR_OK) result = check_chat(s);
    if (result == ERR_OK) result = corpus_fingerprint(s->corpus, &info->corpus_hash);
    if (result == ERR_OK) result = pack_open(s->corpus, &s->packing, &s->pack);
    if (result != ERR_OK) return result;
    add_to_hash(&info->corpus_hash, o->context_tokens);
    add_to_hash(&info->corpus_hash, (uint64_t)(bos + 1));
    add_to_hash(&info->corpus_hash, (uint64_t)(s->packing.separator + 1));
    add_to_hash(&info->corpus_hash, (uint64_t)o->on_bad_text);
    add_to_hash(&info->corpus_hash, (uint64_t) !!o->one_document);
    settings_number(info, "corpus (how many files)", corpus_file_count(s->corpus));
    settings_text(info, "text_field", o->text_field);
    settings_text(info, "tokens_field", o->tokens_field);
    settings_text(info, "document_separator", o->document_separator);
    settings_text(info, "on_bad_text", o->on_bad_text == BAD_TEXT_FAIL ? "fail" : "skip");
    settings_number(info, "context_tokens", o->context_tokens);
    settings_flag(info, "pack", !o->one_document);
    settings_flag(info, "prepend_bos", bos >= 0);
    settings_flag(info, "exact_model", o->exact_model);
    info->prepends_bos = bos >= 0;
    info->resumable = corpus_rereadable(s->corpus);
    info->corpus_files = (uint32_t)corpus_file_count(s->corpus);
    info->corpus_note = corpus_note(s->corpus);
    return ERR_OK;
}

static int make_batch(struct llama_state *s)
{
    size_t rows = (size_t)s->options.batch_contexts * s->options.context_tokens;
    s->submitted = malloc(rows * sizeof *s->submitted);
    s->lengths = malloc(s->options.batch_contexts * sizeof *s->lengths);
    s->ids = malloc(rows * sizeof *s->ids);
    s->flags = malloc(rows);
    s->cursors = malloc((rows + 1) * sizeof *s->cursors);
    s->values = malloc(rows * s->width * sizeof *s->values);
    if (!s->submitted || !s->lengths || !s->ids || !s->flags || !s->cursors || !s->values)
        return err_set(ERR_NOMEM, "no memory for %zu rows of %u values", rows, s->width);
    return ERR_OK;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void describe(const struct llama_state *s, struct engine_info *info)
{
    info->model = file_name(s->options.model_file);
    info->precision = llama_runner_precision(s->runner);
    info->source_precision = s->facts.precision;
    info->context_tokens = s->options.context_tokens;
    info->hooks = s->hooks.count;
    for (uint32_t h = 0; h < s->hooks.count; h++) {
        strcpy(info->hook[h].name, s->hooks.hook[h].name);
        info->hook[h].width = s->hooks.hook[h].width;
    }
}

static int open_llama(const struct engine_options *options, struct engine_info *info, void **state)
{
    int result = check_options(options);
    if (result != ERR_OK) return result;
    struct llama_state *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory for an engine");
    s->options = *options;
    result = open_model(s, info);
    if (result == ERR_OK) result = open_corpus(s, info);
    if (result == ERR_OK) {
        describe(s, info);
        for (uint32_t h = 0; h < s->hooks.count; h++) s->width += s->hooks.hook[h].width;
        result = make_batch(s);
    }
    if (result != ERR_OK) {
        close_llama(s);
        return result;
    }
    *state = s;
    return ERR_OK;
}

static struct engine_counters counters(const void *state)
{
    const struct llama_state *s = state;
    struct pack_counters packed = pack_counters(s->pack);
    return (struct engine_counters){.tokens = s->tokens,
                                    .documents = packed.documents,
                                    .bad_text = packed.bad_text,
                                    .bad_text_bytes = packed.bad_text_bytes};
}

static void documents(const void *state, struct engine_documents *out)
{
    const struct llama_state *s = state;
    *out = *pack_documents(s->pack);
}

static void documents_counted(const void *state, struct engine_documents *out)
{
    const struct llama_state *s = state;
    *out = s->counted;
}

static int count_rows(void *state, uint64_t *rows, void (*progress)(void *arg, uint64_t tokens),
                      void *arg)
{
    struct llama_state *s = state;
    struct corpus *corpus;
    *rows = 0;
    if (!corpus_rereadable(s->corpus)) return ERR_OK;
    struct corpus_options options = llama_text_corpus(&s->text);
    int result = corpus_open(&options, &corpus);
    if (result != ERR_OK) return result;
    result = pack_count(corpus, &s->packing, rows, progress, arg);
    s->counted = *corpus_counts(corpus);
    corpus_close(corpus);
    return result;
}

static int32_t tokens(const void *state)
{
    const struct llama_state *s = state;
    return llama_runner_tokens(s->runner);
}

static size_t token_text(const void *state, int32_t token, char *out, size_t bytes)
{
    const struct llama_state *s = state;
    return llama_runner_text(s->runner, token, out, bytes);
}

static int seek(void *state, const struct cursor *cursor)
{
    struct llama_state *s = state;
    int result = pack_seek(s->pack, cursor);
    if (result == ERR_OK) s->skip = cursor->position;
    return result;
}

/* Identities, flags and cursors of a context's rows, from row `at` of the batch on. */
static void add_context(struct llama_state *s, const struct pack_context *context, size_t at)
{
    for (uint32_t i = 0; i < context->count; i++) {
        int32_t token = context->tokens[i];
        s->submitted[at + i] = token;
        s->ids[at + i] = (struct row_id){context->begin.sequence, i, (uint32_t)token};
        s->flags[at + i] =
            (uint8_t)((llama_runner_is_special(s->runner, token) ? ENGINE_ROW_SPECIAL : 0) |
                      (i == 0 ? ENGINE_ROW_FIRST : 0));
        s->cursors[at + i] = context->begin;
        s->cursors[at + i].position = i;
    }
}

/* A share may well be empty: there are more producers than documents. The corpus may not. */
static int empty_corpus(const struct llama_state *s)
{
    const struct engine_documents *d = pack_documents(s->pack);
    uint64_t skipped = 0;
    for (int i = 0; i < ENGINE_SKIP_REASONS; i++) skipped += d->skipped[i];
    if (d->read > skipped) return ERR_OK;
    return err_set(ERR_FORMAT,
                   "the corpus has no usable text (%llu documents were bad%s%s); HINT: see "
                   "capture.corpus",
                   (unsigned long long)skipped, skipped ? ", the first one in " : "",
                   d->first_skipped);
}

static int next(void *state, struct engine_batch *batch)
{
    struct llama_state *s = state;
    size_t rows = 0;
    uint32_t contexts = 0;
    memset(batch, 0, sizeof *batch);
    while (contexts < s->options.batch_contexts) {
        struct pack_context context;
        int result = pack_next(s->pack, &context);
        if (result != ERR_OK) return result;
        if (context.count == 0) break;
        add_context(s, &context, rows);
        s->lengths[contexts++] = context.count;
        rows += context.count;
    }
    s->cursors[rows] = pack_cursor(s->pack);
    size_t skip = s->skip;
    if (skip > 0 && (contexts == 0 || skip >= s->lengths[0]))
        return err_set(ERR_MISMATCH,
                       "the context sought has no position %zu: the corpus is not the "
                       "one that this stream was begun with",
                       skip);
    s->skip = 0;
    batch->cursors = s->cursors;
    if (rows == 0) return empty_corpus(s);
    size_t at = 0;
    for (uint32_t c = 0; c < contexts; at += s->lengths[c++]) {
        int result = llama_runner_run(s->runner, s->submitted + at, s->lengths[c],
                                      s->values + at * s->width);
        if (result != ERR_OK) return result;
    }
    s->tokens += rows;
    *batch = (struct engine_batch){.rows = rows - skip,
                                   .ids = s->ids + skip,
                                   .flags = s->flags + skip,
                                   .cursors = s->cursors + skip,
                                   .values = s->values + skip * s->width};
    return ERR_OK;
}

const struct backend backend_llama = {
    .lacks = lacks,
    .open = open_llama,
    .forecast = forecast,
    .counters = counters,
    .documents = documents,
    .documents_counted = documents_counted,
    .count_rows = count_rows,
    .tokens = tokens,
    .token_text = token_text,
    .seek = seek,
    .next = next,
    .close = close_llama,
};
