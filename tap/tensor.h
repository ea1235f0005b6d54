/* Tensors of the host's graph, looked at without calling its ggml where that can be. */
#ifndef SLUICE_TAP_TENSOR_H
#define SLUICE_TAP_TENSOR_H

#include "tap/library.h"

#include <stddef.h>
#include <stdint.h>

int64_t tensor_count(const struct ggml_tensor *tensor);

/* Whether it holds n rows of `width` float32 side by side. */
int tensor_is_rows(const struct ggml_tensor *tensor, uint32_t n, uint32_t width);
/* Values in each of its n rows; 0: it has no such rows. */
uint32_t tensor_width(const struct ggml_tensor *tensor, uint32_t n);

/* Whether it is the graph's input of that name, or a back end's copy of it. NULL is none. */
int tensor_is_input(const struct ggml_tensor *tensor, const char *name);
/* Whether the node's second operand is the positions of n tokens. */
int tensor_is_positions(const struct ggml_tensor *node, uint32_t n);

/* Whether its values lie in memory of the host. */
int tensor_is_here(const struct library *library, const struct ggml_tensor *tensor);
/* Copy its first bytes. */
void tensor_read(const struct library *library, const struct ggml_tensor *tensor, void *to,
                 size_t bytes);

#endif
