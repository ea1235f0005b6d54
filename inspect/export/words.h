/* Parts of a sheet in the words of other tools: tokens as texts, the numbers beside them. */
#ifndef SLUICE_INSPECT_EXPORT_WORDS_H
#define SLUICE_INSPECT_EXPORT_WORDS_H

#include "inspect/index.h"

#define WORDS_GAP "[...]"

/* What stands for a byte that is no UTF-8. */
enum words_bytes {
    WORDS_REPLACED, /* U+FFFD, as tokenizers decode it */
    WORDS_HEX,      /* \xe2, which circuit-tracer's page joins to characters again */
};

/* A text, bytes that are no UTF-8 (and NUL, which databases refuse) as told. NULL: no memory. */
json_t *words_text(const char *text, size_t size, enum words_bytes bytes);
/* A token's text; "#12" where it is empty or the vocabulary is not known. NULL: no memory. */
json_t *words_token(const struct index *index, int64_t token, enum words_bytes bytes);

/* The texts of a context's tokens, and the values beside them; gaps are WORDS_GAP and 0. NULL: no
 * memory. */
json_t *words_tokens(const struct index *index, const json_t *context, enum words_bytes bytes);
json_t *words_values(const json_t *context);

/* Of a sheet at most `most` tokens that it makes likelier, or less likely, the strongest first. Two
 * lists, equally long, empty where the sheet has none; both are appended to. */
void words_promoted(const struct index *index, const json_t *sheet, int likelier, size_t most,
                    enum words_bytes bytes, json_t *texts, json_t *logits);

/* A sheet's number; 0 where it has none. */
double words_number(const json_t *object, const char *key);

#endif
