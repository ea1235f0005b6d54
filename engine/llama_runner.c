#include "engine/llama_runner.h"

#include "base/err.h"
#include "engine/llama_capture.h"
#include "engine/llama_file.h"
#include "engine/llama_guard.h"
#include "engine/llama_quiet.h"
#include "engine/llama_room.h"
#include "engine/llama_trial.h"

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
    PIECE_BYTES = 1024,        /* of a token's text, at most */
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
    struct llama_special special;
    int32_t *tokens; /* of llama_runner_tokenize() */
    size_t tokens_room;
    char precision[64];
};

static int llama_error(int code, const char *what, const char *path)
{
    const char *reason = llama_quiet_error();
    return err_set(code, "%s %s%s%s", what, path, reason[0] ? ": " : "", reason);
}

/* Only models that compute a token from those before it: of others a context cannot be cut into
 * passes. */
static int check_kind(const struct llama_runner *r)
{
    char architecture[64] = "", key[128], causal[16] = "";
    llama_model_meta_val_str(r->model, "general.architecture", architecture, sizeof architecture);
    snprintf(key, sizeof key, "%s.attention.causal", architecture);
    llama_model_meta_val_str(r->model, key, causal, sizeof causal);
    if (!llama_model_has_decoder(r->model) || llama_model_has_encoder(r->model) ||
        strcmp(causal, "false") == 0 || llama_model_is_diffusion(r->model))
        return err_set(ERR_USAGE,
                       "%s (%s) is not a decoder-only language model, in which a token sees those "
                       "before it alone; HINT: stream.model wants such a one",
                       r->options.path, architecture);
    return ERR_OK;
}

static int check_length(const struct llama_runner *r, uint32_t context_tokens)
{
    int32_t trained = llama_model_n_ctx_train(r->model);
    if (trained <= 0 || context_tokens <= (uint32_t)trained) return ERR_OK;
    return err_set(ERR_USAGE,
                   "contexts of %u tokens are longer than the %d that the model was trained with; "
                   "HINT: lower capture.context_tokens",
                   context_tokens, trained);
}

/* "Q4_1", "all F32", and of a file that does not say "(guessed) Q4_1": what most weights are. */
static void name_precision(struct llama_runner *r)
{
    static const char guess[] = "(guessed) ", all[] = "all ";
    const char *name = llama_ftype_name(llama_model_ftype(r->model));
    int is_guess = strncmp(name, guess, sizeof guess - 1) == 0;
    if (is_guess) name += sizeof guess - 1;
    if (strncmp(name, all, sizeof all - 1) == 0) name += sizeof all - 1;
    snprintf(r->precision, sizeof r->precision, "%s%s", name, is_guess ? " (guessed)" : "");
    for (char *c = r->precision; *c; c++) *c = (char)tolower((unsigned char)*c);
}

static int load_model(struct llama_runner *r)
{
    int result = llama_file_check(r->options.path);
    if (result == ERR_OK) result = llama_room_check(r->options.path, r->options.threads);
    if (result != ERR_OK) return result;
    llama_quiet_start();
    llama_quiet_clear();
    struct llama_model_params params = llama_model_default_params();
    params.use_extra_bufts = !r->options.plain_weights; /* these repack weights */
    llama_guard_enter();
    r->model = llama_model_load_from_file(r->options.path, params);
    llama_guard_leave();
    if (!r->model) return llama_error(ERR_FORMAT, "llama.cpp cannot load", r->options.path);
    result = check_kind(r);
    if (result == ERR_OK) result = llama_special_read(r->model, r->options.path, &r->special);
    if (result != ERR_OK) return result;
    r->vocab = llama_model_get_vocab(r->model);
    if (llama_vocab_n_tokens(r->vocab) <= 0)
        return err_set(ERR_FORMAT, "%s has an empty vocabulary", r->options.path);
    result = check_length(r, r->options.context_tokens);
    if (result != ERR_OK) return result;
    name_precision(r);
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
    llama_guard_enter();
    r->context = llama_init_from_model(r->model, params);
    llama_guard_leave();
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
    llama_guard_enter();
    int status = llama_decode(r->context, r->batch);
    llama_guard_leave();
    return status;
}

static int probe(struct llama_runner *r)
{
    int32_t tokens[PROBE_TOKENS], n = PROBE_TOKENS;
    if ((uint32_t)n > r->pass_tokens) n = (int32_t)r->pass_tokens;
    for (int i = 0; i < n; i++) tokens[i] = i % llama_vocab_n_tokens(r->vocab);
    llama_capture_begin(&r->capture, CAPTURE_PROBE, tokens, r->positions, (uint32_t)n, NULL);
    int status = decode(r, tokens, r->positions, (uint32_t)n);
    llama_memory_clear(llama_get_memory(r->context), false);
    if (r->capture.result != ERR_OK) return r->capture.result;
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

int llama_runner_open(const struct llama_runner_options *options, struct llama_hooks *hooks,
                      struct llama_runner **runner)
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
    if (result == ERR_OK) result = load_model(r);
    if (result == ERR_OK) result = find_hooks(r);
    if (result != ERR_OK) {
        llama_runner_close(r);
        return result;
    }
    *runner = r;
    return ERR_OK;
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

static int has_tokenizer(const struct llama_runner *r)
{
    return llama_vocab_type(r->vocab) != LLAMA_VOCAB_TYPE_NONE;
}

int llama_runner_tokenize(void *arg, const char *text, size_t size, const int32_t **tokens,
                          size_t *count)
{
    struct llama_runner *r = arg;
    if (!has_tokenizer(r))
        return err_set(ERR_USAGE,
                       "%s has no tokenizer, so no text can be put into it; HINT: take a model "
                       "that has one, or give token ids (capture.tokens_field)",
                       r->options.path);
    if (size > INT32_MAX / 2) return err_set(ERR_LIMIT, "a document of %zu bytes", size);
    int32_t n = -(int32_t)(size / 2 + 64); /* as llama_tokenize() says: room for so many needed */
    do {
        if ((size_t)-n > r->tokens_room) {
            free(r->tokens);
            r->tokens = malloc((size_t)-n * sizeof *r->tokens);
            r->tokens_room = r->tokens ? (size_t)-n : 0;
            if (!r->tokens) return err_set(ERR_NOMEM, "no memory for a document's tokens");
        }
        llama_guard_enter();
        n = llama_tokenize(r->vocab, text, (int32_t)size, r->tokens, (int32_t)r->tokens_room, false,
                           false);
        llama_guard_leave();
    } while (n < 0 && n != INT32_MIN);
    if (n < 0) return err_set(ERR_LIMIT, "a document of %zu bytes has too many tokens", size);
    *tokens = r->tokens;
    *count = (size_t)n;
    return ERR_OK;
}

size_t llama_runner_text(const struct llama_runner *r, int32_t token, char *out, size_t bytes)
{
    char piece[PIECE_BYTES];
    out[0] = '\0';
    if (!has_tokenizer(r) || token < 0 || token >= llama_vocab_n_tokens(r->vocab)) return 0;
    llama_guard_enter();
    int32_t n = llama_token_to_piece(r->vocab, token, piece, sizeof piece, 0, true);
    llama_guard_leave();
    if (n <= 0) return n < 0 ? (size_t)-n : 0;
    size_t copied = (size_t)n < bytes ? (size_t)n : bytes - 1;
    memcpy(out, piece, copied);
    out[copied] = '\0';
    return (size_t)n;
}

int32_t llama_runner_tokens(const struct llama_runner *r)
{
    return llama_vocab_n_tokens(r->vocab);
}

const struct llama_special *llama_runner_special(const struct llama_runner *r)
{
    return &r->special;
}

int llama_runner_is_special(const struct llama_runner *r, int32_t token)
{
    return llama_special_is(&r->special, r->model, token);
}

const struct llama_model *llama_runner_model(const struct llama_runner *r)
{
    return r->model;
}

const char *llama_runner_precision(const struct llama_runner *r)
{
    return r->precision;
}

/* ---- trial ---- */

/* Every character of up to two bytes in UTF-8, and some of each longer kind. */
static size_t characters(char *text)
{
    size_t n = 0;
    for (unsigned c = 1; c < 0x800; c++) {
        if (c < 0x80) {
            text[n++] = (char)c;
            continue;
        }
        text[n++] = (char)(0xc0 | c >> 6);
        text[n++] = (char)(0x80 | (c & 0x3f));
    }
    for (unsigned c = 0x801; c < 0xd800; c += 61) {
        text[n++] = (char)(0xe0 | c >> 12);
        text[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        text[n++] = (char)(0x80 | (c & 0x3f));
    }
    static const char emoji[] = "\xf0\x9f\x98\x80\xf0\x9f\x8f\xbd\xf4\x8f\xbf\xbf";
    memcpy(text + n, emoji, sizeof emoji - 1);
    return n + sizeof emoji - 1;
}

static int try_tokenizer(struct llama_runner *r)
{
    char text[16384];
    const int32_t *tokens;
    size_t count;
    if (!has_tokenizer(r)) return ERR_OK;
    return llama_runner_tokenize(r, text, characters(text), &tokens, &count);
}

static int try_all(struct llama_trial *trial, void *arg, void *answer)
{
    struct llama_runner_options options = *(const struct llama_runner_options *)arg;
    struct llama_facts *facts = answer;
    struct llama_runner *r;
    int32_t tokens[PROBE_TOKENS] = {0};
    uint32_t wanted = options.context_tokens, width = 0;
    (void)trial;
    options.plain_weights = 1;
    if (wanted > PROBE_TOKENS) options.context_tokens = PROBE_TOKENS;
    int result = llama_runner_open(&options, &facts->hooks, &r);
    if (result == ERR_OK) result = check_length(r, wanted);
    if (result == ERR_OK) result = try_tokenizer(r);
    if (result != ERR_OK) return result; /* the process ends: nothing is closed */
    for (uint32_t h = 0; h < facts->hooks.count; h++) width += facts->hooks.hook[h].width;
    float *values = malloc((size_t)options.context_tokens * width * sizeof *values);
    if (!values) return err_set(ERR_NOMEM, "no memory for rows of a trial");
    snprintf(facts->precision, sizeof facts->precision, "%s", r->precision);
    facts->layers = llama_model_n_layer(r->model);
    int32_t trained = llama_model_n_ctx_train(r->model);
    facts->context_tokens = trained > 0 ? (uint32_t)trained : 0;
    facts->has_tokenizer = has_tokenizer(r);
    return llama_runner_run(r, tokens, options.context_tokens, values);
}

int llama_runner_try(const struct llama_runner_options *options, const struct llama_hooks *hooks,
                     struct llama_facts *facts)
{
    char doing[512];
    *facts = (struct llama_facts){.hooks = *hooks};
    snprintf(doing, sizeof doing, "trying the model %s", options->path);
    return llama_trial_run(doing, try_all, (void *)options, facts, sizeof *facts, NULL, NULL);
}
