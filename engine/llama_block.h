/*
 * What a layer adds to the residual stream, read off the graph itself.
 *
 * Architectures name their nodes in many ways, and some not at all. But a layer ends in a sum, and
 * what is summed tells the parts apart:
 *
 *     one after the other   mid = pre + attn,   post = mid + mlp     (mlp is computed from mid)
 *     in parallel           post = pre + attn + mlp                  (both are computed from pre)
 *
 * where pre is what the layer before left, and post is the node l_out-N.
 */
#ifndef SLUICE_ENGINE_LLAMA_BLOCK_H
#define SLUICE_ENGINE_LLAMA_BLOCK_H

#include "engine/llama_hooks.h"

struct ggml_tensor;

/* NULL where the layer has no such part. Nodes of the graph that `post` belongs to. */
struct llama_block {
    const struct ggml_tensor *pre, *mid, *attn, *mlp;
};

/* Take a layer apart that ends in the node `post`; all NULL where it does not end in such a sum. */
void llama_block_find(const struct ggml_tensor *post, struct llama_block *block);

/* The node that a hook is in the layer that ends in `post`; NULL: the layer has no such part, or the
 * point is found by its name (POINT_NODE). */
const struct ggml_tensor *llama_block_part(const struct ggml_tensor *post,
                                           enum llama_hook_point point);

/* What a norm or a factor between a module and the sum was applied to: the module's own output. */
const struct ggml_tensor *llama_block_module(const struct ggml_tensor *added);

#endif
