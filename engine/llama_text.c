#include "engine/llama_text.h"

#include "base/err.h"

#include <string.h>

int llama_text_open(const struct engine_options *options, struct llama_runner *runner,
                    struct llama_text *text)
{
    *text = (struct llama_text){.options = options, .runner = runner};
    return llama_chat_open(llama_runner_model(runner), options->model_file, &text->chat);
}

void llama_text_close(struct llama_text *text)
{
    llama_chat_close(text->chat);
    text->chat = NULL;
}

static int tokenize(void *arg, const char *words, size_t size, const int32_t **tokens,
                    size_t *count)
{
    const struct llama_text *text = arg;
    return llama_runner_tokenize(text->runner, words, size, tokens, count);
}

static int tokenize_chat(void *arg, const struct document_message *messages, size_t n,
                         const int32_t **tokens, size_t *count)
{
    const struct llama_text *text = arg;
    return llama_chat_tokenize(text->chat, messages, n, tokens, count);
}

struct corpus_options llama_text_corpus(const struct llama_text *text)
{
    const struct engine_options *o = text->options;
    return (struct corpus_options){.listed = o->corpus,
                                   .count = o->corpus_count,
                                   .text_field = o->text_field,
                                   .tokens_field = o->tokens_field,
                                   .separator = o->document_separator,
                                   .vocabulary = (uint32_t)llama_runner_tokens(text->runner)};
}

struct pack_options llama_text_packing(struct llama_text *text)
{
    const struct engine_options *o = text->options;
    const struct llama_special *special = llama_runner_special(text->runner);
    int adds_bos = o->prepend_bos < 0 ? special->adds_bos : o->prepend_bos;
    return (struct pack_options){.tokenize = tokenize,
                                 .tokenize_chat = tokenize_chat,
                                 .arg = text,
                                 .share_index = o->share_index,
                                 .share_count = o->share_count,
                                 .context_tokens = o->context_tokens,
                                 .bos = adds_bos ? special->bos : -1,
                                 .separator = special->separator,
                                 .one_document = o->one_document,
                                 .on_bad_text = o->on_bad_text};
}

int llama_text_contexts(void *arg, struct llama_runner *runner, uint32_t contexts,
                        uint32_t context_tokens, int32_t *tokens, uint32_t *filled)
{
    struct llama_text text;
    struct corpus *corpus;
    struct pack *pack;
    int result = llama_text_open(arg, runner, &text);
    if (result != ERR_OK) return result;
    struct corpus_options read = llama_text_corpus(&text);
    struct pack_options packing = llama_text_packing(&text);
    packing.share_index = 0;
    packing.share_count = 1;
    packing.context_tokens = context_tokens;
    packing.on_bad_text = BAD_TEXT_SKIP;
    packing.one_document = 0; /* full contexts: only where the corpus ends is one shorter */
    *filled = 0;
    for (uint32_t i = 0; i < read.count; i++)
        if (strcmp(read.listed[i], "-") == 0) return err_set(ERR_STATE, "the corpus is a pipe");
    result = corpus_open(&read, &corpus);
    if (result == ERR_OK && !corpus_rereadable(corpus))
        result = err_set(ERR_STATE, "the corpus is a pipe");
    if (result == ERR_OK) result = pack_open(corpus, &packing, &pack);
    for (uint32_t c = 0; c < contexts && result == ERR_OK; c++) {
        struct pack_context context;
        result = pack_next(pack, &context);
        if (result != ERR_OK || context.count == 0) break;
        memcpy(tokens + *filled, context.tokens, context.count * sizeof *context.tokens);
        *filled += context.count;
    }
    return result;
}
