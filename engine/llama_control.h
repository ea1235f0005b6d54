/*
 * Control vectors, as llama.cpp's programs read them (--control-vector FILE): a GGUF file with a tensor
 * direction.N of F32 for each layer N from 1 on, which is added to the residual stream behind layer N,
 * that is at resid_post.N, of every token, the first one too. Layer 0 has none: its direction would be
 * number 0, and llama.cpp refuses that.
 */
#ifndef SLUICE_ENGINE_LLAMA_CONTROL_H
#define SLUICE_ENGINE_LLAMA_CONTROL_H

#include "engine/llama_hooks.h"

#include <stddef.h>

struct llama_runner;

struct llama_control { /* what is added behind a layer */
    int32_t layer;
    const float *direction; /* (width) */
};

/* The layer at whose end the hook lies, so that a control vector reaches it. ERR_USAGE: it lies
 * elsewhere, or at layer 0's end. */
int llama_control_layer(const struct llama_hooks *hooks, uint32_t hook, int32_t *layer);

/* The file's bytes, malloc'ed, for this model. ERR_NOMEM, ERR_IO. */
int llama_control_make(const struct llama_runner *runner, const struct llama_control *control,
                       uint32_t count, uint32_t width, char **data, size_t *bytes);

#endif
