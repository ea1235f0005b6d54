#include "tap/context.h"

#include "base/err.h"
#include "tap/control.h"
#include "tap/models.h"
#include "tap/tell.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXTS_MOST = 64, PASS_MOST_TOKENS = 1 << 20 };

static struct context *table[CONTEXTS_MOST];
static uint32_t left_alone; /* contexts without a place in it, that were ever made */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of both */

/* ---- which there are ---- */

static int is_wanted(const struct llama_model *model, const struct llama_context_params *params)
{
    char file[1024];
    models_file(model, file, sizeof file);
    return !params->embeddings && params->pooling_type <= LLAMA_POOLING_TYPE_NONE &&
           params->ctx_type == LLAMA_CONTEXT_TYPE_DEFAULT &&
           library_get()->llama_model_has_decoder(model) && tap_wants_model(file);
}

static void count_left_alone(void)
{
    pthread_mutex_lock(&lock);
    left_alone++;
    pthread_mutex_unlock(&lock);
}

struct context *context_prepare(const struct llama_model *model,
                                struct llama_context_params *params)
{
    struct context *c = model && is_wanted(model, params) ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        count_left_alone();
        return NULL;
    }
    c->model = model;
    c->graph.other = params->cb_eval;
    c->graph.other_arg = params->cb_eval_user_data;
    params->cb_eval = graph_eval;
    params->cb_eval_user_data = &c->graph;
    return c;
}

static int take_place(struct context *c)
{
    int is_taken = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < CONTEXTS_MOST && !is_taken; i++)
        if (!table[i]) {
            table[i] = c;
            is_taken = 1;
        }
    pthread_mutex_unlock(&lock);
    return is_taken;
}

static int make(struct context *c)
{
    const struct library *l = library_get();
    uint32_t tokens = l->llama_n_batch(c->llama), slots = l->llama_n_seq_max(c->llama);
    if (l->llama_pooling_type(c->llama) > LLAMA_POOLING_TYPE_NONE)
        return err_set(ERR_STATE, "the context pools");
    if (tokens > PASS_MOST_TOKENS) tokens = PASS_MOST_TOKENS;
    int result = slots_make(&c->slots, slots);
    if (result == ERR_OK) result = submitted_make(&c->submitted, tokens);
    special_read(l, c->model, &c->special);
    if (result == ERR_OK) result = graph_make(&c->graph, tokens, &c->special);
    return result;
}

void context_release(struct context *c)
{
    if (!c) return;
    slots_free(&c->slots);
    submitted_free(&c->submitted);
    graph_free(&c->graph);
    free(c);
}

/* Who has a context to be tapped can be asked and told. */
static void serve(void)
{
    static int once;
    char text[600];
    if (control_start() == ERR_OK) return;
    snprintf(text, sizeof text, "%s; the program is tapped, and `sluice tap list` does not see it",
             err_text());
    tell_once(&once, text);
}

/* Where it can't be tapped the callback stays, as llama.cpp has it, and passes calls on to the program's
 * own: it and its context are never freed then. */
void context_settle(struct context *c, struct llama_context *llama)
{
    static int once;
    if (!llama) {
        context_release(c);
        return;
    }
    c->llama = llama;
    c->memory = library_get()->llama_get_memory(llama);
    c->has_encoder = library_get()->llama_model_has_encoder(c->model);
    int result = make(c);
    if (result == ERR_OK && take_place(c)) {
        tap_begin_steering();
        serve();
        return;
    }
    count_left_alone();
    if (result == ERR_NOMEM) tell_once(&once, "no memory for a context; it is not tapped");
}

struct context *context_take_out(const struct llama_context *llama)
{
    struct context *c = NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < CONTEXTS_MOST && !c; i++)
        if (table[i] && table[i]->llama == llama) {
            c = table[i];
            table[i] = NULL;
        }
    pthread_mutex_unlock(&lock);
    return c;
}

struct context *context_of(const struct llama_context *llama)
{
    struct context *c = NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < CONTEXTS_MOST && !c; i++)
        if (table[i] && table[i]->llama == llama) c = table[i];
    pthread_mutex_unlock(&lock);
    return c;
}

struct context *context_of_memory(const void *memory, const struct context *before)
{
    struct context *c = NULL;
    int is_after = !before;
    pthread_mutex_lock(&lock);
    for (int i = 0; memory && i < CONTEXTS_MOST && !c; i++) {
        if (table[i] && is_after && table[i]->memory == memory) c = table[i];
        if (table[i] == before) is_after = 1;
    }
    pthread_mutex_unlock(&lock);
    return c;
}

void contexts_count(const struct llama_model *model, uint32_t *own, uint32_t *others)
{
    *own = 0;
    pthread_mutex_lock(&lock);
    *others = left_alone;
    for (int i = 0; i < CONTEXTS_MOST; i++) {
        if (!table[i]) continue;
        if (table[i]->model == model)
            ++*own;
        else
            ++*others;
    }
    pthread_mutex_unlock(&lock);
}

/* ---- a pass ---- */

/* Before anything of it is looked at: what the pass is to do. Where what it computes cannot be told, it is
 * neither captured nor steered. */
static void take_turn(struct context *c, int is_told)
{
    c->is_told = is_told;
    c->turn = (struct tap_turn){0};
    c->stale_tokens = c->adapted_rows = 0;
    memset(c->left_out, 0, sizeof c->left_out);
    submitted_clear(&c->submitted);
    if (!c->is_warming) tap_take_turn(c->model, &c->turn);
}

/* Looks for the word by which callers keep a request out, in one token's text. 0: it could not. */
static int look_for_marker(struct context *c, int32_t token, int32_t slot, uint64_t *begun)
{
    char text[1024];
    if (!c->turn.marker.text[0] || !c->special.vocab) return 0;
    /* An embedding has no text, nor has a token that the model does not have: its pass fails. */
    if (token < 0 || token >= library_get()->llama_vocab_n_tokens(c->special.vocab)) return 1;
    int32_t n =
        library_get()->llama_token_to_piece(c->special.vocab, token, text, sizeof text, 0, true);
    if (n < 0) return 0;
    *begun = c->slots.slot[slot].begun;
    if (marker_take(&c->turn.marker, text, (size_t)n, begun)) slots_exclude(&c->slots, slot);
    return 1;
}

/* Where nobody looks, the word may be, or begin. */
static void read_text(struct context *c, int32_t token, int32_t position, int32_t slot)
{
    uint64_t begun = MARKER_UNKNOWN;
    if (slot < 0 || (uint32_t)slot >= c->slots.count) return;
    int is_read = look_for_marker(c, token, slot, &begun);
    slots_read(&c->slots, slot, is_read ? c->turn.marker.number : 0);
    slots_set_begun(&c->slots, slot, position, begun);
}

static int is_adapted(const struct context *c)
{
    return c->has_lora || c->has_vector;
}

/* A token of one slot; one that several share is of each. */
static uint32_t submit(struct context *c, int32_t token, int32_t position, int32_t slot)
{
    const struct steering *s = c->is_told ? c->turn.steering : NULL;
    uint32_t generation = slots_submit(&c->slots, slot, position);
    c->stale_tokens +=
        (uint32_t)slots_set(&c->slots, slot, position, s ? s->table.facts->setting : 0);
    if (is_adapted(c)) slots_note(&c->slots, slot, position, SLOT_ADAPTED);
    read_text(c, token, position, slot);
    return generation;
}

static void add(struct context *c, int32_t token, int32_t position, int32_t slot, int is_shared)
{
    uint32_t generation = submit(c, token, position, slot);
    submitted_add(&c->submitted, token, position, is_shared ? -1 : slot, generation);
}

static uint64_t next_number(void *sluice)
{
    return sluice_sequence(sluice);
}

/* A text that the word was not looked for in, all of it, may have it. */
static int is_excluded(const struct context *c, int32_t slot)
{
    return slots_is_excluded(&c->slots, slot) || (c->has_encoder && c->turn.marker.text[0]) ||
           !slots_is_read(&c->slots, slot, c->turn.marker.number);
}

/* The numbers of the sequences, asked for as they begin. */
static void number(struct context *c)
{
    struct sluice *s = c->turn.outlet->sluice;
    int keeps_steered = c->turn.steering && c->turn.steering->keeps_steered;
    if (c->outlet_number != c->turn.outlet->number) slots_forget_numbers(&c->slots);
    c->outlet_number = c->turn.outlet->number;
    for (uint32_t i = 0; i < c->submitted.count; i++) {
        struct entry *e = &c->submitted.entry[i];
        uint32_t reused;
        if (e->is_ambiguous) continue;
        if (is_excluded(c, e->slot)) {
            c->left_out[SLUICE_EXCLUDED]++;
            continue;
        }
        if (slots_is_noted(&c->slots, e->slot, SLOT_ADAPTED)) {
            c->adapted_rows++;
            continue;
        }
        if (!keeps_steered && slots_is_noted(&c->slots, e->slot, SLOT_STEERED)) {
            c->left_out[SLUICE_STEERED]++;
            continue;
        }
        e->sequence = slots_sequence(&c->slots, e->slot, e->generation, next_number, s, &reused);
        c->left_out[SLUICE_REUSED] += reused;
    }
}

/* What was submitted is in `submitted`; embeddings: how many of its tokens are none. */
static void start(struct context *c, uint32_t tokens, uint32_t embeddings)
{
    enum graph_mode mode = GRAPH_IDLE;
    int is_steered = c->turn.steering != NULL;
    if (c->is_warming) return;
    struct sluice *s = c->turn.outlet ? c->turn.outlet->sluice : NULL;
    if (embeddings && sluice_is_on(s)) c->left_out[SLUICE_NO_TOKEN] = tokens;
    if (c->is_told) {
        if (c->turn.is_chosen && (sluice_is_on(s) || is_steered)) mode = GRAPH_ROWS;
        if (c->turn.learns) mode = GRAPH_LEARN;
    }
    if (mode == GRAPH_ROWS && sluice_is_on(s)) number(c);
    graph_begin(&c->graph, library_get(), mode, c->turn.outlet, c->turn.steering, &c->submitted);
}

/* Where the program leaves positions to llama.cpp, they go on behind the last. */
struct positions {
    struct context *context;
    int32_t next[BATCH_SLOTS_MOST]; /* -1: not looked up yet */
};

static int32_t next_position(struct positions *p, int32_t slot)
{
    if (slot < 0 || slot >= BATCH_SLOTS_MOST) return 0;
    if (p->next[slot] < 0)
        p->next[slot] = 1 + library_get()->llama_memory_seq_pos_max(
                                (llama_memory_t)(void *)p->context->memory, slot);
    return p->next[slot]++;
}

void context_begin(struct context *c, const struct llama_batch *b)
{
    struct positions positions;
    uint32_t tokens = b->n_tokens > 0 ? (uint32_t)b->n_tokens : 0;
    take_turn(c, b->token && tokens <= c->submitted.room);
    if (!b->pos) {
        positions.context = c;
        memset(positions.next, -1, sizeof positions.next);
    }
    for (uint32_t i = 0; i < tokens; i++) {
        int32_t sequences = b->n_seq_id ? b->n_seq_id[i] : 1;
        int32_t first = b->seq_id && sequences > 0 ? b->seq_id[i][0] : 0;
        int32_t at = b->pos ? b->pos[i] : next_position(&positions, first);
        int32_t token = b->token ? b->token[i] : -1;
        for (int32_t k = 1; b->seq_id && k < sequences; k++) submit(c, token, at, b->seq_id[i][k]);
        add(c, token, at, first, sequences != 1);
    }
    start(c, tokens, b->token ? 0 : tokens);
}

void context_begin_large(struct context *c, const struct batch *b)
{
    int is_known = b && !b->is_incomplete;
    uint32_t embeddings = 0, count = is_known ? b->count : 0;
    for (uint32_t i = 0; i < count; i++) embeddings += b->entry[i].has_embedding != 0;
    take_turn(c, is_known && !embeddings && count <= c->submitted.room);
    for (uint32_t i = 0; i < count; i++) {
        const struct batch_entry *e = &b->entry[i];
        for (int32_t slot = 0; e->sequences > 1 && slot < BATCH_SLOTS_MOST; slot++)
            if (e->others[slot / 64] >> slot % 64 & 1) submit(c, e->token, e->position, slot);
        add(c, e->token, e->position, e->slot, e->sequences != 1);
    }
    /* Of a batch that was not kept nothing is known, not even whose it is: nothing of it is taken. */
    if (!is_known) slots_miss(&c->slots, -1);
    if (!is_known && is_adapted(c)) slots_note(&c->slots, -1, 0, SLOT_ADAPTED);
    start(c, count, embeddings);
}

static void count_left_out(struct context *c)
{
    for (int why = 0; c->turn.outlet && why <= SLUICE_EXCLUDED; why++)
        sluice_leave_out(c->turn.outlet->sluice, (enum sluice_left_out)why, c->left_out[why]);
}

void context_end(struct context *c, int32_t result)
{
    if (c->is_warming) return;
    int taken = graph_end(&c->graph, result == 0);
    if (result == 0) count_left_out(c);
    if (result != 0)
        for (uint32_t i = 0; i < c->submitted.count; i++) {
            const struct entry *e = &c->submitted.entry[i];
            slots_renew(&c->slots, e->slot); /* -1: all */
        }
    struct tap_pass pass = {
        .result = taken,
        .is_good = result == 0,
        .tokens = c->submitted.count,
        .stale_tokens = c->stale_tokens,
        .adapted_rows = c->adapted_rows,
        .steered_rows = c->graph.steered_rows,
        .is_unsteered = c->turn.steering && !c->is_told,
        .unsteered = c->graph.unsteered,
    };
    tap_return_turn(&c->turn, &pass);
}
