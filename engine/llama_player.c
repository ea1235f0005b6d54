#include "engine/llama_player.h"

#include "base/err.h"
#include "engine/llama_guard.h"
#include "engine/llama_quiet.h"

#include <ggml-backend.h>
#include <llama.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEAST_CONTEXT_TOKENS = 16 }; /* of the runner, which only finds the hooks */

struct llama_player {
    struct llama_runner *runner;
    struct llama_context *context;
    struct llama_batch batch;
    const struct llama_hooks *hooks;
    uint32_t context_tokens, tokens, vocabulary;
    int has_late_hook; /* in the last layer, whose rows are dropped unless they are outputs */

    /* Of the pass under way. */
    const struct llama_player_watch *watch;
    uint32_t first, rows;
    uint32_t named[ROW_MAX_HOOKS]; /* nodes of the hook's name so far */
    const struct ggml_tensor *wanted[ROW_MAX_HOOKS];
    uint32_t edited; /* hooks */
    float *values;   /* of one hook */
    size_t values_room;
    int result; /* of the first failure; its text is in err_text() */
};

static void fail(struct llama_player *p, int result)
{
    if (p->result == ERR_OK) p->result = result;
}

/* Whether the node is a hook's; each is counted once, when it is asked for. */
static int ask_node(struct llama_player *p, const struct ggml_tensor *node)
{
    int is_wanted = 0;
    for (uint32_t h = 0; h < p->hooks->count; h++) {
        if (strcmp(p->hooks->hook[h].node, node->name) != 0) continue;
        if (p->named[h]++ != p->hooks->hook[h].turn) continue;
        p->wanted[h] = node;
        is_wanted = 1;
    }
    return is_wanted;
}

static float *values_of(struct llama_player *p, size_t count)
{
    if (count <= p->values_room) return p->values;
    free(p->values);
    p->values = malloc(count * sizeof *p->values);
    p->values_room = p->values ? count : 0;
    return p->values;
}

static int edit_node(struct llama_player *p, struct ggml_tensor *node, uint32_t h)
{
    size_t count = (size_t)p->rows * p->hooks->hook[h].width;
    if (node->type != GGML_TYPE_F32 || !ggml_is_contiguous(node) ||
        ggml_nelements(node) != (int64_t)count)
        return err_set(ERR_MISMATCH, "hook %s gave %lld values for %u rows of %u",
                       p->hooks->hook[h].name, (long long)ggml_nelements(node), p->rows,
                       p->hooks->hook[h].width);
    float *values = values_of(p, count);
    if (!values) return err_set(ERR_NOMEM, "no memory for %zu values of a hook", count);
    ggml_backend_tensor_get(node, values, 0, count * sizeof *values);
    int result = p->watch->edit(p->watch->arg, h, p->first, p->rows, values);
    if (result == ERR_OK) ggml_backend_tensor_set(node, values, 0, count * sizeof *values);
    p->edited++;
    return result;
}

/* ggml's callback. */
static bool on_node(struct ggml_tensor *node, bool ask, void *arg)
{
    struct llama_player *p = arg;
    if (!p->watch || !p->watch->edit) return !ask; /* none is wanted; go on */
    if (ask) return ask_node(p, node);
    for (uint32_t h = 0; h < p->hooks->count && p->result == ERR_OK; h++)
        if (p->wanted[h] == node) fail(p, edit_node(p, node, h));
    return p->result == ERR_OK;
}

/* ---- opening ---- */

static int make_context(struct llama_player *p, uint32_t threads)
{
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = p->context_tokens;
    params.n_batch = params.n_ubatch = PLAYER_PASS_TOKENS;
    params.n_seq_max = 1;
    params.n_threads = params.n_threads_batch = (int32_t)threads;
    params.no_perf = true;
    params.cb_eval = on_node;
    params.cb_eval_user_data = p;
    llama_quiet_clear();
    llama_guard_enter();
    /* A context is made of a model that may be shared: the parameter is not const by mistake. */
    p->context = llama_init_from_model((struct llama_model *)llama_runner_model(p->runner), params);
    llama_guard_leave();
    if (p->context) return ERR_OK;
    return err_set(ERR_NOMEM, "llama.cpp cannot make a context of %u tokens: %s", p->context_tokens,
                   llama_quiet_error());
}

static int check_length(const struct llama_player *p)
{
    int32_t trained = llama_model_n_ctx_train(llama_runner_model(p->runner));
    if (trained <= 0 || p->context_tokens <= (uint32_t)trained) return ERR_OK;
    return err_set(ERR_USAGE,
                   "a sequence of %u tokens is longer than the %d that the model was "
                   "trained with",
                   p->context_tokens, trained);
}

int llama_player_open(const struct llama_runner_options *options, struct llama_hooks *hooks,
                      struct llama_player **player)
{
    struct llama_player *p = calloc(1, sizeof *p);
    if (!p) return err_set(ERR_NOMEM, "no memory for a model");
    struct llama_runner_options few = *options;
    uint32_t threads = options->threads;
    if (threads == 0) threads = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    if (few.context_tokens > LEAST_CONTEXT_TOKENS) few.context_tokens = LEAST_CONTEXT_TOKENS;
    p->hooks = hooks;
    p->context_tokens = options->context_tokens;
    p->batch = llama_batch_init(PLAYER_PASS_TOKENS, 0, 1);
    int result = llama_runner_open(&few, hooks, &p->runner);
    if (result == ERR_OK) result = check_length(p);
    if (result == ERR_OK) result = make_context(p, threads);
    if (result != ERR_OK) {
        llama_player_close(p);
        return result;
    }
    p->vocabulary = (uint32_t)llama_runner_tokens(p->runner);
    int32_t last = llama_model_n_layer(llama_runner_model(p->runner)) - 1;
    for (uint32_t h = 0; h < hooks->count; h++) {
        int32_t layer = hooks->hook[h].layer;
        p->has_late_hook |= layer < 0 || layer >= last;
    }
    *player = p;
    return ERR_OK;
}

void llama_player_close(struct llama_player *p)
{
    if (!p) return;
    if (p->context) llama_free(p->context);
    llama_runner_close(p->runner);
    llama_batch_free(p->batch);
    free(p->values);
    free(p);
}

/* ---- running ---- */

void llama_player_clear(struct llama_player *p)
{
    llama_memory_clear(llama_get_memory(p->context), false);
    p->tokens = 0;
}

static int check_tokens(const struct llama_player *p, const int32_t *tokens, uint32_t count)
{
    if (count > p->context_tokens - p->tokens)
        return err_set(ERR_LIMIT, "a sequence of %u tokens where %u is the most", p->tokens + count,
                       p->context_tokens);
    for (uint32_t i = 0; i < count; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= p->vocabulary)
            return err_set(ERR_USAGE, "token %d: the model has 0 to %u", tokens[i],
                           p->vocabulary - 1);
    return ERR_OK;
}

static int decode(struct llama_player *p, const int32_t *tokens, uint32_t n, int all, int is_last)
{
    p->batch.n_tokens = (int32_t)n;
    for (uint32_t i = 0; i < n; i++) {
        p->batch.token[i] = tokens[i];
        p->batch.pos[i] = (int32_t)(p->tokens + i);
        p->batch.n_seq_id[i] = 1;
        p->batch.seq_id[i][0] = 0;
        p->batch.logits[i] = (int8_t)(all || (is_last && i + 1 == n));
    }
    llama_quiet_clear();
    llama_guard_enter();
    int status = llama_decode(p->context, p->batch);
    llama_guard_leave();
    if (p->result != ERR_OK || status == 0) return p->result;
    return err_set(ERR_IO, "llama.cpp failed to run: %s", llama_quiet_error());
}

static int pass(struct llama_player *p, const int32_t *tokens, uint32_t n, int is_last)
{
    const struct llama_player_watch *watch = p->watch;
    int edits = watch && watch->edit, logits = watch && watch->logits;
    p->first = p->tokens;
    p->rows = n;
    p->edited = 0;
    p->result = ERR_OK;
    memset(p->named, 0, sizeof p->named);
    memset(p->wanted, 0, sizeof p->wanted);
    int result = decode(p, tokens, n, logits || (edits && p->has_late_hook), is_last);
    if (result == ERR_OK && edits && p->edited != p->hooks->count)
        result =
            err_set(ERR_MISMATCH, "a pass ended after %u of %u hooks", p->edited, p->hooks->count);
    if (result == ERR_OK && logits)
        result = watch->logits(watch->arg, p->first, n, llama_get_logits(p->context));
    p->tokens += n;
    return result;
}

int llama_player_feed(struct llama_player *p, const int32_t *tokens, uint32_t count,
                      const struct llama_player_watch *watch)
{
    int result = check_tokens(p, tokens, count);
    p->watch = watch;
    for (uint32_t at = 0, n; at < count && result == ERR_OK; at += n) {
        n = count - at < PLAYER_PASS_TOKENS ? count - at : PLAYER_PASS_TOKENS;
        result = pass(p, tokens + at, n, at + n == count);
    }
    p->watch = NULL;
    return result;
}

const float *llama_player_logits(const struct llama_player *p)
{
    return llama_get_logits_ith(p->context, -1);
}

struct llama_runner *llama_player_runner(const struct llama_player *p)
{
    return p->runner;
}
