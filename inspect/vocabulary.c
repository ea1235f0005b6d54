#include "inspect/vocabulary.h"

#include "base/err.h"
#include "base/fileio.h"
#include "engine/fingerprint.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_TEXT = 4096 };

static size_t of_engine(const void *of, int32_t token, char *out, size_t bytes)
{
    return engine_token_text(of, token, out, bytes);
}

struct texts texts_of_engine(const struct engine *engine)
{
    return (struct texts){engine_tokens(engine), of_engine, engine};
}

/* Offsets into at[tokens + 1], and texts where there is room for them. Gives their bytes. */
static size_t lay(const struct texts *of, uint32_t tokens, uint32_t *at, char *texts)
{
    char text[MOST_TEXT];
    size_t bytes = 0;
    for (uint32_t t = 0; t < tokens; t++) {
        size_t n = of->text(of->of, (int32_t)t, text, sizeof text);
        if (n >= sizeof text) n = sizeof text - 1;
        at[t] = (uint32_t)bytes;
        for (size_t i = 0; texts && i < n; i++) texts[bytes + i] = text[i];
        bytes += n;
    }
    at[tokens] = (uint32_t)bytes;
    return bytes;
}

int vocabulary_write(const char *folder, const struct texts *texts, struct index_facts *facts)
{
    char path[INDEX_PATH_BYTES];
    int32_t tokens = texts->tokens;
    if (tokens <= 0) return ERR_OK;
    if (tokens > INDEX_MOST_TOKENS)
        return err_set(ERR_LIMIT, "a vocabulary of %d tokens is too large for an index", tokens);
    size_t offsets = ((size_t)tokens + 1) * sizeof(uint32_t);
    uint32_t *at = malloc(offsets);
    size_t bytes = at ? lay(texts, (uint32_t)tokens, at, NULL) : 0;
    char *data = malloc(offsets + bytes);
    int result = at && data ? ERR_OK : err_set(ERR_NOMEM, "no memory for a vocabulary's texts");
    free(at);
    if (result == ERR_OK) {
        lay(texts, (uint32_t)tokens, (uint32_t *)data, data + offsets);
        snprintf(path, sizeof path, "%.4000s/tokens.table", folder);
        facts->tokens = (uint32_t)tokens;
        facts->tokens_bytes = offsets + bytes;
        facts->tokens_hash = fingerprint_add(0, data, offsets + bytes);
        result = file_replace(path, data, offsets + bytes);
    }
    free(data);
    return result;
}
