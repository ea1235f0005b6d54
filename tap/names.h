/*
 * The functions of libllama that the tap stands in front of. The audit library and the preloaded one
 * number them alike.
 */
#ifndef SLUICE_TAP_NAMES_H
#define SLUICE_TAP_NAMES_H

#define TAP_NAMES(X)                                                                               \
    /* models and contexts */                                                                      \
    X(llama_model_load_from_file)                                                                  \
    X(llama_load_model_from_file)                                                                  \
    X(llama_model_load_from_splits)                                                                \
    X(llama_model_load_from_file_ptr)                                                              \
    X(llama_model_free)                                                                            \
    X(llama_free_model)                                                                            \
    X(llama_init_from_model)                                                                       \
    X(llama_new_context_with_model)                                                                \
    X(llama_free)                                                                                  \
    X(llama_set_warmup)                                                                            \
    X(llama_set_adapters_lora)                                                                     \
    X(llama_set_adapter_cvec)                                                                      \
    /* passes */                                                                                   \
    X(llama_decode)                                                                                \
    X(llama_process)                                                                               \
    X(llama_batch_ext_init)                                                                        \
    X(llama_batch_ext_free)                                                                        \
    X(llama_batch_ext_clear)                                                                       \
    X(llama_batch_ext_add)                                                                         \
    X(llama_batch_ext_add_token)                                                                   \
    X(llama_batch_ext_add_embd)                                                                    \
    X(llama_batch_ext_add_seq)                                                                     \
    X(llama_batch_ext_set_embd_token)                                                              \
    X(llama_batch_ext_set_embd_state)                                                              \
    X(llama_batch_ext_set_pos)                                                                     \
    /* memory */                                                                                   \
    X(llama_memory_clear)                                                                          \
    X(llama_memory_seq_rm)                                                                         \
    X(llama_memory_seq_cp)                                                                         \
    X(llama_memory_seq_keep)                                                                       \
    X(llama_memory_seq_add)                                                                        \
    X(llama_memory_seq_div)                                                                        \
    /* states */                                                                                   \
    X(llama_state_set_data)                                                                        \
    X(llama_set_state_data)                                                                        \
    X(llama_state_load_file)                                                                       \
    X(llama_load_session_file)                                                                     \
    X(llama_state_seq_set_data)                                                                    \
    X(llama_state_seq_set_data_ext)                                                                \
    X(llama_state_seq_load_file)

#define TAP_NUMBER(name) TAP_##name,
enum tap_name { TAP_NAMES(TAP_NUMBER) TAP_NAMES_COUNT };
#undef TAP_NUMBER

/* In the preloaded library: where the audit library writes what the program would have called; NULL: it
 * was not asked for through the loader's audit. Zeroed memory, so it may be written before the library
 * is relocated. */
#define TAP_REAL_SYMBOL "sluice_tap_real"
extern void *sluice_tap_real[TAP_NAMES_COUNT];

#endif
