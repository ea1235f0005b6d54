/* The texts of tokens, as an index keeps them: tokens.table (index.h). */
#ifndef SLUICE_INSPECT_VOCABULARY_H
#define SLUICE_INSPECT_VOCABULARY_H

#include "engine/engine.h"
#include "inspect/index_facts.h"

struct texts {      /* of a vocabulary's tokens */
    int32_t tokens; /* 0: they have none */
    /* As llama_runner_text() tells it. */
    size_t (*text)(const void *of, int32_t token, char *out, size_t bytes);
    const void *of;
};

/* Those of an engine, which lives as long. */
struct texts texts_of_engine(const struct engine *engine);

/* Write FOLDER/tokens.table and fill in facts->tokens, tokens_bytes and tokens_hash; nothing where
 * tokens have no text. ERR_LIMIT, ERR_NOMEM, ERR_NOSPC, ERR_IO. */
int vocabulary_write(const char *folder, const struct texts *texts, struct index_facts *facts);

#endif
