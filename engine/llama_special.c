#include "engine/llama_special.h"

#include "base/err.h"

#include <llama.h>
#include <stdlib.h>

enum { BOS, EOS }; /* the first of the keys below */

static const char *const keys[LLAMA_SPECIAL_KEYS] = {
    "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.eom_token_id"};

int llama_special_read(const struct llama_model *model, const char *path,
                       struct llama_special *special)
{
    const struct llama_vocab *vocab = llama_model_get_vocab(model);
    int32_t tokens = llama_vocab_n_tokens(vocab);
    for (int i = 0; i < LLAMA_SPECIAL_KEYS; i++) {
        char text[32];
        special->declared[i] = -1;
        if (llama_model_meta_val_str(model, keys[i], text, sizeof text) < 0) continue;
        long long id = strtoll(text, NULL, 10);
        if (id == UINT32_MAX) continue; /* -1 of a converter: none */
        if (id < 0 || id >= tokens)
            return err_set(ERR_FORMAT,
                           "%s: %s is %s, and the vocabulary has tokens 0 to %d; HINT: the file is "
                           "damaged or badly converted",
                           path, keys[i], text, tokens - 1);
        special->declared[i] = (int32_t)id;
    }
    special->bos = special->declared[BOS];
    special->separator = special->declared[EOS];
    special->adds_bos = llama_vocab_get_add_bos(vocab) && special->bos >= 0;
    return ERR_OK;
}

int llama_special_is(const struct llama_special *special, const struct llama_model *model,
                     int32_t token)
{
    for (int i = 0; i < LLAMA_SPECIAL_KEYS; i++)
        if (token == special->declared[i]) return 1;
    const struct llama_vocab *vocab = llama_model_get_vocab(model);
    return llama_vocab_type(vocab) != LLAMA_VOCAB_TYPE_NONE && llama_vocab_is_control(vocab, token);
}
