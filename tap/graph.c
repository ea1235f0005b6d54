#include "tap/graph.h"

#include "base/err.h"
#include "engine/llama_block.h"
#include "tap/learn.h"
#include "tap/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int graph_make(struct graph *g, uint32_t room, const struct special *special)
{
    g->room = room;
    g->special = special;
    g->rows = malloc(room * sizeof *g->rows);
    g->place = malloc(room * sizeof *g->place);
    g->tokens = malloc(room * sizeof *g->tokens);
    g->positions = malloc(room * sizeof *g->positions);
    g->owner = malloc(room * sizeof *g->owner);
    g->captured = malloc(room * sizeof *g->captured);
    if (g->rows && g->place && g->tokens && g->positions && g->owner && g->captured) return ERR_OK;
    graph_free(g);
    return err_set(ERR_NOMEM, "no memory for passes of %u tokens", room);
}

void graph_free(struct graph *g)
{
    free(g->rows);
    free(g->place);
    free(g->tokens);
    free(g->positions);
    free(g->owner);
    free(g->captured);
    llama_asked_free(&g->asked);
    free(g->scratch);
    *g = (struct graph){0};
}

static void forget_ubatch(struct graph *g)
{
    g->n = g->fired = 0;
    g->has_positions = g->is_matched = 0;
    if (!g->outlet) return;
    memset(g->named, 0, g->outlet->hooks.count * sizeof *g->named);
    memset(g->part, 0, g->outlet->hooks.count * sizeof *g->part);
}

void graph_begin(struct graph *g, const struct library *library, enum graph_mode mode,
                 struct outlet *outlet, const struct steering *steering,
                 struct submitted *submitted)
{
    g->library = library;
    g->mode = mode;
    g->outlet = outlet;
    g->submitted = submitted;
    g->steering = steering;
    g->result = ERR_OK;
    g->is_stopped = g->is_short = 0;
    g->rows_count = g->places_count = 0;
    g->steered_rows = 0;
    g->steered_ubatches = g->ubatches = 0;
    g->unsteered[0] = '\0';
    llama_lookup_forget(&g->lookup);
    g->asked.count = 0;
    g->learned_n = 0;
    g->learned_positions = 0;
    forget_ubatch(g);
}

/* The outlet that takes rows of this pass; NULL: none does. */
static struct outlet *taking(const struct graph *g)
{
    return g->mode == GRAPH_ROWS ? g->outlet : NULL;
}

static void fail(struct graph *g, int code)
{
    if (g->result != ERR_OK) return;
    g->result = code;
    snprintf(g->why, sizeof g->why, "%s", err_text());
}

/* Capture may have failed, and steering goes on, and the other way round. */
static void leave_unsteered(struct graph *g)
{
    if (!g->unsteered[0]) snprintf(g->unsteered, sizeof g->unsteered, "%s", err_text());
}

/* ---- whose the rows are ---- */

/* A ubatch's rows must all have come before the next one begins. */
static void finish_ubatch(struct graph *g)
{
    int is_short = g->n && taking(g) && g->fired != g->outlet->hooks.count;
    g->is_short |= is_short;
    if (is_short && !g->is_stopped)
        fail(g, err_set(ERR_USAGE,
                        "%u of %u hooks were in the model's graph; HINT: `sluice tap "
                        "list` shows them, resid_post.N are those that all models have",
                        g->fired, g->outlet->hooks.count));
    forget_ubatch(g);
}

static void begin_ubatch(struct graph *g, const struct ggml_tensor *tokens)
{
    int64_t n = tensor_count(tokens);
    /* A model may look its tokens up twice before the first layer, in the same table. */
    if (g->has_positions) finish_ubatch(g);
    if (!g->n) g->ubatches++;
    if (n > g->room) {
        fail(g, err_set(ERR_MISMATCH, "the graph computes more tokens than were submitted"));
        leave_unsteered(g);
        return;
    }
    g->n = (uint32_t)n;
    tensor_read(g->library, tokens, g->tokens, (size_t)n * sizeof *g->tokens);
}

/* Models for pictures have several positions a token: for text they are all the same. */
static void take_positions(struct graph *g, const struct ggml_tensor *positions)
{
    tensor_read(g->library, positions, g->positions, (size_t)g->n * sizeof *g->positions);
    g->has_positions = 1;
}

static void add_row(struct graph *g, const struct entry *e)
{
    uint32_t flags = e->position == 0 ? SLUICE_FIRST : 0;
    if (special_is(g->special, g->library, e->token)) flags |= SLUICE_SPECIAL;
    g->rows[g->rows_count++] = (struct sluice_row){.sequence = e->sequence,
                                                   .position = (uint32_t)e->position,
                                                   .token = (uint32_t)e->token,
                                                   .flags = flags};
}

/* Places in the ring for the rows that are somebody's. */
static void take_places(struct graph *g)
{
    uint32_t wanted = 0;
    if (g->places_count == g->room) {
        fail(g, err_set(ERR_MISMATCH, "the graph computes more ubatches than tokens"));
        return;
    }
    struct sluice_place *place = &g->place[g->places_count++];
    for (uint32_t r = 0; r < g->n; r++)
        if (g->owner[r] != UBATCH_NOBODY && g->submitted->entry[g->owner[r]].sequence)
            g->captured[wanted++] = r;
    sluice_reserve(g->outlet->sluice, wanted, place);
    for (uint32_t i = 0; i < place->rows; i++)
        add_row(g, &g->submitted->entry[g->owner[g->captured[i]]]);
}

/* With a ubatch's first hook: whose its rows are, and where they go. */
static void match(struct graph *g)
{
    if (g->is_matched) return;
    g->is_matched = 1;
    if (!g->has_positions) {
        fail(g, err_set(ERR_USAGE, "a hook lies before the node that tells the tokens' positions; "
                                   "HINT: use resid_post.0 or above"));
        return;
    }
    if (ubatch_match(g->submitted, g->n, g->tokens, g->positions, g->owner) != ERR_OK) {
        fail(g, ERR_MISMATCH);
        return;
    }
    if (taking(g)) take_places(g);
}

/* ---- values ---- */

/* The node's values (n, width) as they lie, or in scratch. ERR_USAGE: not float32 rows of this ubatch;
 * ERR_NOMEM. */
static int values_of(struct graph *g, struct ggml_tensor *t, uint32_t width, float **values)
{
    size_t bytes = (size_t)width * g->n * sizeof(float);
    if (!tensor_is_rows(t, g->n, width))
        return err_set(ERR_USAGE, "%s does not hold one float32 row of %u values for each token",
                       t->name, width);
    *values = t->data;
    if (tensor_is_here(g->library, t)) return ERR_OK;
    if (bytes > g->scratch_bytes) {
        free(g->scratch);
        g->scratch = malloc(bytes);
        g->scratch_bytes = g->scratch ? bytes : 0;
    }
    *values = g->scratch;
    if (!g->scratch) return err_set(ERR_NOMEM, "no memory for %zu bytes of a hook", bytes);
    g->library->ggml_backend_tensor_get(t, g->scratch, 0, bytes);
    return ERR_OK;
}

static void take_hook(struct graph *g, struct ggml_tensor *t, uint32_t h)
{
    uint32_t width = g->outlet->hooks.hook[h].width;
    const struct sluice_place *place = &g->place[g->places_count - 1];
    float *values;
    int result = values_of(g, t, width, &values);
    if (result != ERR_OK) {
        fail(g, result);
        return;
    }
    for (uint32_t i = 0; i < place->rows; i++)
        sluice_write(g->outlet->sluice, place, i, h, values + (size_t)g->captured[i] * width);
}

static void steer(struct graph *g, struct ggml_tensor *t)
{
    uint32_t width = g->steering->table.facts->width;
    float *values;
    if (!g->n) return;
    int result = g->has_positions
                     ? values_of(g, t, width, &values)
                     : err_set(ERR_USAGE,
                               "%s lies before the node that tells the tokens' positions", t->name);
    if (result != ERR_OK) {
        leave_unsteered(g);
        return;
    }
    uint32_t changed =
        steering_change(g->steering, g->library, g->special, g->n, values, g->tokens, g->positions);
    g->steered_ubatches++;
    g->steered_rows += changed;
    if (changed && values != t->data)
        g->library->ggml_backend_tensor_set(t, values, 0, (size_t)width * g->n * sizeof *values);
}

/* ---- nodes ---- */

/* A hook by its node's name; parts of a layer also by which node of that name it is. Asked once for
 * each node. */
static int ask_hooks(struct graph *g, const struct ggml_tensor *t)
{
    int wanted = 0;
    for (uint32_t h = 0; h < g->outlet->hooks.count; h++) {
        if (strcmp(g->outlet->hooks.hook[h].node, t->name) != 0) continue;
        if (g->named[h]++ != g->outlet->hooks.hook[h].turn) continue;
        g->part[h] = t;
        g->fired++;
        wanted = 1;
    }
    return wanted;
}

static int is_steered(const struct graph *g, const struct ggml_tensor *t)
{
    return g->steering && strcmp(g->steering->table.facts->node, t->name) == 0;
}

/* What was taken for a part of this layer must be that part. */
static void prove_parts(struct graph *g, const struct ggml_tensor *post)
{
    for (uint32_t h = 0; h < g->outlet->hooks.count; h++)
        if (llama_hooks_end(&g->outlet->hooks, h, post->name) &&
            g->part[h] != llama_block_part(post, g->outlet->hooks.hook[h].point))
            fail(g, err_set(ERR_MISMATCH, "hook %s: %s is another node than it was",
                            g->outlet->hooks.hook[h].name, g->outlet->hooks.hook[h].node));
}

/* Whether rows of this node are captured. */
static int ask_capture(struct graph *g, const struct ggml_tensor *t)
{
    if (!taking(g) || g->result != ERR_OK) return 0;
    int hook = ask_hooks(g, t);
    if (strncmp(t->name, "l_out-", 6) == 0) prove_parts(g, t);
    if (hook) match(g);
    return hook && g->result == ERR_OK && g->place[g->places_count - 1].rows > 0;
}

static int ask(struct graph *g, const struct ggml_tensor *t)
{
    if (llama_lookup_begins(&g->lookup, t)) begin_ubatch(g, t->src[1]);
    if (!g->n) return 0;
    if (!g->has_positions && tensor_is_positions(t, g->n)) take_positions(g, t->src[1]);
    int is_captured = ask_capture(g, t);
    return is_captured || is_steered(g, t);
}

static void take(struct graph *g, struct ggml_tensor *t)
{
    for (uint32_t h = 0; taking(g) && g->is_matched && h < g->outlet->hooks.count; h++)
        if (g->result == ERR_OK && g->part[h] == t) take_hook(g, t, h);
    if (is_steered(g, t)) steer(g, t);
}

/* A pass that learns alone needs nobody's tokens. */
static int has_rows_to_tell(const struct graph *g)
{
    return g->mode == GRAPH_ROWS || (g->mode == GRAPH_LEARN && g->steering);
}

bool graph_eval(struct ggml_tensor *t, bool asks, void *arg)
{
    struct graph *g = arg;
    if (asks) {
        g->other_wants = g->other && g->other(t, true, g->other_arg);
        int wanted = 0;
        if (has_rows_to_tell(g)) wanted = ask(g, t);
        if (g->mode == GRAPH_LEARN && learn_ask(g, t) != ERR_OK) fail(g, ERR_NOMEM);
        return g->other_wants || wanted;
    }
    bool goes_on = !g->other_wants || g->other(t, false, g->other_arg);
    if (has_rows_to_tell(g)) take(g, t);
    if (!goes_on) g->is_stopped = 1;
    return goes_on;
}

/* ---- the end ---- */

static void publish(struct graph *g, int is_good)
{
    const struct sluice_row *row = g->rows;
    for (uint32_t i = 0; i < g->places_count; i++) {
        if (is_good)
            sluice_publish(g->outlet->sluice, &g->place[i], row);
        else
            sluice_abandon(g->outlet->sluice, &g->place[i]);
        row += g->place[i].rows;
    }
}

/* Why not all of it was steered; a program that stops a pass wants no more of it. */
static void finish_steering(struct graph *g)
{
    if (!g->steering || g->is_stopped || g->steered_ubatches == g->ubatches)
        g->unsteered[0] = '\0';
    else if (!g->unsteered[0])
        snprintf(g->unsteered, sizeof g->unsteered, "the model's graph has no node %s to steer at",
                 g->steering->table.facts->node);
}

int graph_end(struct graph *g, int is_good)
{
    finish_steering(g);
    if (g->mode == GRAPH_LEARN && !is_good) outlet_unlearn(g->outlet);
    if (g->mode == GRAPH_LEARN && is_good && learn_end(g) != ERR_OK) fail(g, ERR_USAGE);
    if (g->mode == GRAPH_ROWS) {
        if (is_good) finish_ubatch(g);
        is_good = is_good && g->result == ERR_OK && !g->is_short;
        publish(g, is_good);
        if (is_good && g->outlet && sluice_is_on(g->outlet->sluice))
            sluice_leave_out(g->outlet->sluice, SLUICE_AMBIGUOUS, g->submitted->ambiguous);
    }
    g->mode = GRAPH_IDLE;
    return g->result == ERR_OK ? ERR_OK : err_set(g->result, "%s", g->why);
}
