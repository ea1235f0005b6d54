/*
 * Names of hooks, and what llama.cpp calls them.
 *
 *   resid_post.N   the residual stream after layer N: the node l_out-N
 *   anything else  a node of the graph by its own name: ffn_out-7, attn_norm-0, ...
 */
#ifndef SLUICE_ENGINE_LLAMA_HOOKS_H
#define SLUICE_ENGINE_LLAMA_HOOKS_H

#include "engine/engine.h"

#include <stdint.h>

struct llama_hooks {
    uint32_t count;
    struct {
        char name[64];  /* as the user wrote it */
        char node[64];  /* llama.cpp's */
        int32_t layer;  /* -1: in none */
        uint32_t width; /* values a row; 0 until a probe found it (llama_runner.h) */
    } hook[ENGINE_MAX_HOOKS];
};

/* Read the names. ERR_USAGE: none, an empty or too long one, resid_post without a number, two that
 * name the same node. */
int llama_hooks_parse(const char *const *names, uint32_t count, struct llama_hooks *hooks);

/* The highest layer that a hook lies in; -1 where one lies in none, so that all are needed. */
int32_t llama_hooks_top_layer(const struct llama_hooks *hooks);

/* The number behind a node's last '-', -1 if there is none. */
int32_t llama_hooks_layer_of(const char *node);

#endif
