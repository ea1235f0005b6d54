#include "engine/llama_block.h"

#include <ggml.h>
#include <stddef.h>
#include <string.h>

enum { VISITED_MOST = 2048, PARTS_MOST = 4 };

/* In the last layer rows that are no outputs are dropped before the sums. */
static const struct ggml_tensor *through(const struct ggml_tensor *t)
{
    while (t && t->op == GGML_OP_GET_ROWS && t->src[0]->op != GGML_OP_NONE) t = t->src[0];
    return t;
}

static int is_post(const struct ggml_tensor *t)
{
    return strncmp(t->name, "l_out-", 6) == 0;
}

struct walk {
    const struct ggml_tensor *seen[VISITED_MOST];
    size_t count;
};

static int is_attention(const struct ggml_tensor *t)
{
    return t->op == GGML_OP_FLASH_ATTN_EXT || (t->op == GGML_OP_SOFT_MAX && t->src[1]);
}

/* Whether `wanted` is among the nodes that `t` is computed from (NULL: whether attention is),
 * looking no further back than where the layer begins. */
static int comes_from(struct walk *w, const struct ggml_tensor *t, const struct ggml_tensor *wanted)
{
    if (!t || w->count == VISITED_MOST) return 0;
    if (wanted ? t == wanted : is_attention(t)) return 1;
    if (is_post(t)) return 0;
    for (size_t i = 0; i < w->count; i++)
        if (w->seen[i] == t) return 0;
    w->seen[w->count++] = t;
    for (int i = 0; i < GGML_MAX_SRC; i++)
        if (t->src[i] && comes_from(w, t->src[i], wanted)) return 1;
    return t->view_src && comes_from(w, t->view_src, wanted);
}

static int is_made_of(const struct ggml_tensor *t, const struct ggml_tensor *wanted)
{
    struct walk w = {.count = 0};
    return t != wanted && comes_from(&w, t, wanted);
}

/* A sum of two results of one shape: no bias. */
static int is_sum(const struct ggml_tensor *t)
{
    return t->op == GGML_OP_ADD && ggml_are_same_shape(t->src[0], t->src[1]) &&
           t->src[0]->op != GGML_OP_NONE && t->src[1]->op != GGML_OP_NONE;
}

/* Of a sum, the part that the other one is made of, and that other one. */
static int split(const struct ggml_tensor *sum, const struct ggml_tensor **base,
                 const struct ggml_tensor **added)
{
    const struct ggml_tensor *a = through(sum->src[0]), *b = through(sum->src[1]);
    int a_of_b = is_made_of(a, b), b_of_a = is_made_of(b, a);
    if (a_of_b == b_of_a) return 0;
    *base = a_of_b ? b : a;
    *added = a_of_b ? a : b;
    return 1;
}

static void add_parts(const struct ggml_tensor *t, const struct ggml_tensor **parts, size_t *count)
{
    t = through(t);
    if (is_sum(t) && !is_post(t)) {
        add_parts(t->src[0], parts, count);
        add_parts(t->src[1], parts, count);
    } else if (*count < PARTS_MOST) {
        parts[(*count)++] = t;
    }
}

/* post = pre + attn + mlp, in whatever order. */
static void find_parallel(const struct ggml_tensor *post, struct llama_block *b)
{
    const struct ggml_tensor *parts[PARTS_MOST];
    size_t count = 0;
    add_parts(post->src[0], parts, &count);
    add_parts(post->src[1], parts, &count);
    if (count != 3) return;
    for (int i = 0; i < 3; i++) {
        const struct ggml_tensor *x = parts[(i + 1) % 3], *y = parts[(i + 2) % 3];
        if (!is_made_of(x, parts[i]) || !is_made_of(y, parts[i])) continue;
        struct walk wx = {.count = 0}, wy = {.count = 0};
        int x_attends = comes_from(&wx, x, NULL), y_attends = comes_from(&wy, y, NULL);
        if (x_attends == y_attends) return;
        *b = (struct llama_block){parts[i], NULL, x_attends ? x : y, x_attends ? y : x};
        return;
    }
}

void llama_block_find(const struct ggml_tensor *post, struct llama_block *block)
{
    const struct ggml_tensor *mid, *mlp, *pre, *attn;
    *block = (struct llama_block){NULL, NULL, NULL, NULL};
    if (!is_sum(post)) return;
    if (split(post, &mid, &mlp) && is_sum(mid) && !is_post(mid) && split(mid, &pre, &attn)) {
        *block = (struct llama_block){pre, mid, attn, mlp};
        return;
    }
    find_parallel(post, block);
}

const struct ggml_tensor *llama_block_module(const struct ggml_tensor *added)
{
    for (;;) {
        const struct ggml_tensor *from = NULL;
        if (added->op == GGML_OP_SCALE) from = added->src[0];
        if (added->op == GGML_OP_MUL && added->src[1]->op == GGML_OP_NONE &&
            (added->src[0]->op == GGML_OP_RMS_NORM || added->src[0]->op == GGML_OP_NORM))
            from = added->src[0]->src[0];
        if (!from) return added;
        added = from;
    }
}

const struct ggml_tensor *llama_block_part(const struct ggml_tensor *post,
                                           enum llama_hook_point point)
{
    struct llama_block block;
    llama_block_find(post, &block);
    switch (point) {
    case POINT_NODE:
        break;
    case POINT_RESID_PRE:
        return block.pre;
    case POINT_RESID_MID:
        return block.mid;
    case POINT_ATTN_OUT:
        return block.attn;
    case POINT_MLP_OUT:
        return block.mlp;
    case POINT_ATTN_MODULE:
        return block.attn ? llama_block_module(block.attn) : NULL;
    case POINT_MLP_MODULE:
        return block.mlp ? llama_block_module(block.mlp) : NULL;
    }
    return NULL;
}
