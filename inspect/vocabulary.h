/* The texts of an engine's tokens, as an index keeps them: tokens.table (index.h). */
#ifndef SLUICE_INSPECT_VOCABULARY_H
#define SLUICE_INSPECT_VOCABULARY_H

#include "engine/engine.h"
#include "inspect/index_facts.h"

/* Write FOLDER/tokens.table and fill in facts->tokens, tokens_bytes and tokens_hash; nothing where
 * tokens have no text. ERR_LIMIT, ERR_NOMEM, ERR_NOSPC, ERR_IO. */
int vocabulary_write(const char *folder, const struct engine *engine, struct index_facts *facts);

#endif
