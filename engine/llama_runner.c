#include "engine/llama_runner.h"

#include "base/err.h"
#include "engine/llama_capture.h"
#include "engine/llama_file.h"
#include "engine/llama_quiet.h"

#include <ctype.h>
#include <limits.h>
#include <llama.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PASS_TOKENS = 512,         /* tokens of one pass through the graph; more is slower */
    PASS_TOKENS_OUTPUTS = 128, /* where all outputs must be asked for: each is a row of logits */
    PROBE_TOKENS = 13,         /* odd, so that no other dimension is mistaken for it */
};

struct llama_runner {
    struct llama_model *model;
    struct llama_context *context;
    const struct llama_vocab *vocab;
    struct llama_capture capture;
    struct llama_batch batch;
    struct llama_runner_options options;
    uint32_t pass_tokens;
    int outputs;        /* asked of every token, for a hook in the last layer */
    int32_t *positions; /* (context_tokens) 0, 1, 2, ... */
    int32_t *tokens;    /* of llama_runner_tokenize() */
    size_t tokens_room;
    char precision[64];
};

static int llama_error(int code, const char *what, const char *path)
{
    const char *reason = llama_quiet_error();
    return err_set(code, "%s %s%s%s", what, path, reason[0] ? ": " : "", reason);
}

static int load_model(struct llama_runner *r, int probe_only)
{
    int result = llama_file_check(r->options.path);
    if (result != ERR_OK) return result;
    llama_quiet_start();
    llama_quiet_clear();
    struct llama_model_params params = llama_model_default_params();
    params.use_extra_bufts = !probe_only; /* repacking would read all weights */
    r->model = llama_model_load_from_file(r->options.path, params);
    if (!r->model) return llama_error(ERR_FORMAT, "llama.cpp cannot load", r->options.path);
    if (!llama_model_has_decoder(r->model) || llama_model_has_encoder(r->model))
        return err_set(ERR_USAGE, "%s is not a decoder-only language model", r->options.path);
    r->vocab = llama_model_get_vocab(r->model);
    int32_t trained = llama_model_n_ctx_train(r->model);
    if (trained > 0 && r->options.context_tokens > (uint32_t)trained)
        return err_set(
            ERR_USAGE,
            "contexts of %u tokens are longer than the %d that the model was trained with; "
            "HINT: lower capture.context_tokens",
            r->options.context_tokens, trained);
    const char *name = llama_ftype_name(llama_model_ftype(r->model)); /* "all F32", "Q4_1", ... */
    if (strncmp(name, "all ", 4) == 0) name += 4;
    for (size_t i = 0; name[i] && i + 1 < sizeof r->precision; i++)
        r->precision[i] = (char)tolower((unsigned char)name[i]);
    return ERR_OK;
}

/* During a probe the graph's nodes are seen, then it is not computed. */
static bool stops_probe(void *arg)
{
    const struct llama_runner *r = arg;
    return r->capture.mode == CAPTURE_PROBE;
}

static int make_context(struct llama_runner *r)
{
    uint32_t most = r->outputs ? PASS_TOKENS_OUTPUTS : PASS_TOKENS;
    r->pass_tokens = r->options.context_tokens < most ? r->options.context_tokens : most;
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = r->options.context_tokens;
    params.n_batch = params.n_ubatch = r->pass_tokens;
    params.n_seq_max = 1;
    params.n_threads = params.n_threads_batch = (int32_t)r->options.threads;
    params.no_perf = true;
    params.cb_eval = llama_capture_eval;
    params.cb_eval_user_data = &r->capture;
    params.abort_callback = stops_probe;
    params.abort_callback_data = r;
    llama_quiet_clear();
    r->context = llama_init_from_model(r->model, params);
    if (!r->context) return llama_error(ERR_NOMEM, "llama.cpp cannot run", r->options.path);
    return ERR_OK;
}

/* One pass over n tokens of one context. */
static int decode(struct llama_runner *r, const int32_t *tokens, const int32_t *positions,
                  uint32_t n)
{
    r->batch.n_tokens = (int32_t)n;
    for (uint32_t i = 0; i < n; i++) {
        r->batch.token[i] = tokens[i];
        r->batch.pos[i] = positions[i];
        r->batch.n_seq_id[i] = 1;
        r->batch.seq_id[i][0] = 0;
        r->batch.logits[i] = (int8_t)r->outputs;
    }
    llama_quiet_clear();
    return llama_decode(r->context, r->batch);
}

static int probe(struct llama_runner *r)
{
    int32_t tokens[PROBE_TOKENS], n = PROBE_TOKENS;
    if ((uint32_t)n > r->pass_tokens) n = (int32_t)r->pass_tokens;
    for (int i = 0; i < n; i++) tokens[i] = i % llama_vocab_n_tokens(r->vocab);
    llama_capture_begin(&r->capture, CAPTURE_PROBE, tokens, r->positions, (uint32_t)n, NULL);
    int status = decode(r, tokens, r->positions, (uint32_t)n);
    llama_memory_clear(llama_get_memory(r->context), false);
    if (status != 0 && status != 2) /* 2: stopped on purpose */
        return llama_error(ERR_FORMAT, "llama.cpp cannot run", r->options.path);
    return llama_capture_check(&r->capture, llama_model_n_layer(r->model));
}

/* Make the context and find the hooks; where one lies in the last layer, whose rows llama.cpp drops
 * unless they are outputs, once more with all outputs asked for. */
static int find_hooks(struct llama_runner *r)
{
    int result = make_context(r);
    if (result == ERR_OK) result = probe(r);
    if (result != ERR_OK || !llama_capture_dropped(&r->capture)) return result;
    llama_free(r->context);
    r->context = NULL;
    r->outputs = 1;
    result = make_context(r);
    if (result == ERR_OK) result = probe(r);
    if (result == ERR_OK && llama_capture_dropped(&r->capture))
        result = err_set(ERR_USAGE,
                         "%s drops rows of a hook in its last layer (%d); HINT: hook layer %d or "
                         "below",
                         r->options.path, llama_model_n_layer(r->model) - 1,
                         llama_model_n_layer(r->model) - 2);
    return result;
}

static int open_runner(const struct llama_runner_options *options, struct llama_hooks *hooks,
                       int probe_only, struct llama_runner **runner)
{
    struct llama_runner *r = calloc(1, sizeof *r);
    if (!r) return err_set(ERR_NOMEM, "no memory for a model");
    r->options = *options;
    if (r->options.threads == 0) r->options.threads = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    r->capture.hooks = hooks;
    r->positions = malloc(options->context_tokens * sizeof *r->positions);
    r->batch = llama_batch_init(PASS_TOKENS, 0, 1);
    int result = r->positions ? ERR_OK : err_set(ERR_NOMEM, "no memory for a batch");
    for (uint32_t i = 0; r->positions && i < options->context_tokens; i++)
        r->positions[i] = (int32_t)i;
    if (result == ERR_OK) result = load_model(r, probe_only);
    if (result == ERR_OK) result = find_hooks(r);
    if (result != ERR_OK) {
        llama_runner_close(r);
        return result;
    }
    *runner = r;
    return ERR_OK;
}

int llama_runner_open(const struct llama_runner_options *options, struct llama_hooks *hooks,
                      struct llama_runner **runner)
{
    return open_runner(options, hooks, 0, runner);
}

int llama_runner_probe(const char *path, struct llama_hooks *hooks)
{
    struct llama_runner_options options = {
        .path = path, .context_tokens = PROBE_TOKENS, .threads = 1};
    struct llama_runner *runner;
    int result = open_runner(&options, hooks, 1, &runner);
    if (result == ERR_OK) llama_runner_close(runner);
    return result;
}

void llama_runner_close(struct llama_runner *r)
{
    if (!r) return;
    if (r->context) llama_free(r->context);
    if (r->model) llama_model_free(r->model);
    llama_batch_free(r->batch);
    llama_capture_free(&r->capture);
    free(r->positions);
    free(r->tokens);
    free(r);
}

int llama_runner_run(struct llama_runner *r, const int32_t *tokens, uint32_t count, float *values)
{
    if (count > r->options.context_tokens)
        return err_set(ERR_LIMIT, "a context of %u tokens where %u was the most", count,
                       r->options.context_tokens);
    llama_memory_clear(llama_get_memory(r->context), false);
    for (uint32_t begin = 0, n; begin < count; begin += n) {
        n = count - begin < r->pass_tokens ? count - begin : r->pass_tokens;
        llama_capture_begin(&r->capture, CAPTURE_ROWS, tokens + begin, r->positions + begin, n,
                            values);
        int status = decode(r, tokens + begin, r->positions + begin, n);
        if (r->capture.result != ERR_OK) return r->capture.result;
        if (status != 0) return llama_error(ERR_IO, "llama.cpp failed to run", r->options.path);
        int result = llama_capture_end(&r->capture);
        if (result != ERR_OK) return result;
        values += (size_t)n * r->capture.width;
    }
    return ERR_OK;
}

int llama_runner_tokenize(void *arg, const char *text, size_t size, const int32_t **tokens,
                          size_t *count)
{
    struct llama_runner *r = arg;
    if (size > INT32_MAX / 2) return err_set(ERR_LIMIT, "a document of %zu bytes", size);
    int32_t n = -(int32_t)(size / 2 + 64); /* as llama_tokenize() says: room for so many needed */
    do {
        if ((size_t)-n > r->tokens_room) {
            free(r->tokens);
            r->tokens = malloc((size_t)-n * sizeof *r->tokens);
            r->tokens_room = r->tokens ? (size_t)-n : 0;
            if (!r->tokens) return err_set(ERR_NOMEM, "no memory for a document's tokens");
        }
        n = llama_tokenize(r->vocab, text, (int32_t)size, r->tokens, (int32_t)r->tokens_room, false,
                           false);
    } while (n < 0 && n != INT32_MIN);
    if (n < 0) return err_set(ERR_LIMIT, "a document of %zu bytes has too many tokens", size);
    *tokens = r->tokens;
    *count = (size_t)n;
    return ERR_OK;
}

int32_t llama_runner_bos(const struct llama_runner *r)
{
    return llama_vocab_bos(r->vocab);
}

int32_t llama_runner_separator(const struct llama_runner *r)
{
    return llama_vocab_eos(r->vocab);
}

int llama_runner_adds_bos(const struct llama_runner *r)
{
    return llama_vocab_get_add_bos(r->vocab) && llama_vocab_bos(r->vocab) >= 0;
}

int llama_runner_is_special(const struct llama_runner *r, int32_t token)
{
    return llama_vocab_is_control(r->vocab, token) || llama_vocab_is_eog(r->vocab, token) ||
           token == llama_vocab_bos(r->vocab) || token == llama_vocab_eos(r->vocab);
}

const struct llama_model *llama_runner_model(const struct llama_runner *r)
{
    return r->model;
}

const char *llama_runner_precision(const struct llama_runner *r)
{
    return r->precision;
}
