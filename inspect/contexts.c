#include "inspect/contexts.h"

#include "base/err.h"
#include "engine/llama_text.h"

#include <stdlib.h>

struct contexts {
    struct engine_options options;
    struct llama_text text;
    struct pack_options packing;
    struct corpus *corpus;
    struct pack *pack;
};

static int open_all(struct contexts *c, struct llama_runner *runner)
{
    int result = llama_text_open(&c->options, runner, &c->text);
    if (result != ERR_OK) return result;
    struct corpus_options corpus = llama_text_corpus(&c->text);
    c->packing = llama_text_packing(&c->text);
    result = corpus_open(&corpus, &c->corpus);
    return result == ERR_OK ? pack_open(c->corpus, &c->packing, &c->pack) : result;
}

int contexts_open(const struct contexts_options *o, struct llama_runner *runner,
                  struct contexts **contexts)
{
    struct contexts *c = calloc(1, sizeof *c);
    if (!c) return err_set(ERR_NOMEM, "no memory for a corpus");
    c->options = (struct engine_options){.kind = ENGINE_LLAMA,
                                         .share_count = 1,
                                         .corpus = o->corpus,
                                         .corpus_count = o->count,
                                         .text_field = o->text_field,
                                         .context_tokens = o->context_tokens,
                                         .prepend_bos = o->prepends_bos};
    int result = open_all(c, runner);
    if (result != ERR_OK)
        contexts_close(c);
    else
        *contexts = c;
    return result;
}

int contexts_next(struct contexts *c, const int32_t **tokens, uint32_t *count)
{
    struct pack_context context;
    int result = pack_next(c->pack, &context);
    if (result != ERR_OK) return result;
    *tokens = context.tokens;
    *count = context.count;
    return ERR_OK;
}

void contexts_close(struct contexts *c)
{
    if (!c) return;
    if (c->pack) pack_close(c->pack);
    if (c->corpus) corpus_close(c->corpus);
    llama_text_close(&c->text);
    free(c);
}
