/*
 * Names of hooks, and what llama.cpp calls them.
 *
 *   resid_post.N   the residual stream after layer N: the node l_out-N
 *   resid_pre.N    the same before layer N
 *   resid_mid.N    between attention and MLP, where the layer has such a point
 *   attn_out.N     what attention adds to the residual stream, after norms and factors of the sum
 *   mlp_out.N      what the MLP adds
 *   anything else  a node of the graph by its own name: ffn_out-7, attn_norm-0, ...
 *
 * The first five also go by TransformerLens's names (blocks.N.hook_resid_post, ..., hook_attn_out,
 * hook_mlp_out) and by those of modules in Hugging Face's models: model.layers.N,
 * transformer.h.N, gpt_neox.layers.N, layers.N, ... is resid_post.N, and with .mlp, .self_attn,
 * .attn or .attention behind it what that module returns (before a norm that stands between the
 * module and the sum, where attn_out and mlp_out are after it).
 */
#ifndef SLUICE_ENGINE_LLAMA_HOOKS_H
#define SLUICE_ENGINE_LLAMA_HOOKS_H

#include "engine/engine.h"

#include <stdint.h>

enum llama_hook_point {
    POINT_NODE, /* found by the node's name, resid_post among them */
    /* found by how the layer is built (llama_block.h) */
    POINT_RESID_PRE, /* of layer 0; of the others it is l_out of the layer before */
    POINT_RESID_MID,
    POINT_ATTN_OUT,
    POINT_MLP_OUT,
    POINT_ATTN_MODULE,
    POINT_MLP_MODULE,
};

struct llama_hooks {
    uint32_t count;
    struct {
        char name[64]; /* as the user wrote it */
        enum llama_hook_point point;
        char node[64];  /* llama.cpp's; "" until a probe found it, but for POINT_NODE */
        uint32_t turn;  /* of the nodes of that name in a pass, from 0; 0 for POINT_NODE */
        int32_t layer;  /* -1: in none */
        uint32_t width; /* values per row; 0 until a probe found it (llama_runner.h) */
    } hook[ROW_MAX_HOOKS];
};

/* Read the names. ERR_USAGE: none, an empty or too long one, one without a layer, two that name the
 * same point. */
int llama_hooks_parse(const char *const *names, uint32_t count, struct llama_hooks *hooks);

/* The highest layer that a hook lies in; -1 where one lies in none, so that all are needed. */
int32_t llama_hooks_top_layer(const struct llama_hooks *hooks);

/* The number behind a node's last '-', -1 if there is none. */
int32_t llama_hooks_layer_of(const char *node);

/* Whether hook h is a part of the layer that ends in a node of that name. */
int llama_hooks_end(const struct llama_hooks *hooks, uint32_t h, const char *node);

/* A fingerprint of the points in their order, whatever their names. */
uint64_t llama_hooks_fingerprint(const struct llama_hooks *hooks);

#endif
