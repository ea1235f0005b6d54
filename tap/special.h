/* Which tokens of a model are special, by its file: those that it declares, and control tokens. */
#ifndef SLUICE_TAP_SPECIAL_H
#define SLUICE_TAP_SPECIAL_H

#include "tap/library.h"

#include <stdint.h>

enum { SPECIAL_DECLARED = 4 };

struct special {
    int32_t token[SPECIAL_DECLARED]; /* -1: none */
    const struct llama_vocab *vocab; /* NULL: without types of tokens */
};

void special_read(const struct library *library, const struct llama_model *model,
                  struct special *special);
int special_is(const struct special *special, const struct library *library, int32_t token);

#endif
