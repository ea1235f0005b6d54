/*
 * The libllama of the host: what the tap calls of it. The tap links none; it finds the one that the
 * host has, whoever loaded it, and makes sure that it is laid out as the headers say that this build
 * was made with.
 */
#ifndef SLUICE_TAP_LIBRARY_H
#define SLUICE_TAP_LIBRARY_H

#include "tap/names.h"

#include <llama.h>

/* Functions that the tap calls and does not stand in front of. */
#define LIBRARY_NAMES(X)                                                                           \
    X(llama_version)                                                                               \
    X(llama_context_default_params)                                                                \
    X(llama_batch_get_one)                                                                         \
    X(llama_get_model)                                                                             \
    X(llama_get_memory)                                                                            \
    X(llama_n_batch)                                                                               \
    X(llama_n_seq_max)                                                                             \
    X(llama_pooling_type)                                                                          \
    X(llama_memory_seq_pos_max)                                                                    \
    X(llama_model_n_embd)                                                                          \
    X(llama_model_n_layer)                                                                         \
    X(llama_model_desc)                                                                            \
    X(llama_model_has_encoder)                                                                     \
    X(llama_model_has_decoder)                                                                     \
    X(llama_model_meta_val_str)                                                                    \
    X(llama_model_get_vocab)                                                                       \
    X(llama_vocab_type)                                                                            \
    X(llama_vocab_n_tokens)                                                                        \
    X(llama_vocab_is_control)                                                                      \
    X(llama_vocab_get_add_bos)                                                                     \
    X(llama_token_to_piece)                                                                        \
    X(ggml_op_name)                                                                                \
    X(ggml_tensor_overhead)                                                                        \
    X(ggml_backend_buffer_is_host)                                                                 \
    X(ggml_backend_tensor_get)                                                                     \
    X(ggml_backend_tensor_set)

#define LIBRARY_POINTER(name) __typeof__(&name) name;
struct library {
    LIBRARY_NAMES(LIBRARY_POINTER)
    void *real[TAP_NAMES_COUNT]; /* what the wrappers stand in front of */
    int is_found;                /* NULL in `real`: this libllama has no such function */
    int is_known;                /* laid out as our headers say; the pointers above are set */
    char why_not[256];           /* unless it is known */
};
#undef LIBRARY_POINTER

/* The host's libllama; looked for by the first call. Never NULL, never freed; keeps it loaded. */
const struct library *library_get(void);

/* The same, NULL before it was looked for. */
const struct library *library_peek(void);

/* The real function that a wrapper stands in front of, with its own type. */
#define LIBRARY_REAL(name) ((__typeof__(&name))library_get()->real[TAP_##name])

#endif
