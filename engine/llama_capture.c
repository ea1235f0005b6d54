#include "engine/llama_capture.h"

#include "base/err.h"
#include "engine/llama_block.h"

#include <ggml-backend.h>
#include <ggml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void forget_taken(struct llama_capture *c)
{
    c->fired = c->proven = 0;
    memset(c->taken, 0, sizeof c->taken);
    memset(c->named, 0, sizeof c->named);
}

void llama_capture_begin(struct llama_capture *c, enum llama_capture_mode mode,
                         const int32_t *tokens, const int32_t *positions, uint32_t rows,
                         float *values)
{
    c->mode = mode;
    c->tokens = tokens;
    c->positions = positions;
    c->rows = rows;
    c->values = values;
    c->families = 0;
    c->asked.count = 0;
    c->has_parts = c->has_mid = 0;
    c->begin = c->end = 0;
    llama_lookup_forget(&c->lookup);
    c->begun = c->positions_seen = 0;
    c->result = ERR_OK;
    c->width = 0;
    forget_taken(c);
    for (uint32_t h = 0; h < c->hooks->count; h++) c->width += c->hooks->hook[h].width;
    memset(c->state, 0, sizeof c->state);
}

void llama_capture_free(struct llama_capture *c)
{
    free(c->scratch);
    c->scratch = NULL;
    c->scratch_bytes = 0;
    llama_asked_free(&c->asked);
}

static void fail(struct llama_capture *c, int code)
{
    if (c->result == ERR_OK) c->result = code;
}

static int find_hook(const struct llama_hooks *hooks, const char *node, uint32_t *hook)
{
    for (uint32_t h = 0; h < hooks->count; h++)
        if (hooks->hook[h].point == POINT_NODE && strcmp(hooks->hook[h].node, node) == 0) {
            *hook = h;
            return 1;
        }
    return 0;
}

/* ---- probe ---- */

/* Values per row, if the node is float32 with one row per token; 0 otherwise. */
static uint32_t width_of(const struct ggml_tensor *t, uint32_t rows)
{
    if (t->type != GGML_TYPE_F32 || !ggml_is_contiguous(t)) return 0;
    int64_t width = 0;
    if (t->ne[1] == rows && t->ne[2] == 1 && t->ne[3] == 1) width = t->ne[0];
    if (t->ne[1] != rows && t->ne[2] == rows && t->ne[3] == 1) width = t->ne[0] * t->ne[1];
    return width > 0 && width <= ROW_MAX_WIDTH ? (uint32_t)width : 0;
}

static void note_family(struct llama_capture *c, const struct ggml_tensor *t)
{
    char name[sizeof c->family[0].name];
    int32_t layer = llama_hooks_layer_of(t->name);
    size_t length = layer < 0 ? strlen(t->name) : (size_t)(strrchr(t->name, '-') - t->name);
    if (length == 0 || length >= sizeof name || strncmp(t->name, "node_", 5) == 0) return;
    memcpy(name, t->name, length);
    name[length] = '\0';
    int usable = width_of(t, c->rows) > 0;
    for (uint32_t i = 0; i < c->families; i++) {
        struct llama_node_family *f = &c->family[i];
        if (strcmp(f->name, name) != 0) continue;
        f->nodes++;
        f->usable |= usable;
        if (layer < f->low) f->low = layer;
        if (layer > f->high) f->high = layer;
        return;
    }
    if (c->families == CAPTURE_MAX_FAMILIES) return;
    struct llama_node_family *f = &c->family[c->families++];
    *f = (struct llama_node_family){.low = layer, .high = layer, .nodes = 1, .usable = usable};
    memcpy(f->name, name, length + 1);
}

/* ---- parts of a layer ---- */

static int ends_a_layer(const struct llama_capture *c, const struct ggml_tensor *t)
{
    for (uint32_t h = 0; h < c->hooks->count; h++)
        if (llama_hooks_end(c->hooks, h, t->name)) return 1;
    return 0;
}

static enum llama_hook_state state_of(const struct llama_capture *c, const struct ggml_tensor *t,
                                      uint32_t *width)
{
    *width = width_of(t, c->rows);
    if (*width > 0) return HOOK_FOUND;
    int64_t across = t->ne[0] * (t->ne[3] == 1 && t->ne[2] > 1 ? t->ne[1] : 1);
    int has_fewer = t->type == GGML_TYPE_F32 && ggml_nelements(t) < across * c->rows;
    return has_fewer ? HOOK_DROPPED : HOOK_UNFIT;
}

static void find_parts(struct llama_capture *c, const struct ggml_tensor *post)
{
    struct llama_block block;
    if (!c->has_parts && strncmp(post->name, "l_out-", 6) == 0) {
        llama_block_find(post, &block);
        c->has_parts = block.attn != NULL;
        c->has_mid = block.mid != NULL;
    }
    for (uint32_t h = 0; h < c->hooks->count; h++) {
        if (!llama_hooks_end(c->hooks, h, post->name)) continue;
        const struct ggml_tensor *part = llama_block_part(post, c->hooks->hook[h].point);
        c->state[h] = part ? state_of(c, part, &c->hooks->hook[h].width) : HOOK_NO_PART;
        if (!part) continue;
        snprintf(c->hooks->hook[h].node, sizeof c->hooks->hook[h].node, "%s", part->name);
        c->hooks->hook[h].turn = llama_asked_turn(&c->asked, part);
    }
}

static void probe(struct llama_capture *c, const struct ggml_tensor *t)
{
    uint32_t h;
    int result = llama_asked_note(&c->asked, t);
    if (result != ERR_OK) fail(c, result);
    note_family(c, t);
    find_parts(c, t);
    if (!find_hook(c->hooks, t->name, &h)) return;
    c->state[h] =
        c->state[h] == HOOK_MISSING ? state_of(c, t, &c->hooks->hook[h].width) : HOOK_TWICE;
}

int llama_capture_dropped(const struct llama_capture *c)
{
    for (uint32_t h = 0; h < c->hooks->count; h++)
        if (c->state[h] == HOOK_DROPPED) return 1;
    return 0;
}

/* Only what is there: resid_post by the layers whose l_out is. */
static void list_hooks(const struct llama_capture *c, char *list, size_t size)
{
    size_t used = 0;
    list[0] = '\0';
    for (uint32_t i = 0; i < c->families; i++) {
        const struct llama_node_family *f = &c->family[i];
        if (strcmp(f->name, "l_out") == 0 && f->usable)
            used = (size_t)snprintf(list, size, "resid_post.%d to resid_post.%d%s%s", f->low,
                                    f->high, c->has_parts ? ", resid_pre, attn_out, mlp_out" : "",
                                    c->has_mid ? ", resid_mid" : "");
    }
    for (uint32_t i = 0; i < c->families && used + 80 < size; i++) {
        const struct llama_node_family *f = &c->family[i];
        if (!f->usable || strcmp(f->name, "l_out") == 0 || strpbrk(f->name, " ()")) continue;
        if (f->nodes != (uint32_t)(f->high - f->low + 1)) continue; /* HOOK_TWICE, or none */
        used += (size_t)snprintf(list + used, size - used, "%s%s", used ? ", " : "", f->name);
        if (f->low >= 0)
            used += (size_t)snprintf(list + used, size - used, "-%d..%d", f->low, f->high);
    }
}

/* A hook whose node is not there: a layer too high, a layer of another kind, or no such name. */
static int missing(const struct llama_capture *c, uint32_t h, int32_t layers, const char *list)
{
    const char *name = c->hooks->hook[h].name;
    if (c->hooks->hook[h].layer >= layers)
        return err_set(ERR_USAGE, "hook %s: the model has layers 0 to %d; it has: %s", name,
                       layers - 1, list);
    if (c->hooks->hook[h].point == POINT_NODE)
        return err_set(ERR_USAGE, "hook %s: the model has no node %s; it has: %s", name,
                       c->hooks->hook[h].node, list);
    return err_set(ERR_USAGE,
                   "hook %s: layer %d of this model does not add attention and MLP to a residual "
                   "stream one by one (they run in parallel, or it has only one of them, or other "
                   "sums), so it has no such point; it has: %s",
                   name, c->hooks->hook[h].layer, list);
}

int llama_capture_check(const struct llama_capture *c, int32_t layers)
{
    char list[700];
    list_hooks(c, list, sizeof list);
    for (uint32_t h = 0; h < c->hooks->count; h++) {
        const char *name = c->hooks->hook[h].name, *node = c->hooks->hook[h].node;
        for (uint32_t other = 0; other < h && node[0]; other++)
            if (strcmp(node, c->hooks->hook[other].node) == 0 &&
                c->hooks->hook[h].turn == c->hooks->hook[other].turn)
                return err_set(ERR_USAGE, "hooks %s and %s are the same node of this model, %s",
                               c->hooks->hook[other].name, name, node);
        switch (c->state[h]) {
        case HOOK_FOUND:
        case HOOK_DROPPED:
            break;
        case HOOK_MISSING:
        case HOOK_NO_PART:
            return missing(c, h, layers, list);
        case HOOK_UNFIT:
            return err_set(ERR_USAGE,
                           "hook %s: %s does not hold one float32 row a token; these do: %s", name,
                           node, list);
        case HOOK_TWICE:
            return err_set(ERR_USAGE, "hook %s: several nodes are called %s; these are unique: %s",
                           name, node, list);
        }
    }
    return ERR_OK;
}

/* ---- rows ---- */

static char *scratch(struct llama_capture *c, size_t bytes)
{
    if (bytes > c->scratch_bytes) {
        free(c->scratch);
        c->scratch = malloc(bytes);
        c->scratch_bytes = c->scratch ? bytes : 0;
        if (!c->scratch) fail(c, err_set(ERR_NOMEM, "no memory for %zu bytes of a hook", bytes));
    }
    return c->scratch;
}

/* Compare an integer input of the graph with what was submitted for the rows of this ubatch. */
static void compare(struct llama_capture *c, const struct ggml_tensor *t, const int32_t *submitted,
                    const char *what)
{
    size_t bytes = (size_t)(c->end - c->begin) * sizeof(int32_t);
    int32_t *seen = (int32_t *)scratch(c, bytes);
    if (!seen) return;
    ggml_backend_tensor_get(t, seen, 0, bytes);
    if (memcmp(seen, submitted + c->begin, bytes) != 0)
        fail(c, err_set(ERR_MISMATCH,
                        "the %s that the graph computes are not those submitted (rows %u to %u of "
                        "%u); nothing of this batch is used",
                        what, c->begin, c->end, c->rows));
}

/* A ubatch's first node is asked for: the one before must have given all. */
static void await_ubatch(struct llama_capture *c)
{
    if (c->begun && c->proven != c->hooks->count)
        fail(c, err_set(ERR_INTERNAL, "a pass ended after %u of %u hooks", c->proven,
                        c->hooks->count));
    forget_taken(c);
}

static void begin_ubatch(struct llama_capture *c, const struct ggml_tensor *tokens)
{
    int64_t n = ggml_nelements(tokens);
    if (n > c->rows - c->end) {
        fail(c, err_set(ERR_MISMATCH, "the graph computes more tokens than the %u submitted",
                        c->rows));
        return;
    }
    c->begin = c->end;
    c->end += (uint32_t)n;
    c->begun = 1;
    c->positions_seen = 0;
    compare(c, tokens, c->tokens, "tokens");
}

static void take_hook(struct llama_capture *c, const struct ggml_tensor *t, uint32_t h)
{
    uint32_t width = c->hooks->hook[h].width, rows = c->end - c->begin;
    if (!c->begun || ggml_nelements(t) != (int64_t)width * rows || t->type != GGML_TYPE_F32 ||
        !ggml_is_contiguous(t)) {
        fail(c, err_set(ERR_MISMATCH, "hook %s gave %lld values for %u rows of %u",
                        c->hooks->hook[h].name, (long long)ggml_nelements(t), rows, width));
        return;
    }
    c->fired++;
    c->proven += c->hooks->hook[h].point == POINT_NODE;
    size_t row_bytes = (size_t)width * sizeof(float), offset = 0;
    for (uint32_t i = 0; i < h; i++) offset += c->hooks->hook[i].width;
    float *to = c->values + (size_t)c->begin * c->width + offset;
    if (width == c->width) {
        ggml_backend_tensor_get(t, to, 0, row_bytes * rows);
        return;
    }
    const char *from = scratch(c, row_bytes * rows);
    if (!from) return;
    ggml_backend_tensor_get(t, c->scratch, 0, row_bytes * rows);
    for (uint32_t r = 0; r < rows; r++)
        memcpy(to + (size_t)r * c->width, from + (size_t)r * row_bytes, row_bytes);
}

/* Whether the node is a part that a hook is: by its name and turn. Counted once, when it is
 * asked. */
static int ask_part(struct llama_capture *c, const struct ggml_tensor *t)
{
    int wanted = 0;
    for (uint32_t h = 0; h < c->hooks->count; h++) {
        if (c->hooks->hook[h].point == POINT_NODE || strcmp(c->hooks->hook[h].node, t->name) != 0)
            continue;
        if (c->named[h]++ != c->hooks->hook[h].turn) continue;
        c->taken[h] = t;
        wanted = 1;
    }
    return wanted;
}

static void take_parts(struct llama_capture *c, const struct ggml_tensor *t)
{
    for (uint32_t h = 0; h < c->hooks->count; h++)
        if (c->taken[h] == t) take_hook(c, t, h);
}

/* What was copied for a part of this layer must be that part. */
static void prove_parts(struct llama_capture *c, const struct ggml_tensor *post)
{
    for (uint32_t h = 0; h < c->hooks->count; h++) {
        if (!llama_hooks_end(c->hooks, h, post->name)) continue;
        if (!c->taken[h] || c->taken[h] != llama_block_part(post, c->hooks->hook[h].point))
            fail(c, err_set(ERR_MISMATCH,
                            "hook %s: %s is another node of the graph than when the model was "
                            "opened; nothing of this batch is used",
                            c->hooks->hook[h].name, c->hooks->hook[h].node));
        c->proven++;
    }
}

/* Models with several positions a token (for pictures) have a longer input, left unchecked. */
static int is_positions(const struct llama_capture *c, const struct ggml_tensor *t)
{
    return t->op == GGML_OP_ROPE && t->src[1] && t->src[1]->type == GGML_TYPE_I32 && c->begun &&
           !c->positions_seen && ggml_nelements(t->src[1]) == c->end - c->begin;
}

bool llama_capture_eval(struct ggml_tensor *t, bool ask, void *arg)
{
    struct llama_capture *c = arg;
    if (c->mode == CAPTURE_PROBE) {
        if (ask) probe(c, t);
        return !ask; /* none is wanted; go on */
    }
    uint32_t h = 0;
    int tokens = llama_lookup_begins(&c->lookup, t), positions = is_positions(c, t);
    int hook = find_hook(c->hooks, t->name, &h), ends_layer = ends_a_layer(c, t);
    if (ask && tokens) await_ubatch(c);
    if (ask) return ask_part(c, t) || tokens || positions || hook || ends_layer;
    if (tokens) begin_ubatch(c, t->src[1]);
    if (positions) {
        c->positions_seen = 1;
        compare(c, t->src[1], c->positions, "positions");
    }
    if (hook) take_hook(c, t, h);
    take_parts(c, t);
    if (ends_layer) prove_parts(c, t);
    /* Stops the graph after the last hook: what lies above is not computed. */
    return c->result == ERR_OK && c->proven < c->hooks->count;
}

int llama_capture_end(struct llama_capture *c)
{
    if (c->result != ERR_OK) return c->result;
    if (c->end != c->rows || c->proven != c->hooks->count)
        return err_set(ERR_MISMATCH,
                       "the graph gave %u of %u rows and %u of %u hooks; nothing of this batch is "
                       "used",
                       c->end, c->rows, c->proven, c->hooks->count);
    return ERR_OK;
}
