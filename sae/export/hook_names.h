/*
 * Names of hooks in the words of those who load exports. A stream's hook keeps the name that its
 * user gave it: resid_post.15, TransformerLens's (blocks.15.hook_resid_post), Hugging Face's
 * (model.layers.15) or llama.cpp's node (l_out-15).
 */
#ifndef SLUICE_SAE_EXPORT_HOOK_NAMES_H
#define SLUICE_SAE_EXPORT_HOOK_NAMES_H

#include <stddef.h>

enum { HOOK_NAME_BYTES = 128 };

/* TransformerLens's name into out[HOOK_NAME_BYTES] of resid_pre, resid_mid, resid_post, mlp_out and
 * attn_out of a layer, however written. 0: it is none of those, and `out` is as it was. */
int hook_name_of_transformer_lens(const char *name, char *out);

/* The layer that a hook is of, and its name within the layer as circuit-tracer has it: out
 * [HOOK_NAME_BYTES] is what TransformerLens has behind blocks.N., or mlp.hook_in and mlp.hook_out of
 * llama.cpp's ffn_norm-N and ffn_out-N. NULL is none. 0: it is none of those. */
int hook_name_in_layer(const char *name, unsigned *layer, char *out);

/* Whether the name is a residual stream behind a layer, which is the module layers.N's output. */
int hook_name_is_layer(const char *name, unsigned *layer);

#endif
