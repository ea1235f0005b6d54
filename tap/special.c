#include "tap/special.h"

#include <stdlib.h>

void special_read(const struct library *l, const struct llama_model *model, struct special *s)
{
    static const char *const keys[SPECIAL_DECLARED] = {
        "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
        "tokenizer.ggml.eom_token_id"};
    for (int i = 0; i < SPECIAL_DECLARED; i++) {
        char text[32];
        s->token[i] = -1;
        if (l->llama_model_meta_val_str(model, keys[i], text, sizeof text) > 0)
            s->token[i] = (int32_t)strtoll(text, NULL, 10);
    }
    const struct llama_vocab *vocab = l->llama_model_get_vocab(model);
    s->vocab = l->llama_vocab_type(vocab) == LLAMA_VOCAB_TYPE_NONE ? NULL : vocab;
}

int special_is(const struct special *s, const struct library *l, int32_t token)
{
    for (int i = 0; i < SPECIAL_DECLARED; i++)
        if (token == s->token[i]) return 1;
    return s->vocab && l->llama_vocab_is_control(s->vocab, token);
}
