#include "tests/hosts/host.h"
#include "base/clock.h"
#include "tests/hosts/truth.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TOKENS = 4096, GO_BACK_AFTER = 2 };

static const char follow_up[] = "\nAnd what came after that, and why?\n";

static int tokenize(const struct host *host, const char *text, int first, llama_token *tokens)
{
    const struct llama_vocab *vocab = llama_model_get_vocab(host->model);
    int count =
        llama_tokenize(vocab, text, (int32_t)strlen(text), tokens, MOST_TOKENS, first, false);
    if (count <= 0) host_die("a text has no token, or more than %d: '%.40s'", MOST_TOKENS, text);
    return count;
}

static struct llama_context *open_context(const struct host_options *o, const char *path, int slots,
                                          struct llama_model **model)
{
    struct llama_model_params load = llama_model_default_params();
    load.n_gpu_layers = 0;
    *model = llama_model_load_from_file(path, load);
    if (!*model) host_die("%s is no model that can be loaded", path);
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = (uint32_t)o->context_tokens;
    params.n_batch = (uint32_t)o->batch_tokens;
    params.n_ubatch = (uint32_t)o->ubatch_tokens;
    params.n_seq_max = (uint32_t)slots;
    params.n_threads = params.n_threads_batch = o->threads;
    params.kv_unified = o->unified;
    struct llama_context *context = llama_init_from_model(*model, params);
    if (!context) host_die("no context of %d tokens", o->context_tokens);
    return context;
}

void host_open(struct host *host, const struct host_options *options)
{
    const struct host_options *o = &host->options;
    host->options = *options;
    llama_backend_init();
    host->context = open_context(o, o->model, o->slots, &host->model);
    batch_open(&host->batch, host->context, 0, o->batch_tokens, o->processes, o->truth);
    if (!o->beside) return;
    host->beside_context = open_context(o, o->beside, 1, &host->beside_model);
    batch_open(&host->beside, host->beside_context, 1, o->batch_tokens, 0, o->truth);
}

static void open_slots(struct host *host)
{
    const struct host_options *o = &host->options;
    for (int i = 0; i < o->slots; i++)
        slot_open(&host->slots[i], i, o->context_tokens, o->steps * o->turns);
}

static void close_slots(struct host *host)
{
    for (int i = 0; i < host->options.slots; i++) slot_close(&host->slots[i]);
}

/* The system prompt is decoded once; every other slot gets a copy. */
static void share_system(struct host *host)
{
    const struct host_options *o = &host->options;
    llama_token tokens[MOST_TOKENS];
    if (!o->system) return;
    int count = tokenize(host, o->system, 1, tokens);
    for (int i = 0; i < count; i++) batch_add(&host->batch, 0, i, tokens[i], 0);
    batch_run(&host->batch);
    for (int i = 0; i < o->slots; i++) {
        struct slot *slot = &host->slots[i];
        slot_ask(slot, tokens, count, 0);
        slot->held = slot->shared = count;
        if (i == 0) continue;
        llama_memory_seq_cp(llama_get_memory(host->context), 0, i, -1, -1);
        truth_event(o->truth, 0, "copy", 0, 0, -1, i);
    }
}

static void begin_round(struct host *host)
{
    llama_memory_clear(llama_get_memory(host->context), false);
    truth_event(host->options.truth, 0, "clear", -1, 0, -1, 0);
    open_slots(host);
    share_system(host);
    host->step = 0;
    host->beside_count = 0;
    if (!host->beside_context) return;
    llama_memory_clear(llama_get_memory(host->beside_context), false);
    truth_event(host->options.truth, 1, "clear", -1, 0, -1, 0);
}

/* The slot's next turn, where it has one and nothing left to say. */
static void next_turn(struct host *host, struct slot *slot)
{
    const struct host_options *o = &host->options;
    llama_token tokens[MOST_TOKENS];
    if (slot->wanted > 0 || slot->turn == o->turns || host->step < slot->id * o->stagger) return;
    const char *text = follow_up;
    if (slot->turn == 0)
        text = o->prompts[(o->twins && slot->id == 1 ? 0 : slot->id) % o->prompt_count];
    else if (!o->reuse)
        slot_forget(slot, &host->batch);
    slot_ask(slot, tokens, tokenize(host, text, slot->count == 0, tokens), o->steps);
    slot->turn++;
}

static int is_asked(const struct slot *slot)
{
    return slot->wanted > 0;
}

static int is_generating(const struct slot *slot)
{
    return slot->held == slot->count - slot->drafted - 1;
}

/* Slots that generate come first: of prompts, as much as there is room left. */
static void fill_batch(struct host *host)
{
    const struct host_options *o = &host->options;
    int room = o->batch_tokens, generates[HOST_MOST_SLOTS];
    for (int i = 0; i < o->slots; i++) generates[i] = is_generating(&host->slots[i]);
    for (int prompts = 0; prompts < 2; prompts++)
        for (int i = 0; i < o->slots; i++) {
            struct slot *slot = &host->slots[i];
            if (is_asked(slot) && generates[i] != prompts)
                room -= slot_submit(slot, &host->batch, room);
        }
}

/* Another model's context generates a token beside, from one token on. */
static void run_beside(struct host *host)
{
    if (!host->beside_context || host->beside_count == MOST_TOKENS) return;
    llama_token last = host->beside_count ? host->beside_said[host->beside_count - 1] : 1;
    batch_add(&host->beside, 0, host->beside_count, last, 1);
    batch_run(&host->beside);
    host->beside_said[host->beside_count++] = batch_greedy(&host->beside, 0);
}

static void happen(struct host *host)
{
    const struct host_options *o = &host->options;
    for (int i = 0; i < o->slots; i++) {
        struct slot *slot = &host->slots[i];
        next_turn(host, slot);
        if (o->speculate && is_asked(slot)) slot_guess(slot, o->speculate);
        if (o->shift && slot->held >= o->shift) slot_shift(slot, &host->batch);
    }
    if (!o->save) return;
    if (host->step == o->save) slot_keep(&host->slots[0], &host->batch);
    if (host->step == o->save + GO_BACK_AFTER) slot_go_back(&host->slots[0], &host->batch);
}

static int tokens_heard(struct host *host)
{
    int tokens = 0;
    for (int i = 0; i < host->options.slots; i++) {
        if (is_asked(&host->slots[i])) tokens += slot_hear(&host->slots[i], &host->batch);
        host->slots[i].first_answer = -1;
    }
    return tokens;
}

static void count_step(struct host_figures *f, double seconds, int tokens)
{
    f->tokens += tokens;
    if (!tokens) return;
    if (f->steps == f->room) {
        f->room = f->room ? f->room * 2 : 4096;
        f->step_seconds = realloc(f->step_seconds, (size_t)f->room * sizeof *f->step_seconds);
        if (!f->step_seconds) host_die("no memory");
    }
    f->step_seconds[f->steps++] = seconds;
}

static int all_is_said(const struct host *host)
{
    for (int i = 0; i < host->options.slots; i++)
        if (host->slots[i].turn < host->options.turns || is_asked(&host->slots[i])) return 0;
    return 1;
}

static void step(struct host *host)
{
    double start = clock_seconds(CLOCK_MONOTONIC);
    host->step++;
    happen(host);
    if (host->options.crash && host->step == host->options.crash) abort();
    run_beside(host);
    fill_batch(host);
    batch_run(&host->batch);
    int tokens = tokens_heard(host);
    count_step(&host->figures, clock_seconds(CLOCK_MONOTONIC) - start, tokens);
}

void host_run(struct host *host)
{
    host->figures.tokens = host->figures.steps = 0;
    double start = clock_seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < host->options.rounds; i++) {
        close_slots(host);
        begin_round(host);
        while (!all_is_said(host)) step(host);
    }
    host->figures.seconds = clock_seconds(CLOCK_MONOTONIC) - start;
}

void host_close(struct host *host)
{
    close_slots(host);
    batch_close(&host->batch);
    free(host->figures.step_seconds);
    llama_free(host->context);
    llama_model_free(host->model);
    if (host->beside_context) {
        batch_close(&host->beside);
        llama_free(host->beside_context);
        llama_model_free(host->beside_model);
    }
    llama_backend_free();
}
