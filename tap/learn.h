/*
 * Hooks whose node or width only a graph can tell: parts of a layer, and nodes by llama.cpp's names. The
 * first pass of the program is looked at, node by node, and none of its rows is taken.
 */
#ifndef SLUICE_TAP_LEARN_H
#define SLUICE_TAP_LEARN_H

struct ggml_tensor;
struct graph;

/* A node of the pass. ERR_NOMEM. */
int learn_ask(struct graph *graph, const struct ggml_tensor *node);
/* The pass is over. ERR_USAGE: a hook was not found, or has no rows. ERR_NOMEM. */
int learn_end(struct graph *graph);

#endif
